package node

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/pool"
)

// header is get_block_header_by_hash's answer.
func header(id [32]byte, orphan bool) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":"0","result":{"status":"OK","block_header":{"hash":"%x","prev_hash":"%x","height":100,"orphan_status":%v}}}`, id, id, orphan)
}

// TestChain: what daemons say to a block, as the pool is told it.
func TestChain(t *testing.T) {
	const ok, no = `{"jsonrpc":"2.0","id":"0","result":{"status":"OK"}}`, `{"jsonrpc":"2.0","id":"0","error":{"code":-7,"message":"Block not accepted"}}`
	const absent = `{"jsonrpc":"2.0","id":"0","error":{"code":-5,"message":"Internal error"}}`
	id := [32]byte{1, 2, 3}
	for name, c := range map[string]struct {
		submit, header    string
		accepted, unknown bool
		onChain           bool
	}{
		"on the main chain":     {ok, header(id, false), true, false, true},
		"beside the main chain": {ok, header(id, true), false, false, false},
		"refused":               {no, absent, false, false, false},
		"nonsense, then absent": {"<html>", absent, false, true, false},
		"nonsense, but there":   {"<html>", header(id, false), false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			fake := daemontest.NewFake(t, daemontest.FakeOptions{})
			fake.SetReply("submit_block", c.submit)
			fake.SetReply("get_block_header_by_hash", c.header)
			client, err := daemon.New(daemon.Config{Daemons: []daemon.Endpoint{{URL: fake.URL}}, Wallet: fake.Wallet, ReserveSize: job.ExtraSize})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close(context.Background())
			patience := time.Minute
			if c.unknown {
				patience = 300 * time.Millisecond // it is asked until then
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			at, err := chain{client}.Submit(ctx, id, []byte{1})
			if (err == nil) != c.accepted || (at != "") != c.accepted || errors.Is(err, pool.ErrUnknownFate) != c.unknown {
				t.Errorf("submit: %q, %v", at, err)
			}
			where := chain{client}.Locate(context.Background(), id)
			if (where.Daemon != "") != c.onChain || where.Missing == c.onChain {
				t.Errorf("on the chain: %+v", where)
			}
		})
	}
}

// TestVerdict: only a refusal of the template itself puts its daemon aside.
func TestVerdict(t *testing.T) {
	refusal := fmt.Errorf("pool: %w", &job.Refusal{Reason: "height", Detail: "one off"})
	for name, c := range map[string]struct {
		err   error
		alone bool // the daemon is left alone
	}{
		"refusal":     {refusal, true},
		"own trouble": {fmt.Errorf("wait for the cache: %w", context.DeadlineExceeded), false},
	} {
		t.Run(name, func(t *testing.T) {
			fake := daemontest.NewFake(t, daemontest.FakeOptions{})
			client, err := daemon.New(daemon.Config{
				Daemons: []daemon.Endpoint{{URL: fake.URL}}, Wallet: fake.Wallet, ReserveSize: job.ExtraSize,
				PollInterval: 20 * time.Millisecond, RefuseBackoff: time.Hour, RefuseBackoffMax: time.Hour,
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			offers := 0
			err = client.Run(ctx, func(*daemon.Template) error {
				offers++
				if c.alone || offers == 3 {
					cancel()
				}
				return verdict(c.err)
			}, func() {})
			if err != nil || client.Close(context.Background()) != nil {
				t.Fatal(err)
			}
			s := client.Status()[0]
			if s.Healthy == c.alone || (daemon.KindOf(s.LastError) == daemon.KindRefused) != c.alone {
				t.Errorf("after %d offers: %+v", offers, s)
			}
		})
	}
}
