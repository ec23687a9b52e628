// Package tools has the commands of assayd that look at what nodes have written,
// beside a running node or without one:
//
//	assayd journal inspect   what is in the journals, for people or as JSON lines
//	assayd journal verify    whether all of it can be read; sums
//	assayd ledger audit      journals ═══ must equal ═══ Redis, to the unit
//	assayd ledger rebuild    journals ──▶ a Redis that has lost the pool's books
//
// All take the node's own configuration (config.Tool), so that they look at the same
// folders and the same Redis. The private Redis of a node that does not run is
// started for as long as the command takes, by the node's user alone. Only rebuild
// writes books.
//
// Exit codes: 0 all is well; 1 it is not, or could not be told; 2 a mistake in the
// flags; 3 nothing differs, but a part could not be compared, or is not in Redis yet.
package tools
