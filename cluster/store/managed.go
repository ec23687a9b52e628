package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/assay-pool/assay/internal/lockdir"
)

// Defaults of ManagedConfig.
const (
	// DefaultBinary is the server's program, looked for in PATH.
	DefaultBinary = "redis-server"
	// DefaultManagedStop is how long the server may take to write its file out
	// before it is killed; the file is complete either way.
	DefaultManagedStop = 5 * time.Second

	restartMin = 100 * time.Millisecond
	restartMax = 5 * time.Second
	// restartCalm: a server that lived this long starts the back-off afresh.
	restartCalm = 10 * time.Second
	probeEvery  = 10 * time.Millisecond
	// probeTimeout bounds one PING at start and the look at a leftover server.
	probeTimeout = time.Second
)

// ManagedConfig of a node's private redis-server.
type ManagedConfig struct {
	// Dir holds the append-only file, socket, configuration, log and lock; it is
	// made with mode 0700. Its absolute path + "/redis.sock" must fit 107 bytes.
	Dir string
	// Binary is the server's path, "" = DefaultBinary (--redis-server).
	Binary string

	StartTimeout time.Duration // 0 = DefaultStartTimeout
	StopTimeout  time.Duration // 0 = DefaultManagedStop

	Log        *slog.Logger          // nil = none
	Registerer prometheus.Registerer // nil = none
}

// Check fills in what is zero, makes Dir and Binary absolute, and refuses what
// could not be started, by the flag to change. StartManaged does the same.
func (c *ManagedConfig) Check() (err error) {
	if c.StartTimeout <= 0 {
		c.StartTimeout = DefaultStartTimeout
	}
	if c.StopTimeout <= 0 {
		c.StopTimeout = DefaultManagedStop
	}
	if c.Binary, err = findServer(c.Binary); err != nil {
		return err
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	if socket := socketIn(c.Dir); len(socket) > maxSocketPath {
		return fmt.Errorf("--data-dir: the socket path %s has %d bytes, the kernel takes %d; choose a shorter --data-dir",
			socket, len(socket), maxSocketPath)
	}
	return nil
}

// Descriptors is the most file descriptors a Managed uses: its lock, its look at
// the server, what starting a process takes (standard streams, a pipe for its
// error, its pidfd), and the files it writes meanwhile.
func (c *ManagedConfig) Descriptors() int { return 12 }

// Managed is a running private redis-server. It is started again, with
// back-off, whenever it dies, until Stop.
type Managed struct {
	cfg      ManagedConfig
	dir      string // absolute
	binary   string
	lock     *os.File
	restarts prometheus.Counter

	stop chan struct{} // closed by Stop
	done chan struct{} // closed when the keeper has ended
	once sync.Once

	ready atomic.Bool // the first server has answered

	mu  sync.Mutex
	pid int   // guarded by mu; 0 = not running
	n   int   // guarded by mu; restarts
	err error // guarded by mu; why the last start failed
}

// StartManaged starts the server and returns when it answers. Errors name the
// flag to change.
func StartManaged(ctx context.Context, cfg ManagedConfig) (*Managed, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	dir := cfg.Dir
	m := &Managed{cfg: cfg, dir: dir, binary: cfg.Binary, stop: make(chan struct{}), done: make(chan struct{}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_redis_restarts_total",
			Help: "Times the private redis-server died and was started again."})}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	var err error
	if m.lock, err = lockdir.Take(dir); err != nil {
		return nil, err
	}
	if err := m.prepare(ctx); err != nil {
		m.lock.Close()
		return nil, err
	}
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(m.restarts); err != nil {
			m.lock.Close()
			return nil, fmt.Errorf("register redis metrics: %w", err)
		}
	}
	first := make(chan error, 1)
	go m.keep(first)
	ctx, cancel := context.WithTimeout(ctx, cfg.StartTimeout)
	defer cancel()
	if err := m.awaitStart(ctx, first); err != nil {
		m.Stop()
		return nil, err
	}
	cfg.Log.Info("private redis-server runs", "pid", m.PID(), "socket", m.socket())
	return m, nil
}

// prepare ends a server that a killed node left behind, and writes the
// configuration.
func (m *Managed) prepare(ctx context.Context) error {
	if err := endLeftover(ctx, m.dir, m.socket(), m.cfg.StopTimeout, m.cfg.Log); err != nil {
		return err
	}
	if err := rotateLog(m.logFile()); err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	if err := os.WriteFile(m.confFile(), []byte(serverConfig(m.dir)), 0o600); err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	return nil
}

