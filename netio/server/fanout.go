package server

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/assay-pool/assay/validator/job"
)

// fanout is one template's way to all sessions.
type fanout struct {
	start time.Time
	left  atomic.Int32 // loops that have not served it
}

// fanWalk is a loop's walk over its sessions, one for all pools of the process.
//
//	wanted[pool] ──▶ pass: head ▶ cursor ▶ … ▶ end ──▶ served[pool]
//	                   ▲                        │ wanted meanwhile?
//	                   └────────────────────────┘ another pass
//
// Each step takes the pools' newest templates, so a template that arrives
// during a pass goes to the sessions still ahead at once, and the next pass
// passes by those that have it.
type fanWalk struct {
	wanted  []atomic.Pointer[fanout] // by pool; any thread writes
	serving []*fanout                // what the pass began with
	served  []*fanout
	newest  []*job.Template // taken by each step
	cursor  *session
	running bool
	again   bool
}

func (w *fanWalk) init(pools int) {
	w.wanted = make([]atomic.Pointer[fanout], pools)
	w.serving = make([]*fanout, pools)
	w.served = make([]*fanout, pools)
	w.newest = make([]*job.Template, pools)
}

// publish sends every loop to give the pool's new template out. It runs on the
// pool's goroutine and does not wait.
func (s *Server) publish(pool int, _ *job.Template) {
	loops := s.allLoops()
	f := &fanout{start: time.Now()}
	f.left.Store(int32(len(loops)))
	for _, l := range loops {
		l.fan.wanted[pool].Store(f)
		l.request(&l.fanQueued, l.fanTask)
	}
}

// fanWanted is the task of publish.
func (l *loop) fanWanted() {
	l.fanQueued.Store(false)
	if l.fan.running {
		l.fan.again = true
		l.server.metrics.coalesced.Inc()
		return
	}
	l.fan.running = true
	l.fanBegin()
	l.fanStep()
}

func (l *loop) fanBegin() {
	w := &l.fan
	w.again = false
	for i := range w.wanted {
		w.serving[i] = w.wanted[i].Load()
	}
	w.cursor = l.head
}

// fanStep serves sessions for a slice of time. What is left is continued by a
// task from the pacer's goroutine: gnet runs a task that comes from a task
// before it reads again, and submits would wait for the whole walk.
func (l *loop) fanStep() {
	w := &l.fan
	until := time.Now().Add(l.server.cfg.FanoutSlice)
	for i, p := range l.server.pools {
		w.newest[i] = p.Board().Current()
	}
	for n := 1; w.cursor != nil; n++ {
		s := w.cursor
		w.cursor = s.next
		l.fanOne(s)
		if sliceOver(n, until) {
			l.server.resume <- l
			return
		}
	}
	l.fanEnd()
}

// fanOne gives one session its pool's newest template, unless it has it.
func (l *loop) fanOne(s *session) {
	defer func() { l.server.caught(recover()) }()
	template := l.fan.newest[s.port.pool]
	if !s.authorised || s.ending() || template == nil || s.window.Latest().Template == template {
		return
	}
	l.push(s, template)
}

// fanEnd settles the pass, and begins another if it was overtaken.
func (l *loop) fanEnd() {
	w := &l.fan
	for i, f := range w.serving {
		if f == nil || f == w.served[i] {
			continue
		}
		w.served[i] = f
		if f.left.Add(-1) == 0 {
			l.server.metrics.fanout.Observe(time.Since(f.start).Seconds())
		}
	}
	if w.again {
		l.fanBegin()
		l.server.resume <- l
		return
	}
	w.running = false
}

// pace continues walks that have used up a slice. The channel has room for
// every loop, and a loop has at most one walk, so a loop never waits for it.
func (s *Server) pace(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case l := <-s.resume:
			_ = l.engine.Execute(context.Background(), l.fanNextTask)
		}
	}
}
