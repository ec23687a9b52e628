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
	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/netio/server"
)

// parseDaemon reads URL[,zmq=tcp://HOST:PORT][,ca=FILE][,fingerprint=SHA256]….
func parseDaemon(text string) (daemon.Endpoint, error) {
	address, rest, more := strings.Cut(text, ",")
	u, err := url.Parse(address)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return daemon.Endpoint{}, errors.New("want http://HOST:PORT or https://HOST:PORT")
	case u.User != nil:
		return daemon.Endpoint{}, errors.New("a password in the URL is seen by every user of the machine; use --daemon-login-file")
	}
	d := daemon.Endpoint{URL: address}
	if !more {
		return d, nil
	}
	var ca string
	var fingerprints []string
	for option := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "zmq":
			z, err := url.Parse(value)
			if err != nil || z.Scheme != "tcp" || z.Port() == "" {
				return daemon.Endpoint{}, fmt.Errorf("zmq is %q; want tcp://HOST:PORT, the daemon's --zmq-pub", value)
			}
			d.ZMQ = value
		case "ca":
			if ca = value; ca == "" {
				return daemon.Endpoint{}, errors.New("ca names no file")
			}
		case "fingerprint":
			fingerprints = append(fingerprints, value)
		default:
			return daemon.Endpoint{}, fmt.Errorf("unknown option %q; known are zmq, ca and fingerprint", option)
		}
	}
	if ca == "" && len(fingerprints) == 0 {
		return d, nil
	}
	if u.Scheme != "https" {
		return daemon.Endpoint{}, errors.New("ca and fingerprint are for https://HOST:PORT; by http nothing is checked")
	}
	d.Trust, err = daemon.NewTrust(ca, fingerprints)
	return d, err
}

// parsePort reads HOST:PORT[,diff=N][,min=N][,max=N][,desc=TEXT][,hidden].
// What it does not say is taken from the pool's own.
func parsePort(text string, l server.Port) (server.Port, error) {
	parts := strings.Split(text, ",")
	l.Addr = parts[0]
	if err := checkAddr(l.Addr); err != nil {
		return server.Port{}, err
	}
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
			return server.Port{}, fmt.Errorf("option %q: %w", option, err)
		}
	}
	if l.MinDifficulty > l.MaxDifficulty {
		return server.Port{}, fmt.Errorf("min %d is above max %d", l.MinDifficulty, l.MaxDifficulty)
	}
	if l.StartDifficulty == 0 {
		l.StartDifficulty = min(max(server.DefaultStartDifficulty, l.MinDifficulty), l.MaxDifficulty)
	}
	if l.StartDifficulty < l.MinDifficulty || l.StartDifficulty > l.MaxDifficulty {
		return server.Port{}, fmt.Errorf("diff %d is outside min %d and max %d (--vardiff-min, --vardiff-max)", l.StartDifficulty, l.MinDifficulty, l.MaxDifficulty)
	}
	return l, nil
}

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
