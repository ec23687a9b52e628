package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/assay-pool/assay/bench/miner"
)

// redrawEvery is the pace of the live line: a person reads no faster.
const redrawEvery = time.Second

// watch shows progress until the miner ends, and returns its error.
func watch(done <-chan error, m *miner.Miner, every time.Duration, w io.Writer) error {
	live := isTerminal(w)
	if live {
		every = redrawEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	started, last, hashes := time.Now(), time.Now(), uint64(0)
	for {
		select {
		case err := <-done:
			if live {
				fmt.Fprint(w, "\r\x1b[K") // the result follows; the live line goes
			}
			return err
		case now := <-tick.C:
			s := m.Stats()
			line := progressLine(s, now.Sub(started), float64(s.Hashes-hashes)/now.Sub(last).Seconds())
			last, hashes = now, s.Hashes
			if live {
				fmt.Fprintf(w, "\r\x1b[K%s", line)
			} else {
				fmt.Fprintln(w, line)
			}
		}
	}
}

// progressLine is one line, short enough for a terminal while all is well.
func progressLine(s miner.Stats, elapsed time.Duration, rate float64) string {
	line := fmt.Sprintf("%s  %.1f H/s  accepted %d  rejected %d  height %d", elapsed.Round(time.Second), rate, s.Accepted, s.Rejected, s.Height)
	if s.Target > 0 {
		line += fmt.Sprintf("  difficulty %d", (1<<64-1)/s.Target)
	}
	if !s.Connected && s.LastError != "" {
		line += "  not connected: " + s.LastError
	}
	return line
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	stat, err := file.Stat()
	return err == nil && stat.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "" && os.Getenv("TERM") != "dumb"
}
