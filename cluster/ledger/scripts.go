package ledger

import (
	_ "embed" // the Lua sources

	"github.com/assay-pool/assay/cluster/store"
)

//go:embed prelude.lua
var preludeLua string

//go:embed apply.lua
var applyLua string

//go:embed archive.lua
var archiveLua string

//go:embed totals.lua
var totalsLua string

//go:embed claim.lua
var claimLua string

//go:embed lift.lua
var liftLua string

//go:embed identity.lua
var identityLua string

// scripts that write.
type scripts struct{ apply *store.Script }

func newScripts() scripts {
	return scripts{
		apply: store.NewWriteScript("apply", preludeLua+applyLua),
	}
}
