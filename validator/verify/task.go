package verify

import (
	"net/netip"
	"time"

	"github.com/assay-pool/assay/validator"
)

// Task is a work on its way to a verdict. It is written by whoever submits it
// until Submit, then by the verifier until Judged, then by its sink.
type Task struct {
	Work
	Class Class // of its service; that of a task that gave way may be another afterwards

	// The sender: the queue is fair by address first, and within one by wallet.
	From   netip.Addr
	Wallet string

	Received time.Time // its age, for the deadline and the order of arrival
	Sink     Sink      // told the verdict, once

	Verdict validator.Verdict
	Met     Met      // goals of a proven hash; none of one that is not
	Hash    [32]byte // set once hashed

	place // in the queue
}

// Sink receives a task once it is judged, on a worker's thread or on the thread
// that submitted it or another one. It must not block for long: hashing waits
// for it.
type Sink interface{ Judged(*Task) }
