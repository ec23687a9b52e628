// Package blob turns a coin daemon's block template into the bytes miners hash
// and the bytes the daemon takes back.
//
//	template ──Parse──▶ Template (offsets found, branch of leaf 0 cached)
//	                      │ AppendHashing(extra)        │ AppendBlock(extra, nonce)
//	                      ▼                             ▼
//	                 hashing blob ─▶ job          whole block ─▶ daemon
//
// A block of type CryptoNote, and what is hashed of it:
//
//	┌───────┬───────┬───────────┬──────┬───────┬──────────┬───────┬──────────┐
//	│ major │ minor │ timestamp │ prev │ nonce │ miner tx │ count │ tx ids   │
//	│ varint│ varint│ varint    │ 32   │ 4     │          │ varint│ 32 each  │
//	└───────┴───────┴───────────┴──────┴───────┴──────────┴───────┴──────────┘
//	└──────────────── header ──────────────────┘     │                 │
//	                     │                           └── tree root ────┘
//	                     ▼                                  ▼
//	hashing blob =    header                        ‖ root (32) ‖ varint(count+1)
//
// Only the extra nonce in the miner tx, and so leaf 0 of the tree, differs
// between the jobs of one template. A job therefore costs the hash of the miner
// tx and one Keccak per level of leaf 0's branch, never the whole tree.
//
// Other coins put more behind the nonce, into the miner tx or at the end; what
// they do is in layout.go, and each layout is held against a published block.
// A layout that is known and cannot be read is refused by its name.
//
// Also here is what decides about a hash: 128-bit network difficulty, and the
// target a miner is sent, in both of its widths.
package blob
