// Package daemon is one pool's client to its coin daemons: it follows the chain, fetches block
// templates and submits blocks, over several daemons that may each die, lag or lie.
//
//	          ┌─ probe (1 per daemon): get_info ──────────▶ health, height, tip ─┐
//	poll tick ┤                                                                  ▼
//	          │                                                     Run (1): choose the daemon,
//	ZMQ notice ─▶ subscriber (1 per daemon) ─kick─▶ probe           get_block_template if the tip,
//	              the message itself is never read                  the pool or the age asks for it
//	                                                                             │ decoded, checked
//	block ─▶ Submit ─▶ submit_block to all daemons at once                       ▼
//	         ◀─ accepted / rejected / unreachable                   accept(*Template) error
//
// What is polled. Each poll is one get_info: a single answer of 1.4 KB holds the tip's id, the
// height, the size of the transaction pool and whether the daemon is synchronised, also on a
// restricted RPC port. On an idle regtest monerod it takes 0.45 ms, get_last_block_header 0.25 ms,
// but that lacks the last two and would need a second call. get_block_template takes 0.24 ms there
// only while its cache holds: each change of a full pool makes the daemon build a new one, and the
// answer grows with it. It is asked for only when the tip differs from the template's parent, when
// the pool changed and TxRefresh has passed, when the pool shrank, when the template reached MaxAge,
// and at once when a daemon took or refused a block of ours.
//
// What a template is good for. A new one replaces the last if it pays more, or if the last has a
// transaction that it lacks: the daemon has dropped that one, and a block with it would be refused.
// Otherwise the last one is confirmed (work.go), and how old it is is for the receiver to know. When
// the daemon that gave a template, or all, refuse a block of it, it is replaced by whatever comes, but
// by the same work only if no other daemon has another.
//
// Who is used. Daemons are preferred in the order they were given. One is usable when it answers,
// is synchronised, is on the coin's network, has not just given a template that was refused, and is
// not behind the height that at least half of the usable daemons reached. A height above the others'
// counts only with the proof of lead.go. A better placed daemon is returned to only
// after RecoverAfter good polls in a row.
//
// ZMQ. The subscriber speaks ZMTP itself (zmtp.go): github.com/go-zeromq/zmq4 allocates whatever
// length a frame claims, so that a hostile or broken publisher could end the process, and needs
// its sockets rebuilt after every publisher restart anyway. The tests use zmq4 as the other side.
// That a subscription stands proves nothing; a block that a poll shows and no notice announces within
// feedGrace means that it is mute, and it is made anew (feed.go).
//
// Whom a certificate must come from is in trust.go: monerod's own default names no host and is signed
// by itself.
//
// Accepted means known. monerod answers submit_block with OK also for a block it puts beside its
// main chain and even for one whose parent it has never seen, so an OK is checked by asking for
// the block's header by id. While that has no answer, and after a submit_block whose answer was lost,
// nobody knows, and the outcome says so unless another daemon has the block on its main chain. One
// that is beside the main chain of the daemon that answered first may be on another's: Submit
// waits a little for the others before it says so.
//
// Who is blamed. A template that accept refuses (daemon.Refused) costs its daemon a while of being
// left alone. That accept could not judge it costs the daemon nothing.
//
// Goroutines. Run owns the probes and subscribers and waits for them. Submit's per-daemon senders
// outlive the call once one daemon accepted (all shall get the block), for at most maxLingers
// blocks, of which the oldest goes first; Close waits for them.
//
// Locks: node.mu guards one daemon's health, Client.mu the current template and the chosen daemon.
// Neither is ever held during a call to a daemon; where both are needed Client.mu comes first.
// Client.lingerMu guards the lingering blocks, reminder.mu when a trouble was told; no other lock is
// taken under either. Nothing is logged with a lock held.
package daemon
