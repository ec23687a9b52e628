// Package logtest holds a package to the rule that nothing logs while it holds
// a lock: whoever reads the log would decide how long the lock is held.
package logtest

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"
)

// heldFor is how long a lock must be out of reach before its holder is taken to
// be the one that logs: others have it for microseconds.
const heldFor = 10 * time.Second

// Handler is a [slog.Handler] that fails the test when a record comes from a
// goroutine that holds one of the locks it watches. It prints nothing.
type Handler struct {
	t testing.TB

	mu       sync.Mutex
	probes   []func() // guarded by mu
	messages []string // guarded by mu; of records that were checked
}

// New makes a handler that watches nothing yet.
func New(t testing.TB) *Handler { return &Handler{t: t} }

// Watch adds probes, once there is something to watch: each takes locks and
// gives them back, as [Lock] does or any method that needs them.
func (h *Handler) Watch(probes ...func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.probes = append(h.probes, probes...)
}

// Lock is a probe of one lock.
func Lock(l sync.Locker) func() {
	return func() {
		l.Lock()
		defer l.Unlock()
	}
}

// Checked tells whether a record with this message was held to the rule.
func (h *Handler) Checked(message string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.messages, message)
}

// Enabled implements slog.Handler.
func (h *Handler) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup implements slog.Handler.
func (h *Handler) WithGroup(string) slog.Handler { return h }

// Handle lets others have each lock once while the record is logged, as a log
// that waits for its reader must.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	probes := h.probes
	h.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, probe := range probes {
			probe()
		}
	}()
	timer := time.NewTimer(heldFor)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		h.t.Errorf("%q is logged by a goroutine that holds a lock", r.Message)
	}
	if len(probes) > 0 {
		h.mu.Lock()
		h.messages = append(h.messages, r.Message)
		h.mu.Unlock()
	}
	return nil
}
