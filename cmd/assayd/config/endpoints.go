package config

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/assay-pool/assay/cmd/internal/options"
	"github.com/assay-pool/assay/internal/redact"
	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/netio/server"
)

// parseDaemon reads URL[,zmq=tcp://HOST:PORT][,ca=FILE][,fingerprint=SHA256]…;
// what they are worth together is for the endpoint's own Check. Errors begin
// with the URL.
func parseDaemon(text string) (daemon.Endpoint, error) {
	address, rest, more := strings.Cut(text, ",")
	d := daemon.Endpoint{URL: address}
	if !more {
		return d, nil
	}
	fail := func(format string, args ...any) (daemon.Endpoint, error) {
		return d, fmt.Errorf("%s: "+format, append([]any{redact.Address(address)}, args...)...)
	}
	var ca string
	var fingerprints []string
	for option := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "zmq":
			if d.ZMQ = value; value == "" {
				return fail("zmq names no address; want tcp://HOST:PORT")
			}
		case "ca":
			if ca = value; ca == "" {
				return fail("ca names no file")
			}
		case "fingerprint":
			fingerprints = append(fingerprints, value)
		default:
			return fail("unknown option %q; known are zmq, ca and fingerprint", redact.Address(option))
		}
	}
	if ca == "" && len(fingerprints) == 0 {
		return d, nil
	}
	var err error
	if d.Trust, err = daemon.NewTrust(ca, fingerprints); err != nil {
		return fail("%w", err)
	}
	return d, nil
}

// parsePort reads HOST:PORT[,diff=N][,min=N][,max=N][,desc=TEXT][,hidden].
// What it does not say is taken from the pool's own.
func parsePort(text string, l server.Port) (server.Port, error) {
	parts := strings.Split(text, ",")
	l.Addr = parts[0]
	for _, option := range parts[1:] {
		name, value, has := strings.Cut(option, "=")
		var err error
		switch {
		case name == "diff" && has:
			l.StartDifficulty, err = parseDifficulty(value)
		case name == "min" && has:
			l.MinDifficulty, err = parseDifficulty(value)
		case name == "max" && has:
			l.MaxDifficulty, err = parseDifficulty(value)
		case name == "desc" && has:
			l.Description = value
		case option == "hidden":
			l.Hidden = true
		default:
			err = errors.New("unknown; known are diff=N, min=N, max=N, desc=TEXT and hidden")
		}
		if err != nil {
			return l, fmt.Errorf("option %q: %w", option, err)
		}
	}
	return l, l.Check()
}

// parseDifficulty reads a port's difficulty: above 0, and within what the
// ledger's signed 64-bit sums can hold.
func parseDifficulty(text string) (uint64, error) {
	n, err := options.ParseDifficulty(text)
	if err != nil {
		return 0, err
	}
	if n == 0 || n > math.MaxInt64 {
		return 0, fmt.Errorf("%s is not above 0 and below 2^63", text)
	}
	return n, nil
}
