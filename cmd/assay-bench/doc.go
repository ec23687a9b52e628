// Command assay-bench is the load tool's face: one subcommand per kind of load.
//
//	assay-bench mine ─────▶ flags ──▶ bench/miner ──▶ a pool
//	            kernels ──▶ flags ──▶ bench/kernels ──▶ native: every kernel of this CPU
//	            hash ─────▶ flags ──▶ bench/hashline ─▶ native: the lines of stdin
//	            demo ─────▶ flags ──▶ bench/demo ──▶ monerod, assayd, miners
//	                                     │
//	                 stderr: progress ◀──┴──▶ stdout: result (text or JSON)
//
// Exit codes: 0 the run did what was asked, 1 it did not (too few shares, the
// pool was lost, a hash is wrong or impossible), 2 the command line was wrong.
package main
