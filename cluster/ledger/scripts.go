package ledger

import (
	_ "embed" // the Lua sources

	"github.com/assay-pool/assay/cluster/store"
)

//go:embed prelude.lua
var preludeLua string

//go:embed apply.lua
var applyLua string

//go:embed close.lua
var closeLua string

//go:embed mark.lua
var markLua string

//go:embed lift.lua
var liftLua string

//go:embed identity.lua
var identityLua string

//go:embed round.lua
var roundLua string

// scripts that write.
type scripts struct{ apply, close, mark, lift *store.Script }

func newScripts() scripts {
	return scripts{
		apply: store.NewWriteScript("apply", preludeLua+applyLua),
		close: store.NewWriteScript("close", preludeLua+closeLua),
		mark:  store.NewWriteScript("mark", markLua),
		lift:  store.NewScript("lift", liftLua),
	}
}

func roundScript() *store.Script { return store.NewScript("round", roundLua) }
