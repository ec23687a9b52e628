// Package e2e tests the whole node from outside. It has tests only.
//
//	test ── XMRig's rules, real hashes ──▶ assayd (built once, a process of its own)
//	  │                                       │            │
//	  │◀─ /metrics, /readyz, exit code ───────┤            ▼
//	  │                                       ▼          real redis-server
//	  │                              real monerod, or    │
//	  │                              a scripted daemon   │
//	  └──── what miners were told ═══ must equal ═══ what the books say
//
// Nothing of the node is linked in: the tests know its flags, its ports and its
// keys in Redis, as an operator does. Difficulties are tiny, because RandomX in
// light mode takes some 22 ms a hash.
package e2e
