package server

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// maxConnsCap is the most connections taken without being told to: what one
	// node is built for, also where the descriptor limit is in the millions.
	maxConnsCap = 100_000
	// spare is what nobody counts: standard streams and logs, the Go runtime's
	// poller, files read for a moment (/proc for metrics, the resolver's), and
	// whatever a library opens that we do not know of.
	spare = 64
	// pollerDescriptors of a loop: epoll, its eventfd, and a connection accepted
	// that is refused before the next one.
	pollerDescriptors = 3
)

// reserve is the number of file descriptors kept for everything that is no
// miner: Reserve, the loops and their listeners (each loop has one for each
// port, and the holds are one more until they are released).
func (c *Config) reserve() int {
	return spare + c.Reserve + c.Loops*pollerDescriptors + (c.Loops+1)*len(c.Ports)
}

// limitConns holds the asked number of connections against RLIMIT_NOFILE. It is
// checked at start because running out later would end the engine.
func (c *Config) limitConns() (int, error) {
	var rlimit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &rlimit); err != nil {
		return 0, fmt.Errorf("read RLIMIT_NOFILE: %w", err)
	}
	return connsWithin(c.MaxConns, c.reserve(), rlimit.Cur)
}

func connsWithin(asked, reserve int, descriptors uint64) (int, error) {
	if descriptors <= uint64(reserve) {
		return 0, fmt.Errorf("the limit of open files is %d, and %d are kept for other uses than miners: raise it (ulimit -n, or LimitNOFILE= in systemd)", descriptors, reserve)
	}
	room := descriptors - uint64(reserve)
	switch {
	case asked < 0:
		return 0, fmt.Errorf("--max-conns is %d, it must not be negative", asked)
	case asked == 0:
		return int(min(room, maxConnsCap)), nil
	case uint64(asked) > room:
		return 0, fmt.Errorf("--max-conns is %d, but the limit of open files is %d and %d are kept for other uses: lower --max-conns to %d or raise the limit to %d (ulimit -n, or LimitNOFILE= in systemd)",
			asked, descriptors, reserve, room, asked+reserve)
	}
	return asked, nil
}
