package ledger

import (
	"context"
	"fmt"

	"github.com/assay-pool/assay/cluster/store"
)

// Identity is whose books a pool's keys are. A name alone says too little: every
// pool is called "default" until its operator gives it another name, so two
// coins on one Redis would share their rounds.
type Identity struct {
	Coin   string // coin and network in one name, as --coin has it
	Wallet string // that block rewards go to
}

// identify ties the pool's keys to cfg.Identity, or refuses when they are another's.
func identify(ctx context.Context, cfg *Config, keys store.Keys) error {
	own := cfg.Identity
	if own == (Identity{}) {
		return nil
	}
	has, err := cfg.Store.EvalRepeatable(ctx, store.NewScript("identity", identityLua),
		[]string{keys.Identity()}, []string{own.Coin, own.Wallet}).AsStrSlice()
	switch {
	case err != nil:
		return fmt.Errorf("ledger: read %s: %w", keys.Identity(), err)
	case len(has) != 2:
		return fmt.Errorf("ledger: read %s: reply of %d parts", keys.Identity(), len(has))
	}
	if other := (Identity{has[0], has[1]}); other != own {
		return &identityError{pool: cfg.Pool, key: keys.Identity(), redis: cfg.Store.URL(), own: own, other: other}
	}
	return nil
}

// identityError refuses a pool whose keys are another's.
type identityError struct {
	pool, key, redis string
	own, other       Identity
}

func (e *identityError) Error() string {
	return fmt.Sprintf("the books of pool %q in Redis at %s are those of --coin %s --wallet %s, this node has --coin %s --wallet %s: "+
		"correct the flag, or give this pool another name (a section [pool NAME] in the --config file) or another Redis (--redis); "+
		"if the pool itself changes its wallet, end all its nodes, run redis-cli DEL '%s' and start them again",
		e.pool, e.redis, e.other.Coin, e.other.Wallet, e.own.Coin, e.own.Wallet, e.key)
}
