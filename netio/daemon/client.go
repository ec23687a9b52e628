package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Client follows one pool's chain over its daemons.
type Client struct {
	cfg     Config
	nodes   []*node
	metrics *metrics
	changed chan struct{} // a probe has news for Run; capacity 1
	running atomic.Bool

	submits  sync.WaitGroup
	inFlight chan struct{}   // one per block being submitted
	lingerCx context.Context // ends the senders that outlive Submit
	lingerGo context.CancelFunc

	lingerMu sync.Mutex    // guards lingers; taken last
	lingers  []*submission // answered, still on their way to further daemons; oldest first

	mu        sync.Mutex // guards everything below
	active    *node
	since     time.Time      // when active was chosen
	current   *Template      // as last accepted
	renewed   time.Time      // when current came, or came again byte for byte
	lastFetch time.Time      // when a daemon last gave current or a template no better
	fetchTxs  uint64         // transaction pool size then
	urgent    cause          // a template is wanted whatever the clocks say; causeNone = it is not
	refused   *work          // of a block on current's parent that was refused; nil = none was
	refusedBy map[*node]bool // who has offered that work again since
	refusedID [32]byte       // of the last block that was
	refusals  uint64         // how many, to see that one came meanwhile
	lost      bool           // current is that work, and nothing has replaced it yet
	postponed time.Time      // when accept could last not judge a template; zero = it could since
	closed    bool
}

// New checks the configuration. It makes no call yet.
func New(cfg Config) (*Client, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, changed: make(chan struct{}, 1), inFlight: make(chan struct{}, maxSubmits)}
	c.lingerCx, c.lingerGo = context.WithCancel(context.Background())
	for _, e := range cfg.Daemons {
		call, err := newCaller(e, cfg.MaxResponse)
		if err != nil {
			return nil, err
		}
		zmq, err := e.zmqAddr()
		if err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, &node{caller: call, zmqAddr: zmq, kick: make(chan struct{}, 1)})
	}
	var err error
	if c.metrics, err = newMetrics(&cfg); err != nil {
		return nil, fmt.Errorf("daemon client metrics: %w", err)
	}
	for _, n := range c.nodes {
		n.metrics = c.metrics.node(n.name, n.zmqAddr != "")
	}
	return c, nil
}

// Run follows the chain until ctx ends and returns nil then. accept is called from one goroutine
// for every template that is to replace the last accepted one, and confirm from the same one
// whenever the chosen daemon gave that template again, or one that is no better and has all its
// transactions: it is as good as new. Whoever wants to know how old the work is keeps that time; the
// client does not. An error marked by [Refused] means
// that the template is wrong: it is counted, the daemon is left alone for RefuseBackoff, and the
// next daemon is asked. Any other error means that accept could not judge the template: it is
// counted, nobody is blamed, and the template is fetched again with the next poll. Run may be
// called once.
func (c *Client) Run(ctx context.Context, accept func(*Template) error, confirm func()) error {
	if !c.running.CompareAndSwap(false, true) {
		return errors.New("daemon client is already running")
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, n := range c.nodes {
		wg.Go(func() { c.probe(ctx, n) })
		if n.zmqAddr != "" {
			wg.Go(func() { c.subscribe(ctx, n) })
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.changed:
		case <-timer.C:
		}
		// Bounded: each round that asks for another has blocked one daemon.
		for range c.nodes {
			if !c.step(ctx, accept, confirm) {
				break
			}
		}
		timer.Reset(c.nextLook(time.Now()))
	}
}

// probe polls one daemon: often while it is the one in use or none is, seldom otherwise, and at
// once when a notice asks for it, but never faster than NotifyGap.
func (c *Client) probe(ctx context.Context, n *node) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		start := time.Now()
		ci, err := n.caller.info(ctx, c.cfg.RPCTimeout)
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		n.metrics.polls.Inc()
		n.metrics.infoSeconds.Observe(ci.latency.Seconds())
		if err == nil {
			err = n.named("get_info", c.cfg.checkNetwork(ci.network))
		}
		c.note(n, ci, err, start, now)
		c.announceNews()
		if err == nil {
			c.proveLead(ctx, n, ci)
		}

		interval := c.cfg.HealthInterval
		if a := c.chosen(); a == n || a == nil {
			interval = c.cfg.PollInterval
		}
		timer.Reset(interval)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			continue
		case <-n.kick:
		}
		timer.Reset(time.Until(start.Add(c.cfg.NotifyGap)))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

// note records a poll, and tells the operator of one that failed: at once, and again while it lasts.
func (c *Client) note(n *node, ci chainInfo, err error, start, now time.Time) {
	if err != nil {
		if !n.bad(&c.cfg, err, now) && n.trouble.due(now) {
			c.cfg.Log.Warn("a coin daemon cannot be used (--daemon)", "pool", c.cfg.Pool, "daemon", n.name, "err", err)
		}
		return
	}
	if n.good(&c.cfg, ci, start, now) {
		n.metrics.missed.Inc()
	}
	if n.trouble.over() {
		c.cfg.Log.Info("a coin daemon answers again", "pool", c.cfg.Pool, "daemon", n.name, "height", ci.height)
	}
}

