// Package coin holds what is particular to a coin: its algorithms, its seed
// schedule, its blob layout and its addresses. All of it is data.
//
//	profiles.json ──Lookup──▶ Profile ──Serviceable()─────────▶ node, before it starts
//	(embedded, each fact              ├─Algo(major, height)──▶ job, verify
//	 with its source)                 ├─SeedHeight(height)───▶ native/randomx
//	                                  └─ParseAddress(login)──▶ Address
//	                                        ▲
//	                  AddressCache ─────────┘ one login in thousands is a new wallet
//
// A profile never guesses: a block version it does not list has no algorithm, a
// fact nobody has read up is left out, and an address must be one the coin's own
// daemon would pay to. What is known and cannot be done here, a proof of work
// that is not hashed or a template that is not read, is refused by its name;
// the rest of such a profile is of use all the same.
//
// An account is an address, letter by letter. A pool pays what it is given, and a
// payment id must reach the payee: two integrated addresses of one key pair are
// as a rule two customers of an exchange, who must share neither money nor
// standing nor blame. Which subaddresses belong together only their owner's view
// key tells. So an account costs nothing and nothing may be granted for having
// one: what is kept of it and what it is trusted with grow with its work alone.
package coin
