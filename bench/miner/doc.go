// Package miner is an honest simulated miner: it hashes natively and submits
// what meets the target, as XMRig does.
//
//	pool ──job──▶ session ──work──▶ board ──nonces──▶ threads (one Hasher each)
//	  ▲             │  reconnects with back-off          │ hash below the target
//	  └───submit────┴────────── in flight (bounded) ◀────┘
//	                                 │ accepted, rejected, unanswered
//	                                 ▼
//	                              Stats, Shares
//
// The connection is a [xmrig.Client], so a miner also fails where XMRig would:
// the broken rule is Stats.LastError, and the miner reconnects.
//
// Goroutines: Run owns the session and the threads, a session owns the submits
// in flight. Stop order: threads end after their batch → shares in flight get
// their answers, at most DrainTimeout → the connection closes.
package miner
