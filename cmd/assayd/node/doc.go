// Package node puts a node together and takes it apart again.
//
//	config ─▶ cpu, cryptonight (calibrated), randomx (self-test) ─▶ verify workers ─▶ Redis
//	       ─▶ per pool: ledger, daemon client, pool
//	       ─▶ server (miners' ports), admin port ─▶ daemons followed ─▶ serving
//
// Start order is bottom up: nothing is offered before what it stands on works.
// Stop order, on SIGTERM, is the reverse of the shares' way, so that all that
// was promised is kept:
//
//	stop accepting ─▶ answer what is queued ─▶ blocks on their way
//	─▶ flush the ledger ─▶ close sockets, free C memory, Redis last
//
// All of it has one deadline (stop.go). What hangs is left behind, by name.
//
// There is no logic here beyond that order and the small adapters between the
// interfaces of packages that must not know each other.
package node
