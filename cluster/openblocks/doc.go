// Package openblocks remembers on disk the found blocks whose fate is not in the
// books yet, so that a stop or a crash between finding a block and closing its
// round loses neither.
//
//	found ──Keep──▶ <dir>/<id>.json ──▶ submitted ──▶ fate ──▶ Redis ──Drop──▶ gone
//	                     │ the process ends in between
//	                     ▼
//	next start ──Open──▶ leftovers, settled by asking the chain
//
// A file is written to another name, synced, renamed, and its folder synced: it
// is there whole or not at all. It is removed once the round's close is in Redis
// or the block has definitely been refused. A file that stays although its block
// is in the books does no harm: closing a round is repeatable by the block's id.
//
// Nobody waits for a disk longer than Patience: a block is worth money now, its
// record only in a crash. What could not be written in time is logged and
// counted. Writers that hang are bounded by their number, files by Limit.
//
// A file that cannot be read is renamed to <id>.json.damaged and left for a human
// to look at; no start is refused for it.
package openblocks
