package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/assay-pool/assay/cmd/internal/options"
)

// Daemon is where a coin daemon answers.
type Daemon struct {
	URL string // http://host:port
	ZMQ string // tcp://host:port of its --zmq-pub, empty for none
}

// Listener is one port miners connect to.
type Listener struct {
	Addr        string // host:port
	Start       uint64 // difficulty of a new connection
	Min, Max    uint64 // bounds of its vardiff
	Description string
	Hidden      bool
}

// ParseDaemon reads URL[,zmq=tcp://HOST:PORT].
func ParseDaemon(text string) (Daemon, error) {
	address, rest, _ := strings.Cut(text, ",")
	u, err := url.Parse(address)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return Daemon{}, errors.New("want http://HOST:PORT or https://HOST:PORT")
	case u.User != nil:
		return Daemon{}, errors.New("a password in the URL is seen by every user of the machine; use --daemon-login-file")
	}
	d := Daemon{URL: address}
	for option := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch {
		case option == "" && rest == "":
		case name == "zmq":
			z, err := url.Parse(value)
			if err != nil || z.Scheme != "tcp" || z.Port() == "" {
				return Daemon{}, fmt.Errorf("zmq is %q; want tcp://HOST:PORT, the daemon's --zmq-pub", value)
			}
			d.ZMQ = value
		default:
			return Daemon{}, fmt.Errorf("unknown option %q; known is zmq", option)
		}
	}
	return d, nil
}

// ParseListener reads HOST:PORT[,diff=N][,min=N][,max=N][,desc=TEXT][,hidden].
// What it does not say is taken from the pool's vardiff.
func ParseListener(text string, vardiff Vardiff) (Listener, error) {
	parts := strings.Split(text, ",")
	l := Listener{Addr: parts[0], Min: vardiff.Min, Max: vardiff.Max}
	if err := checkAddr(l.Addr); err != nil {
		return Listener{}, err
	}
	for _, option := range parts[1:] {
		name, value, has := strings.Cut(option, "=")
		var err error
		switch {
		case name == "diff" && has:
			l.Start, err = parseDifficulty(value)
		case name == "min" && has:
			l.Min, err = parseDifficulty(value)
		case name == "max" && has:
			l.Max, err = parseDifficulty(value)
		case name == "desc" && has:
			l.Description = value
		case option == "hidden":
			l.Hidden = true
		default:
			err = errors.New("unknown; known are diff=N, min=N, max=N, desc=TEXT and hidden")
		}
		if err != nil {
			return Listener{}, fmt.Errorf("option %q: %w", option, err)
		}
	}
	if l.Min > l.Max {
		return Listener{}, fmt.Errorf("min %d is above max %d", l.Min, l.Max)
	}
	if l.Start == 0 {
		l.Start = min(max(defaultStart, l.Min), l.Max)
	}
	if l.Start < l.Min || l.Start > l.Max {
		return Listener{}, fmt.Errorf("diff %d is outside min %d and max %d (--vardiff-min, --vardiff-max)", l.Start, l.Min, l.Max)
	}
	return l, nil
}

// defaultStart is the start difficulty of a port that names none: a share in
// some 10 s for a desktop CPU, which vardiff then corrects within minutes.
const defaultStart = 10_000

func checkAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("want HOST:PORT: %w", err)
	}
	if host != "" && net.ParseIP(host) == nil && host != "localhost" {
		return fmt.Errorf("host %q is not an IP address", host)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port %q is not a number from 0 to 65535", port)
	}
	return nil
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
