//go:build crashpoints

package crash

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// plan is what the environment asks for; read once, as it cannot change.
var plan = parse(os.Getenv(Env))

type planned struct {
	point Point
	left  atomic.Int64 // times until it is the one
}

// parse reads "point" or "point:N". Anything else is a mistake in a test, which
// must not pass as a run without a crash.
func parse(text string) *planned {
	name, times, counted := strings.Cut(text, ":")
	n := int64(1)
	if counted {
		var err error
		if n, err = strconv.ParseInt(times, 10, 64); err != nil || n < 1 {
			panic(Env + "=" + text + ": want point or point:N, N at least 1")
		}
	}
	known := name == ""
	for _, p := range Points() {
		known = known || p == Point(name)
	}
	if !known {
		panic(Env + "=" + text + ": no such point")
	}
	p := &planned{point: Point(name)}
	p.left.Store(n)
	return p
}

// At kills the process, as kill -9 would, if the environment asks for this place
// and this time. Safe for concurrent use.
func At(p Point) {
	if p != plan.point || plan.left.Add(-1) != 0 {
		return
	}
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}