// PrivateURL is the address of the private server in a folder, and whether it
// answers there.
func PrivateURL(dir string) (url string, running bool) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	socket := socketIn(abs)
	return "unix://" + escapePath(socket), ping(socket, probeTimeout)
}

func socketIn(dir string) string { return filepath.Join(dir, "redis.sock") }

func (m *Managed) socket() string   { return socketIn(m.dir) }
func (m *Managed) confFile() string { return filepath.Join(m.dir, "redis.conf") }
func (m *Managed) logFile() string  { return filepath.Join(m.dir, "redis.log") }

// URL is the server's address for Config.URL.
func (m *Managed) URL() string { return "unix://" + escapePath(m.socket()) }

// PID of the running server, 0 while there is none.
func (m *Managed) PID() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pid
}

// Restarts counts how often the server died and was started again.
func (m *Managed) Restarts() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.n
}

// Err tells why the server does not run at the moment; nil while it does.
func (m *Managed) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// awaitStart waits until the first server answers PING, its data loaded.
func (m *Managed) awaitStart(ctx context.Context, first <-chan error) error {
	for {
		select {
		case err := <-first:
			return err
		case <-ctx.Done():
			return fmt.Errorf("private redis-server is not ready within %s (--redis-start-timeout), see %s: %w",
				m.cfg.StartTimeout, m.logFile(), ctx.Err())
		case <-time.After(probeEvery):
		}
		if ping(m.socket(), probeTimeout) {
			m.ready.Store(true)
			return nil
		}
	}
}

// keep runs the server until Stop. It holds one OS thread: Pdeathsig fires when
// the thread that forked the child ends, not the process.
func (m *Managed) keep(first chan<- error) {
	defer close(m.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	wait := restartMin
	for {
		born := time.Now()
		err := m.runOnce()
		select {
		case <-m.stop:
			return
		default:
		}
		m.mu.Lock()
		m.err = err
		m.mu.Unlock()
		if !m.ready.Load() {
			first <- err // a server that cannot start is an error, not a loop
			return
		}
		if time.Since(born) > restartCalm {
			wait = restartMin
		}
		m.cfg.Log.Error("private redis-server died, it is started again", "in", wait, "error", err)
		select {
		case <-m.stop:
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, restartMax)
		m.mu.Lock()
		m.n++
		m.mu.Unlock()
		m.restarts.Inc()
	}
}

// runOnce mends the append-only file, starts the server and waits for its end,
// which is an error unless Stop asked for it.
func (m *Managed) runOnce() error {
	if err := m.mendAOF(); err != nil {
		return err
	}
	logged := fileSize(m.logFile())
	cmd := exec.Command(m.binary, m.confFile())
	cmd.Dir = m.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	// Its own process group: Ctrl-C at the terminal must reach the node alone,
	// which stops Redis last.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s (--redis-server): %w", m.binary, err)
	}
	m.mu.Lock()
	m.pid, m.err = cmd.Process.Pid, nil
	m.mu.Unlock()
	if err := writePID(m.dir, cmd.Process.Pid); err != nil {
		m.cfg.Log.Warn("pid file of redis-server not written", "error", err)
	}
	ended := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() { m.terminate(cmd.Process, ended) })
	err := cmd.Wait()
	close(ended)
	killer.Wait()
	m.mu.Lock()
	m.pid = 0
	m.mu.Unlock()
	if err == nil {
		err = errors.New("it ended by itself with status 0")
	}
	return explainExit(m.dir, m.logFile(), logged, err)
}

// terminate ends the server when Stop is called: SIGTERM, then SIGKILL.
func (m *Managed) terminate(p *os.Process, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-m.stop:
	}
	p.Signal(syscall.SIGTERM)
	p.Signal(syscall.SIGCONT) // a stopped process would not see SIGTERM
	select {
	case <-ended:
		return
	case <-time.After(m.cfg.StopTimeout):
	}
	m.cfg.Log.Warn("private redis-server does not stop, it is killed", "after", m.cfg.StopTimeout)
	p.Kill()
	<-ended
}

// Stop ends the server and waits for it; call it after everything that writes
// to Redis has stopped. It may be called more than once.
func (m *Managed) Stop() {
	m.once.Do(func() { close(m.stop) })
	<-m.done
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lock != nil {
		os.Remove(filepath.Join(m.dir, pidName))
		// Closing alone would leave it locked for as long as a process that is being
		// started elsewhere has the file, too: between its fork and its exec.
		unix.Flock(int(m.lock.Fd()), unix.LOCK_UN)
		m.lock.Close()
		m.lock = nil
		if m.cfg.Registerer != nil {
			m.cfg.Registerer.Unregister(m.restarts)
		}
	}
}
