// Package store is the way to Redis: one client, the names of all keys, the
// Lua scripts' transport, and the private redis-server of a node that was
// given none.
//
//	              --redis URL                     no --redis
//	                  │                               │
//	                  │                     StartManaged: lock the folder,
//	                  │                     end a leftover server, write the
//	                  │                     config; mend the append-only file,
//	                  │                     start, watch, restart
//	                  │                               │ unix socket
//	                  ▼                               ▼
//	Open: connect until StartTimeout ──▶ Check: role, version, eviction,
//	                  │                       persistence
//	                  ▼
//	Store ── Do / Eval (EVALSHA, EVAL on NOSCRIPT) ──▶ Redis
//	    every call has a deadline; nothing is retried here
//	    │ READONLY, MASTERDOWN: all connections are cut (once a second at most),
//	    │   because the address may lead to the new master
//	    └ LOADING, MISCONF, OOM, NOREPLICAS, CLUSTERDOWN, …: kept, and not "up"
//	        until a write has been taken
//
// No write is retried in this package once a Store is open: one whose answer
// was lost may have run, so only its owner, who gave it an identity
// (cluster/ledger: node stream and sequence), can send it again safely (I3).
// What may run twice without harm goes through DoRepeatable and EvalRepeatable.
//
// The private server's append-only file is looked at before every start
// (aofrepair.go): a damaged end, as a power loss leaves it, is cut off with a
// copy of the original kept beside it, and what it held comes again from the
// node's journal; damage with complete commands behind it is refused, untouched.
//
// Every key of a pool carries the hash tag {pool}, so one script may touch all
// of them in Redis Cluster. One key, the count of node prefixes, is no pool's.
// keys.go has the whole list.
package store
