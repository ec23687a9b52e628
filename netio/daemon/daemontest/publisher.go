package daemontest

import (
	"context"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
)

// Publisher stands in for monerod's --zmq-pub. It is another implementation of ZMTP than the
// client under test. zmq4 never ends the writer goroutine of a PUB socket, so tests that look for
// leaks must ignore github.com/go-zeromq/zmq4.(*pubMWriter).run.
type Publisher struct {
	Addr string // tcp://127.0.0.1:port

	tb     testing.TB
	sock   zmq4.Socket
	cancel context.CancelFunc
}

// NewPublisher listens on a free port.
func NewPublisher(tb testing.TB) *Publisher {
	tb.Helper()
	p := &Publisher{Addr: "tcp://127.0.0.1:" + FreePorts(tb, 1)[0], tb: tb}
	p.Up()
	tb.Cleanup(p.Down)
	return p
}

// Up opens the port (again); Down closes it and all connections.
func (p *Publisher) Up() {
	p.tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.sock = zmq4.NewPub(ctx, zmq4.WithTimeout(5*time.Second))
	if err := p.sock.Listen(p.Addr); err != nil {
		p.tb.Fatalf("publisher: %v", err)
	}
}

func (p *Publisher) Down() {
	p.sock.Close()
	p.cancel()
}

// Block and Tx publish notices as monerod words them; their content is of no matter.
func (p *Publisher) Block() { p.send(`json-minimal-chain_main:{"first_height":1,"ids":[]}`) }
func (p *Publisher) Tx()    { p.send(`json-minimal-txpool_add:[{"id":"00"}]`) }

func (p *Publisher) send(s string) {
	p.tb.Helper()
	if err := p.sock.Send(zmq4.NewMsgString(s)); err != nil {
		p.tb.Errorf("publish: %v", err)
	}
}
