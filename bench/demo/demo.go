package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/assay-pool/assay/cluster/ledger"
	"github.com/assay-pool/assay/cluster/store"
)

// Config of a demo.
type Config struct {
	Dir     string        // everything it writes; made, and emptied at the start
	Bin     string        // folder of assayd and assay-bench
	Blocks  int           // end once so many are accepted; 0 = never
	Timeout time.Duration // give up after this; 0 = never
	Miners  int           // assay-bench mine processes
	Threads int           // hash threads of each
	Listen  string        // stratum address; port 0 takes a free one

	Algo            string // of the private chain, one of Algos
	Difficulty      uint64 // of the network
	ShareDifficulty uint64 // of the port

	Out io.Writer // the live line and the blocks
	TTY bool      // redraw the line in place
}

// marker tells our folder from somebody else's, which is never emptied.
const marker = ".assay-demo"

// pool is the pool's name: what a node without sections calls it.
const pool = "default"

// network is a private chain that monerod can make of one algorithm.
type network struct {
	algo   string
	flag   string // of monerod
	coin   string // of assayd
	wallet string // takes the rewards: a published example address, worth nothing here
	chain  uint64 // default difficulty of the chain
	share  uint64 // default difficulty of a share
	batch  int    // hashes a call of the miners
}

// networks: regtest mines RandomX from its first block, a testnet without
// peers stays at block version 1, whose algorithm is the first CryptoNight.
func networks() []network {
	return []network{
		{"rx/0", "--regtest", "monero-regtest", "45pyCXYn2UBVUmCFjgKr7LF8hCTeGwucWJ2xni7qrbj6GgAZBFY6tANarozZx9DaQqHyuR1AL8HJbRmqwLhUaDpKJW4hqS1", 300, 20, 4},
		{"cn/0", "--testnet", "monero-testnet", "9wNWgnD3JqHVUmCFjgKr7LF8hCTeGwucWJ2xni7qrbj6GgAZBFY6tANarozZx9DaQqHyuR1AL8HJbRmqwLhUaDpKJYcLLjF", 3000, 200, 8},
	}
}

// Algos are the algorithms there is a private chain for.
func Algos() (names []string) {
	for _, n := range networks() {
		names = append(names, n.algo)
	}
	return names
}

// Limits of starting and stopping one child. A daemon on a slow disk needs
// seconds; XMRig's own users would wait no longer for a pool.
const (
	startTimeout = 60 * time.Second
	stopGrace    = 15 * time.Second
	pollInterval = 50 * time.Millisecond
)

// ErrTimeout is a demo that did not reach its blocks in time.
var ErrTimeout = errors.New("--timeout was reached")

// demo is one run.
type demo struct {
	cfg     Config
	net     network
	stratum string   // address miners connect to
	admin   string   // the node's admin port
	rpc     string   // monerod's RPC address
	lock    *os.File // held until the end
	started []*process
	store   *store.Store
	books   *ledger.Reader
}

// Run starts everything, shows it, and ends it when ctx does, when the blocks
// are found, or on the first failure.
func Run(ctx context.Context, cfg Config) (err error) {
	d := &demo{cfg: cfg}
	for _, n := range networks() {
		if n.algo == cfg.Algo {
			d.net = n
		}
	}
	if d.net.algo == "" {
		return fmt.Errorf("--algo %s: there is no private chain of it, only of %s", cfg.Algo, strings.Join(Algos(), ", "))
	}
	if d.cfg.Difficulty == 0 {
		d.cfg.Difficulty = d.net.chain
	}
	if d.cfg.ShareDifficulty == 0 {
		d.cfg.ShareDifficulty = d.net.share
	}
	if cfg.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, cfg.Timeout, ErrTimeout)
		defer cancel()
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := d.prepare(); err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	err = d.watch(ctx)
	if errors.Is(err, context.Canceled) {
		if d.cfg.Blocks == 0 {
			return nil // Ctrl-C is how a demo without --blocks ends
		}
		return errors.New("interrupted before the blocks of --blocks were found")
	}
	return err
}

// prepare makes an empty folder, or empties the one of an earlier demo.
func (d *demo) prepare() error {
	abs, err := filepath.Abs(d.cfg.Dir)
	if err != nil {
		return fmt.Errorf("--dir %s: %w", d.cfg.Dir, err)
	}
	d.cfg.Dir = abs
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return fmt.Errorf("--dir %s: %w", abs, err)
	}
	entries, err := os.ReadDir(abs)
	if err != nil {
		return fmt.Errorf("--dir %s: %w", abs, err)
	}
	path := filepath.Join(abs, marker)
	if _, err := os.Stat(path); len(entries) > 0 && err != nil {
		return fmt.Errorf("--dir %s is not empty and not of an earlier demo; name another folder", abs)
	}
	// The marker is also the lock: an earlier demo that still runs keeps its
	// folder. The kernel unlocks it when this process ends.
	d.lock, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("--dir %s: %w", abs, err)
	}
	if err := syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("--dir %s: another demo runs there; name another folder (%w)", abs, err)
	}
	for _, e := range entries {
		if e.Name() == marker {
			continue
		}
		if err := os.RemoveAll(filepath.Join(abs, e.Name())); err != nil {
			return fmt.Errorf("--dir %s: %w", abs, err)
		}
	}
	return nil
}

