package pool_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/assay-pool/assay/validator/job/jobtest"
	"github.com/assay-pool/assay/validator/pool"
)

// script is a chain's answers, one per question, and those to submissions; the
// last of each stays.
type script struct {
	mu      sync.Mutex
	places  []pool.Location // guarded by mu
	submits []error         // guarded by mu; nil is accepted
	offered int             // guarded by mu
	asked   chan [32]byte   // capacity 16
	ended   int             // guarded by mu; questions whose context had ended before they were asked
}

func (s *script) Locate(ctx context.Context, id [32]byte) pool.Location {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		s.ended++
		return pool.Location{Detail: ctx.Err().Error()}
	}
	at := s.places[0]
	if len(s.places) > 1 {
		s.places = s.places[1:]
	}
	select {
	case s.asked <- id:
	default:
	}
	return at
}

func (s *script) Submit(context.Context, [32]byte, []byte) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offered++
	err := s.submits[0]
	if len(s.submits) > 1 {
		s.submits = s.submits[1:]
	}
	if err != nil {
		return "", err
	}
	return "submit", nil
}

const height = jobtest.Height // of every block here

var (
	onChain = pool.Location{Daemon: "chain"}
	silent  = pool.Location{Detail: "timeout"}
	behind  = pool.Location{Missing: true, Tip: height - 1, Detail: "unknown"} // a daemon that lags
	missing = pool.Location{Missing: true, Tip: height, Detail: "unknown"}
	late    = pool.Location{Missing: true, Tip: height + 30, Detail: "unknown"} // too late to win, too early to give up
	beside  = pool.Location{Missing: true, Beside: true, Tip: height + 1, Detail: "a rival"}
	unheard = pool.Location{Missing: true, Silent: true, Tip: height, Detail: "one is away"}
	buried  = pool.Location{Missing: true, Tip: height + 61, Least: height + 61, Detail: "unknown"}
	claimed = pool.Location{Missing: true, Tip: height + 61, Least: height + 30, Detail: "unknown"} // by one daemon alone
)

