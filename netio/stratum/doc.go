// Package stratum reads and writes the messages of CryptoNote stratum. It
// knows no sockets and keeps no sessions.
//
//	line ──Parser.Parse──▶ Request ──ParseLogin──▶ address, worker, difficulty
//	                          └─Nonce, Result──▶ validator's share
//	Job, Verdict, error text ──Append…──▶ one line of JSON, in the caller's buffer
//
// One JSON object a line, both ways. The contract is XMRig's client, and reply
// texts are part of it: an error that begins with one of [Critical] makes XMRig
// disconnect, so only the errors meant to do that may begin so.
//
// Reading is strict about what decides who is credited with what, and lenient
// where that costs nothing:
//
//   - A byte order mark and blanks around a line are passed over.
//   - A number as password, rig or agent is its text. A long agent or list of
//     algorithms is cut, and what in the list is no name is passed over.
//   - A line is one object, nested at most [MaxDepth] deep.
//   - Of two equal keys the first counts. Nothing is promised about a key that
//     appears both plainly and written with escapes, but that one of them counts.
//   - "params" is an object; it may be absent, null or an empty list where a
//     method needs none of it.
//   - Fields have limits: see the Max constants.
//   - The request's id comes back as it was sent, with its own JSON type, if it
//     is a number, a string, true, false or null of at most [MaxID] bytes.
//     Objects, arrays, malformed and longer ids are answered with null, as is
//     an absent one: every request is answered, also a "notification" (I9).
//
// Parsing a submit or a keepalived allocates nothing; the Request's bytes
// belong to the Parser until its next Parse.
package stratum
