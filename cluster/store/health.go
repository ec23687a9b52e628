package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

const (
	// cutGap is the shortest time between two times the connections are cut: an
	// address needs seconds to lead to the new master, and each cut costs the
	// calls under way.
	cutGap = time.Second
	// cutSay is the shortest time between two log lines about it.
	cutSay = time.Minute
)

// plight is what an error code of Redis means for the pool's books.
type plight uint8

const (
	fine    plight = iota // answered; the error is the command's own
	away                  // nothing can be read or written
	refused               // read, but not written
)

// plightOf tells what a code says of the server that answers with it, whatever
// it is asked; fine for those that are about the command. What follows is in
// observe; a caller that must write tries again in any case.
func plightOf(code string) plight {
	switch code {
	case "LOADING", // starting; it will serve
		"MASTERDOWN",          // a replica without its master
		"CLUSTERDOWN",         // slots without a master, or a minority
		"BUSY",                // a script runs, of somebody else
		"NOAUTH", "WRONGPASS": // the password was changed
		return away
	case "READONLY", // a replica, or a master that was demoted
		"MISCONF",    // its disk is full or fails
		"OOM",        // maxmemory is reached
		"NOREPLICAS", // min-replicas-to-write: it may be the wrong side of a partition
		"NOPERM":     // the user's rights were changed
		return refused
	}
	return fine
}

// notMaster tells the codes of a server that is not the master (any more).
func notMaster(code string) bool { return code == "READONLY" || code == "MASTERDOWN" }

// errorCode is the first word of Redis' error. Redis before 7 puts a script's
// into a sentence: "ERR Error running script …: @user_script: 1: -READONLY You …".
func errorCode(text string) string {
	code, _, _ := strings.Cut(text, " ")
	if code != "ERR" {
		return code
	}
	if _, inner, ok := strings.Cut(text, ": -"); ok {
		code, _, _ = strings.Cut(inner, " ")
	}
	return code
}

// health is whether Redis can be used, by the calls that were made.
type health struct {
	mu      sync.Mutex
	away    bool      // guarded by mu; until an answer
	refused bool      // guarded by mu; until a write: that reads are answered proves nothing
	cut     time.Time // guarded by mu; when the connections were last cut
	said    time.Time // guarded by mu; when that was last logged
}

// observe draws the conclusions from a call's error. wrote: without an error
// the call has written.
func (s *Store) observe(err error, wrote bool) {
	if errors.Is(err, context.Canceled) {
		return // the caller gave up, which says nothing of Redis
	}
	h := &s.health
	code := ""
	state := away
	switch re, answered := rueidis.IsRedisErr(err); {
	case err == nil, rueidis.IsRedisNil(err):
		state = fine
	case answered:
		code = errorCode(re.Error())
		state = plightOf(code)
		fallthrough
	default:
		s.metrics.errors.Inc()
	}
	now := time.Now()
	h.mu.Lock()
	h.away = state == away
	switch {
	case state == refused:
		h.refused = true
	case err == nil && wrote:
		h.refused = false
	}
	if h.away || h.refused {
		s.metrics.up.Set(0)
	} else {
		s.metrics.up.Set(1)
	}
	cut := notMaster(code) && now.Sub(h.cut) >= cutGap
	say := cut && now.Sub(h.said) >= cutSay
	if cut {
		h.cut = now
	}
	if say {
		h.said = now
	}
	h.mu.Unlock()
	if !cut {
		return
	}
	s.metrics.cuts.Inc()
	s.conns.cut()
	if say {
		s.cfg.Log.Warn("redis is not the master any more: connections are cut, once a second, until the address leads to one that is",
			"url", s.URL(), "error", err)
	}
}
