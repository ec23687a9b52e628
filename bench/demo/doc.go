// Package demo shows the whole path on one machine: real miners, a real node,
// a real coin daemon, a real Redis, real blocks.
//
//	monerod --regtest ◀──RPC, ZMQ── assayd ◀──stratum── assay-bench mine
//	       ▲                         │  ╲
//	       │ block ids               │   private redis-server
//	       └──────── demo ◀──/metrics┘      │
//	                   └───◀── rounds, blocks ┘
//
// Everything it starts lives in one folder, listens on loopback only, and ends
// with it: each child is told to stop in turn, miner first and daemon last, and
// the kernel ends them should the demo itself be killed.
package demo
