// Package coin holds what is particular to a coin: its algorithms, its seed
// schedule, its blob layout and its addresses. All of it is data.
//
//	profiles.json ──Lookup──▶ Profile ──Algo(major, height)──▶ job, verify
//	(embedded, each fact              ├─SeedHeight(height)───▶ native/randomx
//	 with its source)                 └─ParseAddress(login)──▶ Address
//	                                        ▲
//	                  AddressCache ─────────┘ one login in thousands is a new wallet
//
// A profile never guesses: a block version it does not list has no algorithm,
// and an address must be one the coin's own daemon would pay to.
package coin
