// Package options reads what an operator wants from flags, environment and a
// config file, and says where each value came from.
//
//	--name value ──┐
//	ASSAY_NAME ────┤   first that       pflag.Value ──▶ the program's struct
//	[pool NAME] ───┼─▶ sets the name ──▶   │
//	top of file ───┤   wins              errors, all of them, each with its source
//	default ───────┘                       │
//	                    --check-config ◀───┴───▶ --print-config (value and source)
//
// # Precedence
//
// One order for everything: command line > environment > config file > default.
// A list flag (--listen, --daemon) takes all of its values from the first of
// these that names it; layers are never mixed. A scalar given twice on the
// command line keeps the last value; given twice in one part of the file it is
// an error.
//
// # Pools
//
// Flags are of two kinds. Process flags exist once. Pool flags exist once per
// pool, registered into a struct of the pool's own. Without a [pool NAME]
// section there is one pool, named "default", and all pool flags speak of it.
// With sections there are exactly the pools the sections name:
//
//   - a line above the first section is a default for every pool;
//   - a line in a section is for that pool and beats the line above;
//   - the command line and the environment still beat the file, for every pool.
//     When that hides a line of a section, a warning says so.
//
// # The file
//
//	# comment
//	name = value            # a comment follows white space; a#b is a value
//	listen = 0.0.0.0:3333   (list flags may stand on several lines)
//	[pool main]
//	wallet = 4…
//
// The value is the rest of the line without surrounding white space. Nothing is
// quoted or escaped: a value in quotes is refused, because half the readers
// would expect them to be removed. `name =` sets an empty value or an empty
// list. A name is a flag without its dashes.
//
// # Environment
//
// PREFIX_NAME with - as _. List flags take one value per line. Variables with
// the prefix that name no flag are warned about, with the nearest name.
//
// # Limits
//
// Files of at most [MaxFileBytes], lines of [MaxLineBytes], [MaxPools] pools,
// secrets of [MaxSecretBytes], [MaxErrors] errors printed.
package options
