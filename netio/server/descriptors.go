package server

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// headroom is the number of file descriptors kept for everything that is no
	// miner: Redis, daemons, journal, admin, logs, and the pollers.
	headroom = 512
	// maxConnsCap is the most connections taken without being told to: what one
	// node is built for, also where the descriptor limit is in the millions.
	maxConnsCap = 100_000
)

// limitConns holds the asked number of connections against RLIMIT_NOFILE. It is
// checked at start because running out later would end the engine.
func limitConns(asked int) (int, error) {
	var rlimit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &rlimit); err != nil {
		return 0, fmt.Errorf("read RLIMIT_NOFILE: %w", err)
	}
	return connsWithin(asked, rlimit.Cur)
}

func connsWithin(asked int, descriptors uint64) (int, error) {
	if descriptors <= headroom {
		return 0, fmt.Errorf("the limit of open files is %d, and %d are kept for other uses than miners: raise it (ulimit -n, or LimitNOFILE= in systemd)", descriptors, headroom)
	}
	room := descriptors - headroom
	switch {
	case asked < 0:
		return 0, fmt.Errorf("--max-conns is %d, it must not be negative", asked)
	case asked == 0:
		return int(min(room, maxConnsCap)), nil
	case uint64(asked) > room:
		return 0, fmt.Errorf("--max-conns is %d, but the limit of open files is %d and %d are kept for other uses: lower --max-conns to %d or raise the limit to %d (ulimit -n, or LimitNOFILE= in systemd)",
			asked, descriptors, headroom, room, asked+headroom)
	}
	return asked, nil
}
