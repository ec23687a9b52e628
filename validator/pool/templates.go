package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/assay-pool/assay/validator/job"
)

// seedBook remembers which seed belongs to which height, so that the chain is
// asked once an epoch and a daemon that suddenly names another seed is caught.
type seedBook struct {
	height uint64
	seed   [32]byte
	known  bool
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
	if !p.seeds.known || p.seeds.height != height || p.seeds.seed != t.Seed {
		id, err := p.cfg.Chain.BlockID(ctx, height)
		if err != nil {
			return fmt.Errorf("ask for the seed block at height %d: %w", height, err)
		}
		if id != t.Seed {
			return &job.Refusal{Reason: "seed", Detail: fmt.Sprintf("the block at height %d is %x, the template's seed %x", height, id, t.Seed)}
		}
		p.seeds = seedBook{height: height, seed: t.Seed, known: true}
	}
	next := t.NextSeed
	if next == t.Seed {
		next = [32]byte{}
	}
	p.cfg.Seeds.Announce(p.cfg.Name, t.Seed, next)
	wait, cancel := context.WithTimeout(ctx, p.cfg.SeedWait)
	defer cancel()
	if err := p.cfg.Seeds.Wait(wait, t.Seed); err != nil {
		return fmt.Errorf("wait for the cache of seed %x: %w", t.Seed, err)
	}
	return nil
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
