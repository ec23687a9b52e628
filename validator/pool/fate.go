package pool

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrUnknownFate is wrapped by [Blocks.Submit]'s error when no daemon gave a
// definite answer. One may have taken the block and its answer got lost: to
// book it as rejected at once could leave a paid block without a record.
var ErrUnknownFate = errors.New("no daemon gave a definite answer")

// ErrBeside is wrapped by [Blocks.Submit]'s error when daemons have the block,
// but beside their main chains, because a rival came first.
var ErrBeside = errors.New("beside the main chain")

// unknown tells a submission that was cut off or not answered from a refusal.
func unknown(err error) bool {
	return errors.Is(err, ErrUnknownFate) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// Location is where a block is, as far as the daemons say.
type Location struct {
	Daemon  string // that has it on its main chain; "" = none is known to
	Missing bool   // a daemon's main chain does not have it, and none is known to
	Beside  bool   // a daemon has it beside its main chain
	Silent  bool   // a daemon gave no answer; it may be the one that has it
	// Tip is the height of the block to be found, of the longest chain without it;
	// Least of the shortest that counts: one daemon alone does not bury a block.
	Tip, Least uint64
	Detail     string // for a human
}

const (
	// The chain is asked after half a second, then ever less often: a daemon
	// that restarts is back in seconds, and 15 s more or less do not matter to
	// a round that is minutes late already.
	fateFirst = 500 * time.Millisecond
	fateMost  = 15 * time.Second
	// fateAsk bounds one question to all daemons, of which some may hang.
	fateAsk = 10 * time.Second
	// lastAsk is what Close keeps of its time for a last question: a daemon that
	// answers at all does so in milliseconds, a busy one in hundreds.
	lastAsk = time.Second
	// buried: a block that a chain does not have so many blocks later is paid by
	// nobody. Monero's coinbases are locked for as long.
	buried = 60
	// offerWithin: a block that nobody has is offered again until so many others
	// have come; later it cannot become the chain's.
	offerWithin = 2
	// maxWatched blocks are asked for at once, each by a goroutine: at one
	// question in 15 s each, 68 a second. As many as wait for a placer by
	// default.
	maxWatched = DefaultFoundBlocks
	// knownBlocks are the ids remembered so that no block is found twice, and an own
	// one is known again when it is the newest of the chain: those of all blocks
	// that may be open at once.
	knownBlocks = 4 * DefaultFoundBlocks
	// maxNamed unsettled blocks are named in Close's error; the log has all.
	maxNamed = 16
)

// watch asks the chain for the block in the background until it is known to
// have it or to do without it; then the block is settled.
func (p *Pool) watch(f *find, cause error) {
	p.metrics.unanswered.Inc()
	select {
	case p.watched <- struct{}{}:
	default:
		p.leave(f, fmt.Errorf("%w; too many such blocks", cause))
		return
	}
	p.complain("nobody answered for a block, the chain is asked for it", f, cause)
	p.start(f, cause, fateFirst)
}

// beside watches whether the chain turns to a block that a rival came before, as it
// does when the next block is built on it. Until then, or until it is buried, it is
// not settled.
func (p *Pool) beside(f *find, cause error) {
	f.beside = true
	p.metrics.lost.Inc()
	p.complain("block beside the main chain; it is watched until the chain turns to it or has gone on without it", f, cause)
	select {
	case p.watched <- struct{}{}:
		p.start(f, cause, fateFirst)
	default:
		p.leave(f, fmt.Errorf("%w; too many such blocks", cause))
	}
}

// start follows a block that has a token of watched.
func (p *Pool) start(f *find, cause error, first time.Duration) {
	p.metrics.watched.Inc()
	p.inflight.Go(func() {
		defer func() { <-p.watched }()
		defer p.metrics.watched.Dec()
		p.follow(f, cause, first)
	})
}

// Leftover is a block that an earlier start has left open: it is in the books as
// found, and not as settled.
type Leftover struct {
	Block
	Bytes []byte
}

// Resume settles what earlier starts have left open, in the background. Call it
// once, before the first offer.
func (p *Pool) Resume(leftovers []Leftover) {
	slices.SortFunc(leftovers, func(a, b Leftover) int {
		return cmp.Or(cmp.Compare(a.Height, b.Height), a.Time.Compare(b.Time))
	})
	for _, l := range leftovers {
		f := &find{Block: l.Block, id: hex.EncodeToString(l.ID[:]), bytes: l.Bytes}
		p.known.add(l.ID)
		p.metrics.leftovers.Inc()
		p.inflight.Add(1)
		select {
		case p.watched <- struct{}{}:
			p.log.Warn("an earlier start has left a block open, the chain is asked for it", "height", f.Height, "id", f.id, "found", f.Time)
			p.start(f, errors.New("left open by an earlier start"), 0)
		default:
			p.leave(f, errors.New("left open by an earlier start; too many such blocks"))
		}
	}
}

// follow settles a block of unknown fate, however long it takes. While nobody
// has it and it can still win it is offered again. When the pool closes the
// chain is asked one last time.
func (p *Pool) follow(f *find, cause error, first time.Duration) {
	timer := time.NewTimer(first)
	defer timer.Stop()
	for wait := fateFirst; ; wait = min(2*wait, fateMost) {
		last := false
		select {
		case <-timer.C:
		case <-p.closing.Done():
			last = true
		}
		at := p.locate(f)
		switch {
		case at.Daemon != "":
			p.won(f, at.Daemon)
			return
		case at.Missing && at.Least > f.Height+buried:
			p.lost(f, fmt.Errorf("%w, and the chain went on to height %d without it: %s", cause, at.Tip, at.Detail))
			return
		case last:
			f.beside = f.beside || at.Beside && !at.Silent // which is known, and holds
			p.leave(f, fmt.Errorf("%w, and it was not seen on the chain before the pool was closed: %s", cause, at.Detail))
			return
		case f.bytes != nil && at.Missing && !at.Beside && at.Tip >= f.Height && at.Tip <= f.Height+offerWithin:
			daemon, err := p.offer(f)
			switch {
			case err == nil:
				p.won(f, daemon)
				return
			case !unknown(err) && !errors.Is(err, ErrBeside) && !at.Silent:
				// What one daemon refuses another may have taken; all have
				// answered that they do not have it.
				p.lost(f, err)
				return
			}
		}
		timer.Reset(wait)
	}
}

// locate asks the chain. It outlives the submissions, so that what a stop has
// cut off is asked for once more.
func (p *Pool) locate(f *find) Location {
	ctx, cancel := context.WithTimeout(p.asking, fateAsk)
	defer cancel()
	return p.cfg.Blocks.Locate(ctx, f.ID)
}

// recentIDs remembers the newest knownBlocks ids.
type recentIDs struct {
	mu   sync.Mutex
	ids  map[[32]byte]struct{} // guarded by mu
	ring [][32]byte            // guarded by mu; what is in ids, in order of arrival from at on
	at   int                   // guarded by mu; the oldest, once the ring is full
}

// add reports whether the id is new.
func (r *recentIDs) add(id [32]byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.ids[id]; ok {
		return false
	}
	if r.ids == nil {
		r.ids = make(map[[32]byte]struct{})
	}
	r.ids[id] = struct{}{}
	if len(r.ring) < knownBlocks {
		r.ring = append(r.ring, id)
		return true
	}
	delete(r.ids, r.ring[r.at])
	r.ring[r.at] = id
	r.at = (r.at + 1) % knownBlocks
	return true
}

func (r *recentIDs) has(id [32]byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.ids[id]
	return ok
}

// unsettled are the blocks that the pool has left open.
type unsettled struct {
	mu    sync.Mutex
	names []string // guarded by mu; of the first maxNamed
	count int      // guarded by mu
}

func (u *unsettled) add(f *find) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count++
	if len(u.names) >= maxNamed {
		return
	}
	u.names = append(u.names, fmt.Sprintf("%d %s", f.Height, f.id))
}

// err names them, or is nil when there are none.
func (u *unsettled) err() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.count == 0 {
		return nil
	}
	text := strings.Join(u.names, ", ")
	if more := u.count - len(u.names); more > 0 {
		text += fmt.Sprintf(" and %d more, see the log", more)
	}
	return fmt.Errorf("%d found blocks are unsettled, the next start with this --data-dir settles them (height and id: %s)", u.count, text)
}
