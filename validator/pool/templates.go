package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/assay-pool/assay/validator/job"
)

// seedBook remembers which seed the chain confirmed for which height, so that
// it is asked once an epoch and a daemon that suddenly names another seed is
// caught.
type seedBook struct {
	height uint64
	seed   [32]byte
	known  bool
}

// confirmed asks the chain whether seed is the block at height, unless it has
// said so before. id is what the chain has there instead.
func (b *seedBook) confirmed(ctx context.Context, chain Chain, height uint64, seed [32]byte) (id [32]byte, err error) {
	if b.known && b.height == height && b.seed == seed {
		return seed, nil
	}
	if id, err = chain.BlockID(ctx, height); err != nil {
		return id, fmt.Errorf("ask for the seed block at height %d: %w", height, err)
	}
	if id == seed {
		*b = seedBook{height: height, seed: seed, known: true}
	}
	return id, nil
}

// Accept checks an offer and publishes it as the current template. It returns
// a [job.Refusal] when the offer is not to be trusted; the board then stays as
// it was. It blocks while the seed's cache is built, which the next template of
// the same daemon could not do without either. Called from one goroutine.
func (p *Pool) Accept(ctx context.Context, offer *job.Offer) error {
	t, err := job.NewTemplate(p.cfg.Coin, offer, time.Now())
	if err != nil {
		p.metrics.refused(err)
		return err
	}
	if p.cfg.Supports != nil {
		if err := p.cfg.Supports(t.Algo); err != nil {
			err = &job.Refusal{Reason: "algorithm", Detail: err.Error()}
			p.metrics.refused(err)
			return err
		}
	}
	if t.Algo.NeedsSeed() {
		if err := p.readySeed(ctx, t, offer.SeedHeight); err != nil {
			p.metrics.refused(err)
			return err
		}
	}
	// Building a cache takes long enough for the template to have aged.
	t.Created = time.Now()
	p.board.Publish(t)
	p.metrics.published(t)
	for _, f := range p.subs {
		f(t)
	}
	p.newTip(t.Prev)
	return nil
}

// readySeed makes sure that the template's seed is the chain's and hashable.
func (p *Pool) readySeed(ctx context.Context, t *job.Template, height uint64) error {
	if p.cfg.Seeds == nil || p.cfg.Chain == nil {
		return fmt.Errorf("pool %s: %v needs seeds, and none can be made", p.cfg.Name, t.Algo)
	}
	id, err := p.seeds.confirmed(ctx, p.cfg.Chain, height, t.Seed)
	if err != nil {
		return err
	}
	if id != t.Seed {
		return &job.Refusal{Reason: "seed", Detail: fmt.Sprintf("the block at height %d is %x, the template's seed %x", height, id, t.Seed)}
	}
	if t.NextSeed == t.Seed {
		t.NextSeed = [32]byte{}
	}
	if t.NextSeed != ([32]byte{}) && !p.nextSeed(ctx, t) {
		t.NextSeed = [32]byte{}
	}
	p.cfg.Seeds.Announce(p.cfg.Name, t.Seed, t.NextSeed)
	wait, cancel := context.WithTimeout(ctx, p.cfg.SeedWait)
	defer cancel()
	if err := p.cfg.Seeds.Wait(wait, t.Seed); err != nil {
		return fmt.Errorf("wait for the cache of seed %x: %w", t.Seed, err)
	}
	return nil
}

// nextSeed tells whether the chain confirms the template's next seed. Without
// that the template is as good, but the seed is neither built nor told to
// miners: 256 MiB and seconds of every core are not for anybody to ask for. The
// block may be the tip, which a reorganisation can still change, so a mismatch
// is no reason to leave the daemon.
func (p *Pool) nextSeed(ctx context.Context, t *job.Template) bool {
	height := p.cfg.Coin.NextSeedHeight(t.Height)
	id, err := p.upcoming.confirmed(ctx, p.cfg.Chain, height, t.NextSeed)
	if err == nil && id == t.NextSeed {
		p.misnamed = [32]byte{}
		return true
	}
	p.metrics.unknown.Inc()
	if p.misnamed != t.NextSeed {
		p.misnamed = t.NextSeed
		p.log.Warn("the next RandomX seed is not confirmed by the chain and not built", "daemon", t.Daemon,
			"height", height, "seed", fmt.Sprintf("%x", t.NextSeed), "block", fmt.Sprintf("%x", id), "err", err)
	}
	return false
}

// ErrRefused is wrapped by [Blocks.Submit]'s error when the daemons refused the
// block for what it is.
var ErrRefused = errors.New("block refused")

// drop takes the template of a refused block out of work. The daemon client is
// asking for another one already. If the chain has a new tip the template was
// out of work anyway.
func (p *Pool) drop(f *find) {
	if f.of != nil && p.board.Drop(f.of) {
		p.metrics.dropped.Inc()
		p.log.Error("a block was refused: its template is dropped, and another one is asked for",
			"height", f.Height, "id", f.id, "daemon", f.of.Daemon)
	}
}

// ErrNoTemplate is a pool without work.
var ErrNoTemplate = errors.New("no block template yet")

// Ready tells why the pool cannot give out work, or nil.
func (p *Pool) Ready() error {
	age, any := p.board.Age()
	switch {
	case !any:
		return ErrNoTemplate
	case p.board.Current() != nil:
		return nil
	case age > p.cfg.TemplateMaxAge:
		return fmt.Errorf("the newest block template is %s old, limit %s (--template-max-age)",
			age.Round(time.Second), p.cfg.TemplateMaxAge)
	}
	return errors.New("a block on the newest template was refused, and no daemon has given another one (--daemon)")
}
