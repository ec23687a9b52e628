// Package xmrig is a stratum client that holds a pool to XMRig's rules.
//
//	Login, Submit, Call ──line──▶ pool
//	      ▲ answer, by id           │ line
//	      └──── reader ◀────────────┘
//	              ├──job──▶ NextJob (bounded)
//	              ├──answer to nobody──▶ NextStray (bounded)
//	              └──rule broken──▶ Violation: the connection is closed, as XMRig would
//
// Where XMRig would disconnect, reconnect, or silently ignore what a pool
// sends, this client stops with a [*Violation] that names the rule. The facts
// are those of XMRig's Client.cpp and Job.cpp (version 6); the rules this
// project adds to them are marked in rules.go.
//
// One goroutine per client reads; [Client.Close] waits for it. All methods may
// be called from several goroutines.
package xmrig
