// Package server is the stratum front of a node: one gnet engine for the ports
// of all its pools, and a session for each miner.
//
//	accept ──OnOpen──▶ session ──OnTraffic──▶ lines ──stratum.Parse──▶ login, getjob, keepalived
//	                                                       │ submit
//	     cheap checks on the loop, no allocation: authorised → job known →
//	     well formed → not stale → not duplicate → claim meets target → budget
//	                                                       │ ok
//	                     pool.Submit(share) ◀──────────────┘
//	hash worker ──refused──┬──Reply──▶ loop's reply stack ──one Execute a batch──▶ answer, vardiff, free share
//	journal ──────durable──┘
//	pool.Subscribe ──template──▶ one fan-out task a loop, in slices of 1 ms ──▶ a job each
//	ticker ──▶ one sweep task a loop ──▶ timeouts, slow readers, silent miners
//
// # Who may touch what
//
// A session, its jobs and its samples belong to the event loop it was accepted
// on; no field of theirs is locked or atomic. Other threads reach a loop by its
// reply stack and by tasks only. A share belongs to its loop, then from
// pool.Submit to Reply to the pipeline (hash workers, then the books, which answer
// an accepted one once its credit is durable), then to the loop again, which uses
// it for another. A session that has closed meanwhile is still referenced by its
// shares: the answer is dropped and the share goes back to the loop's free list.
// Sessions are not reused.
//
// # Limits
//
// Connections are capped below RLIMIT_NOFILE, because gnet ends its engine, with
// no error, when accept finds no descriptor; an engine that ends unasked is
// fatal here ([Server.Err]). See Accepting for what keeps a flood of connections
// below the limit, too. Lines, faults, shares in flight a session and a
// loop, nonces a job and outbound bytes have limits in [Config]; each refusal
// has a counter. What a session may ask of the hash threads it has to earn: see
// standing.go.
//
// # Accepting
//
// Each loop accepts for itself, one connection at a time, and OnOpen admits or
// refuses it before the next one is accepted: no more descriptors are in use
// than MaxConns and one a loop. That is gnet with SO_REUSEPORT. Without it gnet
// has one more loop that accepts all that wait in the backlog, up to somaxconn
// (4096), before the other loops have looked at the first; the sockets in
// between are above MaxConns, and a flood runs out of descriptors. The kernel
// spreads connections over the loops by a hash of their addresses.
//
// SO_REUSEPORT also lets several processes of a user share a port unnoticed. A
// port is therefore held by a listener without it first: see hold.go.
//
// # Stopping
//
// gnet cannot close a listener alone. [Server.Drain] therefore closes new
// connections as they open, refuses new shares with a text, waits until every
// share in flight is answered (blocks are still taken, a few of each session,
// so that claims alone do not keep it from ending) and every outbound buffer is empty, and then
// [Server.Stop] ends the engine. Shares must be judged, and their credits
// committed, until Drain has returned, so the order is Drain, verifier, pool,
// books, Stop.
//
// # Without work
//
// While a pool has no template a login is refused with a text that makes XMRig
// try again. Sessions that are logged in stay; they get a job as soon as there
// is one, and neither the first-share timeout nor vardiff holds the wait
// against them. After NoWorkTimeout they are sent away at a pace, and logins
// are refused and closed, until there is work: see nowork.go.
package server
