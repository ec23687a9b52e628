package admin

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// probeTimeout is what a node gets to answer /healthz; a health check that
// takes longer has its answer.
const probeTimeout = 3 * time.Second

// Probe asks the node whose admin port is listen whether it is healthy; nil =
// it is. A wildcard address is asked by loopback.
func Probe(ctx context.Context, listen string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("--admin-listen %s: %w", listen, err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("no answer at --admin-listen %s: %w", listen, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the node at --admin-listen %s says %s", listen, resp.Status)
	}
	return nil
}
