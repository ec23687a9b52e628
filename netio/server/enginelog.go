package server

import (
	"fmt"
	"log/slog"
	"sync"
)

// engineLog passes gnet's messages on, and remembers its latest error: gnet.Run
// returns nil when accept fails, so the reason is to be had nowhere else.
type engineLog struct {
	log *slog.Logger

	mu   sync.Mutex
	last string // guarded by mu
}

// Debugf and Infof are gnet's own affairs: nothing an operator acts on.
func (e *engineLog) Debugf(format string, args ...any) { e.log.Debug(fmt.Sprintf(format, args...)) }

// Infof implements gnet's logging.Logger.
func (e *engineLog) Infof(format string, args ...any) { e.log.Debug(fmt.Sprintf(format, args...)) }

// Warnf implements gnet's logging.Logger.
func (e *engineLog) Warnf(format string, args ...any) { e.log.Warn(fmt.Sprintf(format, args...)) }

// Errorf implements gnet's logging.Logger.
func (e *engineLog) Errorf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	e.log.Error(text)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last = text
}

// Fatalf does not end the process: that is the caller's decision.
func (e *engineLog) Fatalf(format string, args ...any) { e.Errorf(format, args...) }

func (e *engineLog) latest() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last
}
