package admin

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestProbe(t *testing.T) {
	s, err := New(Config{Listen: "127.0.0.1:0", Gatherer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	ctx := context.Background()
	_, port, _ := net.SplitHostPort(s.Addr().String())
	for _, listen := range []string{"127.0.0.1:" + port, "0.0.0.0:" + port, ":" + port} {
		if err := Probe(ctx, listen); err != nil {
			t.Errorf("Probe(%s): %v", listen, err)
		}
	}
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	for _, listen := range []string{"127.0.0.1:" + port, "nonsense"} {
		if err := Probe(ctx, listen); err == nil || !strings.Contains(err.Error(), "--admin-listen") {
			t.Errorf("Probe(%s) of a node that is gone: %v", listen, err)
		}
	}
}