// start brings the parts up, each once the one before answers.
func (d *demo) start(ctx context.Context) error {
	ports, err := freePorts(6)
	if err != nil {
		return err
	}
	zmq := "tcp://" + ports[2]
	d.rpc, d.admin = ports[0], ports[3]
	d.stratum = d.cfg.Listen
	if !free(d.stratum) {
		fmt.Fprintf(d.cfg.Out, "%s is taken, the demo listens on %s\n", d.stratum, ports[4])
		d.stratum = ports[4]
	}
	if err := d.startDaemon(ctx, ports[1], zmq, ports[5]); err != nil {
		return err
	}
	data := filepath.Join(d.cfg.Dir, "node")
	err = d.startPart(ctx, "assayd", filepath.Join(d.cfg.Bin, "assayd"), d.nodeReady,
		"--coin="+d.net.coin, "--wallet="+d.net.wallet, "--data-dir="+data,
		"--daemon=http://"+d.rpc+",zmq="+zmq, "--admin-listen="+d.admin,
		fmt.Sprintf("--listen=%s,diff=%d,min=1,desc=Demo", d.stratum, d.cfg.ShareDifficulty), "--vardiff=false")
	if err != nil {
		return err
	}
	d.store, err = store.Open(ctx, store.Config{URL: "unix://" + filepath.Join(data, "redis", "redis.sock")})
	if err != nil {
		return fmt.Errorf("read the node's redis: %w", err)
	}
	if d.books, err = ledger.NewReader(d.store, pool); err != nil {
		return err
	}
	banner, err := os.ReadFile(filepath.Join(d.cfg.Dir, "assayd.log"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(banner)) {
		if strings.HasPrefix(line, " * ") {
			fmt.Fprint(d.cfg.Out, line)
		}
	}
	fmt.Fprintf(d.cfg.Out, "\nstratum+tcp://%s is open. With XMRig: xmrig --algo %s -o %s -u %s.xmrig\n\n", d.stratum, d.net.algo, d.stratum, d.net.wallet)
	for i := range d.cfg.Miners {
		name := fmt.Sprintf("miner-%d", i+1)
		err := d.startPart(ctx, name, filepath.Join(d.cfg.Bin, "assay-bench"), nil,
			"mine", "--pool="+d.stratum, "--user="+d.net.wallet+"."+name,
			"--threads="+strconv.Itoa(d.cfg.Threads), "--batch="+strconv.Itoa(d.net.batch))
		if err != nil {
			return err
		}
		// Real miners are machines of their own; here they must not take the
		// cores from the node that is being shown.
		p := d.started[len(d.started)-1]
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, p.cmd.Process.Pid, minerNice); err != nil {
			return fmt.Errorf("lower the priority of %s: %w", name, err)
		}
	}
	return nil
}

// minerNice leaves a busy node some nine tenths of a core.
const minerNice = 10

// startDaemon starts a private chain and waits until it answers.
func (d *demo) startDaemon(ctx context.Context, p2p, zmq, zmqRPC string) error {
	_, rpcPort, _ := net.SplitHostPort(d.rpc)
	_, p2pPort, _ := net.SplitHostPort(p2p)
	_, zmqPort, _ := net.SplitHostPort(zmqRPC)
	return d.startPart(ctx, "monerod", "monerod", d.daemonReady,
		d.net.flag, "--offline", "--fixed-difficulty="+strconv.FormatUint(d.cfg.Difficulty, 10),
		"--data-dir="+filepath.Join(d.cfg.Dir, "monerod"), "--non-interactive", "--no-igd", "--hide-my-port",
		"--rpc-bind-ip=127.0.0.1", "--rpc-bind-port="+rpcPort, "--p2p-bind-ip=127.0.0.1", "--p2p-bind-port="+p2pPort,
		"--zmq-pub="+zmq, "--zmq-rpc-bind-ip=127.0.0.1", "--zmq-rpc-bind-port="+zmqPort, "--log-level=0", "--max-log-file-size=0")
}

// startPart starts one child and waits until ready says nil; no ready, no wait.
func (d *demo) startPart(ctx context.Context, name, binary string, ready func(context.Context) error, args ...string) error {
	p, err := startProcess(d.cfg.Dir, name, binary, args...)
	if err != nil {
		return err
	}
	d.started = append(d.started, p)
	if ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		last := ready(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.ended()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w (%w); the end of %s:\n%s", name, last, context.Cause(ctx), p.log, tail(p.log))
		case <-time.After(pollInterval):
		}
	}
}

func (d *demo) daemonReady(ctx context.Context) error {
	_, err := d.chainHeight(ctx)
	return err
}

func (d *demo) nodeReady(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.admin+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz says %s", resp.Status)
	}
	return nil
}

// stop ends the children in the reverse of their start: miners, node, daemon.
func (d *demo) stop() error {
	if d.store != nil {
		d.store.Close()
	}
	var errs []error
	for i := len(d.started) - 1; i >= 0; i-- {
		errs = append(errs, d.started[i].stop(stopGrace))
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}

// freePorts finds loopback ports that were free a moment ago.
func freePorts(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

func free(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	return l.Close() == nil
}
