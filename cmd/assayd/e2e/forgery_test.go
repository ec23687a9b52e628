package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// forgery is what sessions of one host send.
type forgery struct {
	sessions int
	host     string
	every    time.Duration // a session's pause between two shares; 0 = as fast as the node reads
	claims   bool          // every second share claims to be a block
}

// forgers are sessions that send well-formed shares with invented results that
// meet the target of any small difficulty, and come again when they are closed.
type forgers struct {
	forgery
	addr   string
	sent   atomic.Int64
	begun  atomic.Int64 // sessions
	wg     sync.WaitGroup
	cancel context.CancelFunc
}

func (y forgery) begin(t *testing.T, addr string) *forgers {
	ctx, cancel := context.WithCancel(context.Background())
	f := &forgers{forgery: y, addr: addr, cancel: cancel}
	t.Cleanup(f.stop)
	for range y.sessions {
		f.wg.Go(func() {
			for ctx.Err() == nil {
				if f.session(ctx) != nil {
					// Refused by the kernel, say: as fast a script as any.
					select {
					case <-ctx.Done():
					case <-time.After(10 * time.Millisecond):
					}
				}
			}
		})
	}
	return f
}

func (f *forgers) stop() { f.cancel(); f.wg.Wait() }

// session logs in and forges until it is closed.
func (f *forgers) session(ctx context.Context) error {
	dialer := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(f.host)}}
	conn, err := dialer.DialContext(ctx, "tcp", f.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	in := bufio.NewReader(conn)
	if _, err := fmt.Fprintf(conn, `{"id":1,"method":"login","params":{"login":%q,"pass":"x"}}`+"\n", walletB); err != nil {
		return err
	}
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
	f.begun.Add(1)
	closed := make(chan struct{})
	go func() { // ends with the connection
		defer close(closed)
		for {
			if _, err := in.ReadSlice('\n'); err != nil && !errors.Is(err, bufio.ErrBufferFull) {
				return
			}
		}
	}()
	defer func() { conn.Close(); <-closed }()
	pause := make(<-chan time.Time)
	if f.every > 0 {
		tick := time.NewTicker(f.every)
		defer tick.Stop()
		pause = tick.C
	}
	for nonce := rand.Uint32(); ; nonce++ {
		var result [32]byte
		for i := range result {
			result[i] = byte(rand.Uint32())
		}
		result[31] &= 0x0f
		if f.claims && nonce%2 == 0 {
			clear(result[8:])
		}
		if _, err := fmt.Fprintf(conn, `{"id":2,"method":"submit","params":{"id":%q,"job_id":%q,"nonce":"%08x","result":"%x"}}`+"\n",
			answer.Result.ID, answer.Result.Job.ID, nonce, result); err != nil {
			return nil
		}
		f.sent.Add(1)
		if f.every == 0 {
			continue // until the connection takes no more
		}
		select {
		case <-pause:
		case <-closed:
			return nil
		}
	}
}
