package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// flood is sessions that send forged shares as fast as the node reads them, half
// of them claims to be a block, and come again when they are closed.
type flood struct {
	addr   string
	sent   atomic.Int64
	wg     sync.WaitGroup
	cancel context.CancelFunc
}

func newFlood(t *testing.T, addr string, sessions int) *flood {
	ctx, cancel := context.WithCancel(context.Background())
	f := &flood{addr: addr, cancel: cancel}
	for range sessions {
		f.wg.Go(func() {
			for ctx.Err() == nil {
				if err := f.session(ctx); err != nil {
					select {
					case <-ctx.Done():
					case <-time.After(10 * time.Millisecond):
					}
				}
			}
		})
	}
	t.Cleanup(f.stop)
	return f
}

func (f *flood) stop() { f.cancel(); f.wg.Wait() }

// session logs in and floods until it is closed.
func (f *flood) session(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", f.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	hangUp := context.AfterFunc(ctx, func() { conn.Close() })
	defer hangUp()
	in := bufio.NewReader(conn)
	fmt.Fprintf(conn, `{"id":1,"method":"login","params":{"login":%q,"pass":"x"}}`+"\n", walletB)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var answer struct {
		Result struct {
			ID  string
			Job struct {
				ID string `json:"job_id"`
			}
		}
	}
	if err := json.Unmarshal(line, &answer); err != nil || answer.Result.ID == "" {
		return fmt.Errorf("login: %s %w", line, err)
	}
	var reader sync.WaitGroup
	reader.Go(func() {
		for buf := make([]byte, 64<<10); ; {
			if _, err := conn.Read(buf); err != nil {
				return
			}
		}
	})
	defer reader.Wait()
	defer conn.Close()
	for nonce := rand.Uint32(); ; nonce++ {
		high := uint64(1) << 60 // meets difficulty 2
		if nonce%2 == 0 {
			high = 1 // and the network's
		}
		if _, err := fmt.Fprintf(conn, `{"id":2,"method":"submit","params":{"id":%q,"job_id":%q,"nonce":"%08x","result":"%048x%s"}}`+"\n",
			answer.Result.ID, answer.Result.Job.ID, nonce, nonce, reversed(high)); err != nil {
			return nil
		}
		f.sent.Add(1)
	}
}

// reversed is a number's eight bytes little-endian, in hex.
func reversed(v uint64) string {
	var b strings.Builder
	for range 8 {
		fmt.Fprintf(&b, "%02x", byte(v))
		v >>= 8
	}
	return b.String()
}

// TestStopUnderFlood: with 24 sessions that forge as fast as they can, and a
// RandomX cache being filled, the node is gone in the time promised, each time.
func TestStopUnderFlood(t *testing.T) {
	for round := range 3 {
		fake := newFake(t, 1000)
		n := startNode(t, "--daemon", fake.URL, "--listen", "127.0.0.1:0,diff=2")
		f := newFlood(t, n.ports[0], 24)
		n.wait("the flood to be in the queue", func() error {
			s := n.metrics()
			if judged := s.Sum("assay_shares_total", "verdict", "bad_hash"); judged < 20 || f.sent.Load() < 2000 {
				return fmt.Errorf("%v judged, %d sent", judged, f.sent.Load())
			}
			return nil
		})
		// The next epoch's seed is the block at height 2048: its cache begins to be
		// filled as soon as the node learns of it.
		fake.SetHeight(2049)
		fake.SetSeeds(seedOf(t, genesis), fake.Tip(), 0)
		fake.Extend(1)
		n.wait("a second cache", func() error {
			if building := n.metric("assay_randomx_epochs_waiting", "", ""); building == 0 {
				return errors.New("none is being filled")
			}
			return nil
		})
		began := time.Now()
		if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		select {
		case <-n.done:
		case <-time.After(patience):
			t.Fatalf("the node did not end within %v of SIGTERM", patience)
		}
		took := time.Since(began)
		if took > stopWithin {
			t.Errorf("round %d: the node took %v to stop, promised are %v", round, took, stopWithin)
		}
		t.Logf("round %d: stopped in %v after %d forged shares, %v", round, took.Round(time.Millisecond), f.sent.Load(), n.err)
		text := n.out.String()
		t.Logf("its last words: %s", text[strings.LastIndex(text, "msg=stopping"):])
		f.stop()
	}
}
