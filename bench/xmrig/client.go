package xmrig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/assay-pool/assay/native/algo"
)

// Defaults and limits, XMRig's where it has one.
const (
	// DefaultResponseTimeout is XMRig's kResponseTimeout.
	DefaultResponseTimeout = 20 * time.Second
	// DefaultKeepAlive is XMRig's pause between two keepalived.
	DefaultKeepAlive = 60 * time.Second
	// maxLineBytes is the chunk XMRig reads into; a longer line is lost.
	maxLineBytes = 64 << 10
	// minLineBytes is the shortest line XMRig parses.
	minLineBytes = 32
	// queueJobs and queueStrays bound what a test has not fetched yet; the
	// oldest go first and are counted by Dropped.
	queueJobs   = 256
	queueStrays = 256
	// writeTimeout ends a write to a pool that no longer reads.
	writeTimeout = 20 * time.Second
)

// ErrClosed is what a client returns after its own Close.
var ErrClosed = errors.New("xmrig client: closed")

// Config is what a miner's config file says.
type Config struct {
	Addr  string // host:port
	Local string // address to connect from; "" is any
	Login string // wallet[.worker][+difficulty]
	Pass  string // "" sends "x"
	RigID string // "" sends none
	Agent string // "" is an XMRig of our own
	Algos []algo.ID

	ResponseTimeout time.Duration // 0 = DefaultResponseTimeout
	DialTimeout     time.Duration // 0 = DefaultResponseTimeout
}

// Client is one connection.
type Client struct {
	cfg    Config
	conn   net.Conn
	jobs   chan *Job
	strays chan *Response
	done   chan struct{} // closed after err is set
	reader sync.WaitGroup

	writeMu sync.Mutex // one line at a time; taken without mu

	mu         sync.Mutex
	err        error               // guarded by mu; why the client ended
	pending    map[string]*request // guarded by mu; by canonical id
	sequence   int64               // guarded by mu; XMRig's login is 1
	rpcID      string              // guarded by mu
	extensions map[string]bool     // guarded by mu
	last       *Job                // guarded by mu
	dropped    int                 // guarded by mu
}

// Dial connects. The client reads until it is closed or a rule is broken.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	if cfg.ResponseTimeout == 0 {
		cfg.ResponseTimeout = DefaultResponseTimeout
	}
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = DefaultResponseTimeout
	}
	if cfg.Pass == "" {
		cfg.Pass = "x"
	}
	if cfg.Agent == "" {
		cfg.Agent = "XMRig/6.22.2 (Linux x86_64) assay-contract"
	}
	if len(cfg.Algos) == 0 {
		cfg.Algos = []algo.ID{algo.RX0}
	}
	dialer := net.Dialer{Timeout: cfg.DialTimeout}
	if cfg.Local != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(cfg.Local)}
	}
	conn, err := dialer.DialContext(ctx, "tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("connect to pool: %w", err)
	}
	c := &Client{
		cfg: cfg, conn: conn, sequence: 1,
		jobs: make(chan *Job, queueJobs), strays: make(chan *Response, queueStrays),
		done: make(chan struct{}), pending: map[string]*request{}, extensions: map[string]bool{},
	}
	c.reader.Add(1)
	go c.read()
	return c, nil
}

// Close ends the connection and waits for the reader.
func (c *Client) Close() {
	c.fail(ErrClosed)
	c.reader.Wait()
}

// Done is closed when the client has ended; Err then says why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is nil while the connection lives, and then a [*Violation] or [ErrClosed].
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// ID is the session id of the login result.
func (c *Client) ID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rpcID
}

// Has reports whether the login result offered an extension.
func (c *Client) Has(extension string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.extensions[extension]
}

// Dropped counts jobs and strays nobody fetched in time.
func (c *Client) Dropped() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped
}

// LocalAddr is the client's end of the connection.
func (c *Client) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// fail ends the client for the first reason given.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.done)
	_ = c.conn.Close() // the reader sees it; nothing is left to flush
}

// Send writes bytes as they are, for input no miner would send. No newline is
// added.
func (c *Client) Send(raw []byte) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return c.closedOr(err)
	}
	if _, err := c.conn.Write(raw); err != nil {
		return c.closedOr(err)
	}
	return nil
}

// closedOr prefers the reason the client ended to what a dead socket says.
func (c *Client) closedOr(err error) error {
	if why := c.Err(); why != nil {
		return why
	}
	return broken(RuleOpen, "write: %v", err)
}

// NextJob waits for the next pushed job; the login's job is not among them.
func (c *Client) NextJob(ctx context.Context) (*Job, error) {
	return next(ctx, c, c.jobs)
}

// NextStray waits for the next answer that belongs to no request of this
// client, as an answer to bytes from Send does.
func (c *Client) NextStray(ctx context.Context) (*Response, error) {
	return next(ctx, c, c.strays)
}

// next prefers what is queued to the reason the client ended.
func next[T any](ctx context.Context, c *Client, queue chan T) (T, error) {
	var none T
	select {
	case item := <-queue:
		return item, nil
	default:
	}
	select {
	case item := <-queue:
		return item, nil
	case <-c.done:
		select {
		case item := <-queue:
			return item, nil
		default:
			return none, c.Err()
		}
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// offer queues an item, dropping the oldest when nobody fetches.
func offer[T any](c *Client, queue chan T, item T) {
	for {
		select {
		case queue <- item:
			return
		default:
		}
		select {
		case <-queue:
			c.mu.Lock()
			c.dropped++
			c.mu.Unlock()
		default:
		}
	}
}

// read is the reader goroutine. It owns the receiving side.
func (c *Client) read() {
	defer c.reader.Done()
	scanner := bufio.NewScanner(c.conn)
	scanner.Buffer(make([]byte, 0, 4096), maxLineBytes)
	for scanner.Scan() {
		if err := c.line(scanner.Bytes()); err != nil {
			c.fail(err)
			return
		}
	}
	switch err := scanner.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		c.fail(broken(RuleLine, "longer than %d bytes", maxLineBytes))
	case err != nil:
		c.fail(broken(RuleOpen, "read: %v", err))
	default:
		c.fail(broken(RuleOpen, "by the pool"))
	}
}

// line handles one line in XMRig's order.
func (c *Client) line(line []byte) error {
	if len(line) < minLineBytes || line[0] != '{' {
		return broken(RuleLine, "JSON decode failed: %.60q", line)
	}
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return broken(RuleLine, "JSON decode failed: %v in %.60q", err, line)
	}
	method, isMethod := text(m.Method)
	switch {
	case !isMethod:
		return c.answer(&m)
	case method == "client.reconnect":
		return broken(RuleReconnect, "%s", show(m.Params))
	case len(m.ID) > 0 && string(m.ID) != "null":
		return broken(RuleNotification, "%s with id %s", method, show(m.ID))
	case len(m.Error) > 0 && string(m.Error) != "null":
		return broken(RuleNotification, "%s with error %s", method, show(m.Error))
	case method == "job":
		return c.pushed(m.Params)
	}
	return nil // XMRig ignores notifications it does not know
}

// pushed takes a job notification.
func (c *Client) pushed(params json.RawMessage) error {
	job, err := ParseJob(params, c.cfg.Algos, c.Has("nicehash"))
	if err != nil {
		return err
	}
	c.mu.Lock()
	same := c.last != nil && c.last.Same(job)
	c.last = job
	c.mu.Unlock()
	if same {
		return broken(RuleDuplicateJob, "duplicate job received, reconnect: job_id %s", job.ID)
	}
	offer(c, c.jobs, job)
	return nil
}
