// Package daemontest gives tests a coin daemon: a real monerod in its own folder, or a scripted
// one for everything a real one cannot be made to do.
//
//	Start(tb, Options) ─▶ *Monerod   the real program on loopback: Stop, Kill, Restart, Generate
//	NewFake(tb, FakeOptions) ─▶ *Fake  HTTP JSON-RPC with templates that Build makes, and any fault
//
// Build writes complete CryptoNote block templates (coinbase, tree hash, hashing blob) from a
// description; it shares no code with the parser that tests run against them.
package daemontest
