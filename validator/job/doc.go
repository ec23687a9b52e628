// Package job holds block templates and the jobs cut from them.
//
//	daemon ──Offer──▶ NewTemplate (every claim checked) ──▶ Board.Publish
//	                                                          │ current, recent
//	session ──Window.Cut──▶ Job (own extra nonce, tree root, difficulty) ──▶ miner
//	miner ──job id, nonce──▶ Window.Find ──▶ Job.Use (duplicate?) ──▶ Job.AppendInput ──▶ verify
//
// A job's extra nonce is unique among all pools that mine to one wallet, for ever:
//
//	 0        4        8         12       16
//	┌────────┬────────┬─────────┬─────────┐
//	│ random │ node   │ session │ job     │   big-endian
//	│        │ prefix │ number  │ number  │
//	└────────┴────────┴─────────┴─────────┘
//	└──── Prefix ─────┘
//
// The node prefix is unlike that of every other start of any pool on the same
// Redis, so within a process and a Redis no two can be equal; the random part,
// drawn at each start of a pool, makes it improbable beyond. So two jobs never
// share a search space, and a nonce needs to be remembered only with its own job
// (I4).
//
// A share is judged by the job it names (I5): the job carries its difficulty, and
// through its template algorithm, height and seed. Its tree root is hashed when it
// is cut, so its blob and the inputs of its shares are copies. A Template is
// immutable but for the time it was replaced; a Window and its Jobs belong to one
// session and to that session's event loop.
package job
