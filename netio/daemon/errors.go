package daemon

import (
	"errors"
	"fmt"
)

// Kind tells apart what can be wrong with a daemon's answer; its text is a metric label.
type Kind uint8

const (
	KindNone          Kind = iota
	KindUnreachable        // no connection, connection lost, or cancelled
	KindTimeout            // no full answer within the deadline
	KindHTTP               // an HTTP status other than 200
	KindAuth               // the daemon wants a login, or another one
	KindTooLarge           // the answer exceeds MaxResponse
	KindMalformed          // not the JSON, or not the types, that the method has
	KindRPC                // a JSON-RPC error
	KindBusy               // status BUSY or error -9: the daemon is starting or syncing
	KindNotSynced          // the daemon says itself that it is not synchronised
	KindNetwork            // the daemon is on another network than the coin
	KindAbsurd             // well formed but impossible, or contradicting itself
	KindStaleTemplate      // a template below the height the daemon said it has
	KindRefused            // accept returned an error for the template
	KindTLS                // its certificate is not trusted, or it does not speak TLS
	kindCount
)

var kindNames = [kindCount]string{"none", "unreachable", "timeout", "http", "auth", "too_large", "malformed",
	"rpc", "busy", "not_synced", "wrong_network", "absurd", "stale_template", "refused", "tls"}

func (k Kind) String() string {
	if k < kindCount {
		return kindNames[k]
	}
	return "unknown"
}

// distrust tells whether an error of this kind means that the daemon's data is wrong (it is left
// alone for RefuseBackoff) rather than absent (it fails after FailAfter polls).
func (k Kind) distrust() bool { return k == KindAbsurd || k == KindRefused || k == KindMalformed }

// Error is a failed call to one daemon.
type Error struct {
	Kind   Kind
	Daemon string // host:port
	Method string
	Code   int // JSON-RPC or HTTP code, 0 if none
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("daemon %s: %s: %s: %v", e.Daemon, e.Method, e.Kind, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// refusal is an error of accept that is a verdict on the template.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// Refused marks what accept returns as a verdict on the template itself: the daemon that sent it is
// left alone for a while. Errors without the mark are the node's own troubles (a cache that is not
// built yet, a question to the chain that got no answer) and no daemon is blamed for them.
func Refused(err error) error {
	if err == nil {
		return nil
	}
	return &refusal{err}
}

// KindOf gives the kind of an error of this package, KindNone for nil and KindUnreachable for
// errors from elsewhere.
func KindOf(err error) Kind {
	if err == nil {
		return KindNone
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindUnreachable
}

// fault is an error without the daemon's name; the caller that knows it adds it.
func fault(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Err: fmt.Errorf(format, args...)}
}
