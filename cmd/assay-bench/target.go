package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// target resolves the pool's address once and refuses one outside this machine
// unless the operator answers for it. The address checked is the one dialled:
// a name that changes its mind cannot turn a test into an attack.
func target(ctx context.Context, pool string, mine bool) (string, error) {
	host, port, err := net.SplitHostPort(pool)
	if err != nil {
		return "", fmt.Errorf("%q is not host:port", pool)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", err
	}
	if mine {
		return net.JoinHostPort(addrs[0].Unmap().String(), port), nil
	}
	if remote, ok := firstRemote(addrs); ok {
		return "", fmt.Errorf("%s is %s, not this machine; give --target-is-mine if the pool is yours to load", host, remote)
	}
	return net.JoinHostPort(addrs[0].Unmap().String(), port), nil
}

func firstRemote(addrs []netip.Addr) (netip.Addr, bool) {
	for _, a := range addrs {
		if a = a.Unmap(); !a.IsLoopback() {
			return a, true
		}
	}
	return netip.Addr{}, false
}