// TestBesideTheChain: a block that lost against a rival is not settled until the
// chain turns to it or has buried it. A stop meanwhile is no failure, and leaves it
// to the next start.
func TestBesideTheChain(t *testing.T) {
	for name, tt := range map[string]struct {
		place pool.Location
		want  string // "" = closed meanwhile
	}{
		"the chain turns to it": {onChain, "accepted by chain"},
		"it stays beside":       {beside, ""},
		"buried":                {buried, "rejected: beside the main chain: a rival came first, and the chain went on to height 3196706 without it: unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.block = true
			chain := &script{submits: []error{fmt.Errorf("%w: a rival came first", pool.ErrBeside)}, places: []pool.Location{tt.place}, asked: make(chan [32]byte, 16)}
			reg, log := prometheus.NewRegistry(), &lines{}
			p, err := pool.New(pool.Config{Name: "main", Coin: jobtest.Profile(t), Books: w, Blocks: chain, Verifier: verifier{w}, Addresses: 16,
				Registerer: reg, Log: slog.New(slog.NewTextHandler(log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			s := share(jobtest.Template(t, 1), w, 1)
			_, block := pool.WholeBlock(s)
			p.Submit(s)
			<-chain.asked
			if tt.want != "" {
				await(t, "settlement", func() bool { return len(w.settled) > 0 })
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := p.Close(ctx); err != nil {
				t.Errorf("close: %v", err)
			}
			settledAs(t, w, tt.want)
			if n := strings.Count(log.String(), hex.EncodeToString(block)); n != 1 {
				t.Errorf("the block's bytes are in the log %d times", n)
			}
			// It counts as rejected as soon as that is what holds, and once.
			if n := counter(t, reg, "assay_blocks_rejected_total"); n != 1 {
				t.Errorf("%v blocks are rejected", n)
			}
		})
	}
}

// TestUnknownFate: a block nobody gave a definite answer for is settled by what
// the chain says, and by nothing else; it stays open in the books until then.
func TestUnknownFate(t *testing.T) {
	unanswered := fmt.Errorf("%w: timeout", pool.ErrUnknownFate)
	refused := errors.New("not enough work")
	rival := fmt.Errorf("%w: a rival came first", pool.ErrBeside)
	const cause = "rejected: no daemon gave a definite answer: timeout"
	tests := []struct {
		name    string
		submits []error
		places  []pool.Location
		close   bool // before the fate is known
		want    string
		offered int // times
	}{
		{"on the chain", []error{unanswered}, []pool.Location{onChain}, false, "accepted by chain", 1},
		{"on the chain later", []error{unanswered}, []pool.Location{silent, late, onChain}, false, "accepted by chain", 1},
		{"the chain turns to it", []error{unanswered}, []pool.Location{beside, onChain}, false, "accepted by chain", 1},
		{"one daemon says that it did", []error{unanswered}, []pool.Location{silent, claimed, claimed}, true, "", 1},
		{"the chain goes on without it", []error{unanswered}, []pool.Location{silent, late, buried}, false, cause + ", and the chain went on to height 3196706 without it: unknown", 1},
		{"offered again and taken", []error{unanswered, nil}, []pool.Location{missing}, false, "accepted by submit", 2},
		{"offered again and refused", []error{unanswered, refused}, []pool.Location{missing}, false, "rejected: not enough work", 2},
		{"refused by one while another is away", []error{unanswered, refused}, []pool.Location{unheard, onChain}, false, "accepted by chain", 2},
		{"beside the chain when offered again", []error{unanswered, rival}, []pool.Location{missing, onChain}, false, "accepted by chain", 2},
		{"not offered to a daemon that lags", []error{unanswered, refused}, []pool.Location{behind, onChain}, false, "accepted by chain", 1},
		{"closed, on the chain", []error{unanswered}, []pool.Location{silent, onChain}, true, "accepted by chain", 1},
		{"closed, nobody knows", []error{unanswered}, []pool.Location{silent}, true, "", 1},
		{"closed, not on the chain yet", []error{unanswered}, []pool.Location{late}, true, "", 1},
		{"closed, beside the chain", []error{unanswered}, []pool.Location{silent, beside}, true, "", 1},
		{"refused", []error{refused}, []pool.Location{onChain}, false, "rejected: not enough work", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.block = true
			chain := &script{submits: tt.submits, places: tt.places, asked: make(chan [32]byte, 16)}
			reg, log := prometheus.NewRegistry(), &lines{}
			p, err := pool.New(pool.Config{
				Name: "main", Coin: jobtest.Profile(t), Books: w, Blocks: chain, Verifier: verifier{w}, Addresses: 16,
				Registerer: reg, Log: slog.New(slog.NewTextHandler(log, nil)),
			})
			if err != nil {
				t.Fatal(err)
			}
			s := share(jobtest.Template(t, 1), w, 1)
			id, block := pool.WholeBlock(s)
			p.Submit(s)
			if tt.close {
				<-chain.asked
			} else {
				await(t, "settlement", func() bool { return len(w.settled) > 0 })
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			err = p.Close(ctx)
			settledAs(t, w, tt.want)
			// Beside the chain is a known place, and no reason to call the stop a failure.
			left := tt.want == "" && tt.places[len(tt.places)-1] != beside
			if (err != nil) != left || left && !strings.Contains(err.Error(), hex.EncodeToString(id[:])) {
				t.Errorf("close: %v", err)
			}
			logged := strings.Count(log.String(), hex.EncodeToString(block))
			if want := tt.want != "accepted by submit" && tt.want != "accepted by chain"; want && logged != 1 || logged > 1 {
				t.Errorf("the block's bytes are in the log %d times", logged)
			}
			if chain.offered != tt.offered || chain.ended != 0 {
				t.Errorf("offered %d times, want %d; %d questions were asked too late", chain.offered, tt.offered, chain.ended)
			}
			if n := counter(t, reg, "assay_blocks_watched"); n != 0 {
				t.Errorf("%v blocks still watched", n)
			}
		})
	}
}

// TestFoundBeforeSubmitted: the books are told of a block before any daemon has it,
// with its bytes, and before its fate.
func TestFoundBeforeSubmitted(t *testing.T) {
	w := newWorld()
	w.block = true
	p, err := pool.New(pool.Config{Name: "main", Coin: jobtest.Profile(t), Books: w, Blocks: blocks{w}, Verifier: verifier{w}, Addresses: 16})
	if err != nil {
		t.Fatal(err)
	}
	p.Submit(share(jobtest.Template(t, 1), w, 1))
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if found, submit := slices.Index(w.events, "found"), slices.Index(w.events, "submit"); found < 0 || submit < found {
		t.Errorf("events %v", w.events)
	}
	settledAs(t, w, "accepted by daemon-1")
}

// TestResume: what an earlier start has left open is settled without a find.
func TestResume(t *testing.T) {
	for _, tt := range []struct {
		name  string
		place pool.Location
		want  string
	}{
		{"taken", onChain, "accepted by chain"},
		{"never submitted", missing, "accepted by submit"},
		{"overtaken", buried, "rejected: left open by an earlier start, and the chain went on to height 3196706 without it: unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			w := newWorld()
			w.block = true
			chain := &script{submits: []error{nil}, places: []pool.Location{tt.place}, asked: make(chan [32]byte, 16)}
			p, err := pool.New(pool.Config{Name: "main", Coin: jobtest.Profile(t), Books: w, Blocks: chain, Verifier: verifier{w}, Addresses: 16})
			if err != nil {
				t.Fatal(err)
			}
			s := share(jobtest.Template(t, 1), w, 1)
			id, block := pool.WholeBlock(s)
			w.open[id] = true
			p.Resume([]pool.Leftover{{Block: pool.Block{ID: id, Height: height}, Bytes: block}})
			await(t, "settlement", func() bool { return len(w.settled) > 0 })
			p.Submit(s) // its miner sends it once more
			if err := p.Close(context.Background()); err != nil {
				t.Error(err)
			}
			settledAs(t, w, tt.want)
			if slices.Contains(w.events, "found") {
				t.Errorf("a leftover was found again: %v", w.events)
			}
		})
	}
}

// TestCloseAsksAfterCuttingOff: a submission that hangs is cut off before Close's
// time is over, so that the chain is still asked.
func TestCloseAsksAfterCuttingOff(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	w := newWorld()
	w.block = true
	chain := &hung{script{places: []pool.Location{onChain}, asked: make(chan [32]byte, 16)}}
	p, err := pool.New(pool.Config{Name: "main", Coin: jobtest.Profile(t), Books: w, Blocks: chain, Verifier: verifier{w}, Addresses: 16})
	if err != nil {
		t.Fatal(err)
	}
	p.Submit(share(jobtest.Template(t, 1), w, 1))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Error(err)
	}
	if got := next(t, w.settled); got != "accepted by chain" || chain.ended != 0 {
		t.Errorf("settled %q, %d questions came too late", got, chain.ended)
	}
}

// hung daemons never answer a submission.
type hung struct{ script }

func (*hung) Submit(ctx context.Context, _ [32]byte, _ []byte) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

// TestCloseWithBlocksWaiting: the queue is settled too when Close's patience is
// over, and what no daemon was asked for is left to the next start.
func TestCloseWithBlocksWaiting(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	w := newWorld()
	w.block, w.submit = true, func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }
	p := newPool(t, w)
	template := jobtest.Template(t, 1)
	for i := range 8 {
		p.Submit(share(template, w, uint32(i)))
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Close(over); err == nil || !strings.Contains(err.Error(), "8 found blocks are unsettled") {
		t.Errorf("close: %v", err)
	}
	if settled, open := len(w.settled), w.unsettled(); settled != 0 || open != 8 {
		t.Errorf("%d blocks are settled and %d open, want none and 8", settled, open)
	}
	// A worker that comes late: its block is the next start's too.
	p.Submit(share(template, w, 99))
	if settled, open := len(w.settled), w.unsettled(); settled != 0 || open != 9 {
		t.Errorf("a block found after the end: %d are settled and %d open, want none and 9", settled, open)
	}
}
