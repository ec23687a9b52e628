package server

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	gneterrors "github.com/panjf2000/gnet/v2/pkg/errors"

	"github.com/assay-pool/assay/netio/stratum"
	"github.com/assay-pool/assay/validator"
)

func TestDrain(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	c.prove()
	r.verifier.set(validator.Accepted, true)
	for n := range uint32(5) {
		c.submit(n, 10_000)
	}
	r.eventually("five held", func() bool { return r.verifier.count() == 1+5 })
	waiting := r.dial()
	r.eventually("both are open", func() bool { return r.metric("assay_connections") == 2 })
	drained := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() { drained <- r.server.Drain(ctx) }()
	r.eventually("draining", r.server.draining.Load)

	r.dial().closed() // nobody new
	waiting.send(`{"id":1,"method":"login","params":{"login":"%s"}}`, r.recorded.Addresses[0].Address)
	waiting.refused(stratum.TextShutdown)
	c.submit(5, 10_000)
	c.refused(stratum.Text(validator.ShedShutdown))
	c.submit(6, networkDifficulty*2) // a block still goes through
	r.eventually("the block is held", func() bool { return r.verifier.count() == 1+6 })
	select {
	case err := <-drained:
		t.Fatalf("drained with shares in flight: %v", err)
	default:
	}
	r.verifier.release(validator.Accepted)
	for range 6 {
		c.accepted()
	}
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	r.server.Stop()
	if err := r.server.Err(); err != nil {
		t.Fatalf("ended with %v", err)
	}
	c.closed()
	r.balanced()
}

func TestDrainGivesUp(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	r.verifier.set(validator.Accepted, true)
	c := r.dial()
	c.login(r, "")
	c.submit(1, 10_000)
	r.eventually("one held", func() bool { return r.verifier.count() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := r.server.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("drain: %v", err)
	}
	// Verdicts after the end go nowhere, and are counted.
	r.server.Stop()
	r.verifier.release(validator.Accepted)
	r.balanced()
}

func TestStopWithoutStart(t *testing.T) {
	p := newPool(t, "test", &verifier{}, newBooks(), 0)
	s, err := New(Config{Ports: []Port{{Addr: "127.0.0.1:0", Pool: p}}})
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
}

// TestEngineThatStopsIsAnError ends the engine as an accept error would: with
// no word of ours.
func TestEngineThatStopsIsAnError(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	r.dial().login(r, "")
	l := r.server.allLoops()[0]
	if err := l.engine.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
		return gneterrors.ErrEngineShutdown
	})); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.server.Done():
	case <-time.After(patience):
		t.Fatal("the engine still runs")
	}
	if r.server.Err() == nil {
		t.Fatal("no error")
	}
	r.server.err = nil // expected here; the rig asks for none
}