func (c *Client) announceNews() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

func (c *Client) chosen() *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active
}

// choose picks the daemon to use: the first fit one in the order given, else the first that
// answers at all. nil when none does.
func (c *Client) choose(now time.Time) *node {
	s := c.standing(now)
	var heights []uint64
	for _, n := range c.nodes {
		n.mu.Lock()
		if n.votes(now) && n.counts(&c.cfg, &s) {
			heights = append(heights, n.info.height)
		}
		n.mu.Unlock()
	}
	slices.Sort(heights)
	ref := quorumHeight(heights)
	var best *node
	bestFit := unfit
	for _, n := range c.nodes {
		if n.judge(&c.cfg, &s, ref, now) {
			c.unproven(n)
		}
		if f := n.fitness(now); f > bestFit {
			best, bestFit = n, f
		}
	}
	old, changed := c.use(best, now)
	switch {
	case !changed:
	case best == nil:
		c.cfg.Log.Warn("no coin daemon can be used, the last job stays", "pool", c.cfg.Pool, "last", old)
	default:
		c.cfg.Log.Info("coin daemon chosen", "pool", c.cfg.Pool, "daemon", best.name, "before", old)
	}
	return best
}

// use makes a daemon the active one and tells which was before, if it was another.
func (c *Client) use(best *node, now time.Time) (old string, changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if best == c.active {
		return "", false
	}
	old = "none"
	if c.active != nil {
		old = c.active.name
		c.metrics.failovers.Inc()
		c.active.metrics.active.Set(0)
	}
	if best != nil {
		best.metrics.active.Set(1)
		best.wake() // its poll interval is shorter from now on
	}
	c.active, c.since = best, now
	return old, true
}

// unproven tells of a daemon whose height does not count.
func (c *Client) unproven(n *node) {
	n.metrics.errors[KindAbsurd].Inc()
	n.mu.Lock()
	why := n.behind
	n.mu.Unlock()
	c.cfg.Log.Warn("coin daemon is not believed", "pool", c.cfg.Pool, "daemon", n.name, "err", why)
}

// DaemonStatus is one daemon as /readyz and the log show it.
type DaemonStatus struct {
	Name       string // host:port
	Active     bool   // templates come from it
	Healthy    bool   // may be used
	Reason     string // why not, "" when healthy
	Height     uint64 // of the block to be found; 0 = never answered
	Tip        [32]byte
	Latency    time.Duration // of the last good poll
	LastOK     time.Time     // last good poll; zero = never
	LastError  error         // last failure of any call, also when it is over
	ErrorAt    time.Time
	Subscribed bool   // the ZMQ subscription stands
	Feed       string // what is wrong with the ZMQ notices, "" when nothing is known
}

// Status of all daemons, in the order they were given.
func (c *Client) Status() []DaemonStatus {
	active, now := c.chosen(), time.Now()
	out := make([]DaemonStatus, 0, len(c.nodes))
	for _, n := range c.nodes {
		n.mu.Lock()
		s := DaemonStatus{Name: n.name, Active: n == active, Reason: n.reason(now), Height: n.info.height,
			Tip: n.info.tip, Latency: n.info.latency, LastOK: n.lastOK, LastError: n.lastErr, ErrorAt: n.lastErrAt,
			Subscribed: n.feed.up, Feed: n.feed.trouble()}
		n.mu.Unlock()
		s.Healthy = s.Reason == ""
		out = append(out, s)
	}
	return out
}

// Template is the last accepted one, nil before the first. It must not be changed.
func (c *Client) Template() *Template {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// HeaderByHeight asks the daemons in order of preference, the chosen one first, for a block of the
// chain; the first answer counts. The error is the last daemon's.
func (c *Client) HeaderByHeight(ctx context.Context, height uint64) (h Header, err error) {
	err = errNoDaemon
	for _, n := range c.order() {
		if h, err = n.headerByHeight(ctx, c.cfg.RPCTimeout, height); err == nil {
			return h, nil
		}
	}
	return Header{}, err
}

// order is the daemons of our network with the chosen one first. It may be empty.
func (c *Client) order() []*node {
	order := make([]*node, 0, len(c.nodes))
	a := c.chosen()
	if a != nil && !a.isForeign() {
		order = append(order, a)
	}
	for _, n := range c.nodes {
		if n != a && !n.isForeign() {
			order = append(order, n)
		}
	}
	return order
}

// errNoDaemon is the answer of no daemon at all.
var errNoDaemon = errors.New("no coin daemon is on the coin's network")

// Close waits for the senders that Submit left running, until ctx ends; then it cuts them off. No
// Submit may begin after it. Returns ctx's error if it had to cut.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	done := make(chan struct{})
	go func() { c.submits.Wait(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("block submission still running: %w", ctx.Err())
	}
	c.lingerGo()
	<-done
	for _, n := range c.nodes {
		n.caller.close()
	}
	return err
}
