package ledger

import (
	"strings"
	"sync"
)

const (
	// maxRejects bounds the distinct refusals that wait for Redis, about 200 bytes
	// each. Refused shares cost their sender no hash: beyond it they are counted by
	// reason only. The honest ones of a flush interval are a few hundred.
	maxRejects = 16_384
	// maxReasons bounds the distinct reasons of rejects; more become "other".
	maxReasons = 64
)

// rejectKey counts refused shares; an empty wallet = only the pool's counter.
type rejectKey struct{ wallet, worker, reason string }

// rejectCount is the count of one rejectKey.
type rejectCount struct {
	key   rejectKey
	count uint64
}

// rejects are refused shares that have not been counted in Redis yet. They are
// statistics: not journalled, and what a dying process has not sent is gone.
type rejects struct {
	mu      sync.Mutex
	counts  map[rejectKey]uint64 // guarded by mu
	reasons map[string]struct{}  // guarded by mu
	riding  int                  // guarded by mu; entries taken and not counted yet
}

// add counts one and tells whether it was counted under its name.
func (r *rejects) add(wallet, worker, reason string) (named bool) {
	k := rejectKey{wallet, worker, reason}
	if !validWallet(k.wallet) {
		k.wallet, k.worker = "", ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts, r.reasons = map[rejectKey]uint64{}, map[string]struct{}{}
	}
	if _, ok := r.reasons[k.reason]; !ok {
		if len(r.reasons) >= maxReasons {
			k.reason = "other"
		}
		r.reasons[k.reason] = struct{}{}
	}
	_, ok := r.counts[k]
	if !ok && k.wallet != "" && len(r.counts) >= maxRejects {
		k.wallet, k.worker = "", ""
		_, ok = r.counts[k]
	}
	if !ok {
		// The names may be parts of a line of 4 KiB, which they would keep alive.
		k.wallet, k.worker = strings.Clone(k.wallet), strings.Clone(k.worker)
	}
	r.counts[k]++
	return k.wallet != ""
}

// take removes at most n entries.
func (r *rejects) take(n int) []rejectCount {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n <= 0 || len(r.counts) == 0 {
		return nil
	}
	taken := make([]rejectCount, 0, min(n, len(r.counts)))
	for k, count := range r.counts {
		if len(taken) == n {
			break
		}
		taken = append(taken, rejectCount{k, count})
		delete(r.counts, k)
	}
	if len(r.counts) == 0 {
		r.counts = nil // a flood's map stays as large as it was
	}
	r.riding = len(taken)
	return taken
}

// counted forgets what was taken.
func (r *rejects) counted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.riding = 0
}

// give takes back what was not counted.
func (r *rejects) give(back []rejectCount) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts, r.reasons = map[rejectKey]uint64{}, map[string]struct{}{}
	}
	for _, c := range back {
		r.counts[c.key] += c.count
	}
	r.riding = 0
}

// len is the entries that wait or are on their way.
func (r *rejects) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.counts) + r.riding
}
