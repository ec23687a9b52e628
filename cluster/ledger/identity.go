package ledger

import (
	"cmp"
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
		append([]string{keys.Identity()}, keys.Earlier()...), []string{own.Coin, own.Wallet, store.Layout}).AsStrSlice()
	switch {
	case err != nil:
		return fmt.Errorf("ledger: read %s: %w", keys.Identity(), err)
	case len(has) != 3:
		return fmt.Errorf("ledger: read %s: reply of %d parts", keys.Identity(), len(has))
	case has[2] != store.Layout:
		return &layoutError{pool: cfg.Pool, redis: cfg.Store.URL(), layout: has[2]}
	}
	if other := (Identity{has[0], has[1]}); other != own {
		return &identityError{pool: cfg.Pool, key: keys.Identity(), redis: cfg.Store.URL(), own: own, other: other}
	}
	return nil
}

// CheckIdentity tells whether the books that are in Redis, if any, are those of
// cfg.Identity and have the layout of this program. It changes nothing.
func CheckIdentity(ctx context.Context, cfg Config) error {
	keys, err := store.NewKeys(cfg.Pool)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	has, err := cfg.Store.DoRepeatable(ctx, "HGETALL", keys.Identity()).AsStrMap()
	if err != nil {
		return fmt.Errorf("ledger: read %s: %w", keys.Identity(), err)
	}
	for _, key := range keys.Earlier() {
		n, err := cfg.Store.DoRepeatable(ctx, "EXISTS", key).AsInt64()
		if err != nil {
			return fmt.Errorf("ledger: look for %s: %w", key, err)
		}
		if n != 0 {
			return &layoutError{pool: cfg.Pool, redis: cfg.Store.URL(), layout: "1"}
		}
	}
	if len(has) == 0 {
		return nil
	}
	if layout := cmp.Or(has["layout"], "1"); layout != store.Layout {
		return &layoutError{pool: cfg.Pool, redis: cfg.Store.URL(), layout: layout}
	}
	if other := (Identity{has["coin"], has["wallet"]}); cfg.Identity != (Identity{}) && other != cfg.Identity {
		return &identityError{pool: cfg.Pool, key: keys.Identity(), redis: cfg.Store.URL(), own: cfg.Identity, other: other}
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
		"if the pool itself changes its wallet, end all its nodes, run redis-cli DEL '%s', move the folders of their journals away once assayd ledger audit finds that Redis has all of them, and start them again",
		e.pool, e.redis, e.other.Coin, e.other.Wallet, e.own.Coin, e.own.Wallet, e.key)
}

// layoutError refuses keys that mean something else.
type layoutError struct{ pool, redis, layout string }

func (e *layoutError) Error() string {
	return fmt.Sprintf("the books of pool %q in Redis at %s have layout %s, this program reads and writes layout %s: "+
		"use the program they were written by, or give this pool another name (a section [pool NAME] in the --config file), another Redis (--redis), "+
		"or, with the private Redis, another --data-dir", e.pool, e.redis, e.layout, store.Layout)
}
