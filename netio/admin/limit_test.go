package admin_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/netio/admin"
)

// TestIdleCrowd: a thousand connections that say nothing hold no more than the
// port's descriptors, and neither a scraper nor a profile under way suffers.
func TestIdleCrowd(t *testing.T) {
	const crowd, most = 1000, admin.Descriptors - 2
	registry := prometheus.NewRegistry()
	running, finish := make(chan struct{}), make(chan struct{})
	first := true
	s, err := admin.New(admin.Config{Listen: "127.0.0.1:0", Gatherer: registry, Registerer: registry, Ready: []admin.Check{{Name: "slow", Func: func() error {
		if first { // one request only, so nobody else looks
			first = false
			close(running)
			<-finish
		}
		return nil
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (string, error) {
		resp, err := client.Get("http://" + s.Addr().String() + path)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	slow := make(chan error, 1)
	go func() {
		_, err := get("/readyz")
		slow <- err
	}()
	<-running
	var idle []net.Conn
	for range crowd {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	body, err := get("/metrics")
	if err != nil {
		t.Fatalf("a scraper behind the crowd: %v", err)
	}
	// The scraper itself came in after all of them.
	if want := "assay_admin_connections_shed_total 970"; !strings.Contains(body, want) {
		t.Errorf("no %q in\n%s", want, body)
	}
	// All but the last ones have been closed: those without a word the longest.
	open := 0
	for i, c := range idle {
		_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		if i < crowd-most {
			_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		}
		var timeout net.Error
		if _, err := c.Read(make([]byte, 1)); errors.As(err, &timeout) && timeout.Timeout() {
			open++
			break // further ones are younger
		} else if i >= crowd-most+2 {
			t.Fatalf("connection %d of %d is closed: %v", i, crowd, err)
		}
	}
	if open == 0 {
		t.Error("no connection of the crowd is left, the limit is too low to mean anything")
	}
	close(finish)
	if err := <-slow; err != nil {
		t.Errorf("the request that ran all the time: %v", err)
	}
	// Connections that never said a word are nothing to wait for.
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if err := errors.Join(s.Shutdown(ctx), <-done); err != nil {
		t.Error(err)
	}
	for _, c := range idle {
		c.Close()
	}
}

// TestProfilesLeaveRoom: a crowd of slow profiles does not hold every
// connection of the port.
func TestProfilesLeaveRoom(t *testing.T) {
	const crowd = admin.Descriptors - 2
	s, err := admin.New(admin.Config{Listen: "127.0.0.1:0", Gatherer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) int {
		resp, err := client.Get("http://" + s.Addr().String() + path)
		if err != nil {
			return 0
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	codes := make(chan int, crowd)
	for range crowd {
		go func() { codes <- get("/debug/pprof/heap?seconds=3") }()
	}
	// Those that find no place are told at once.
	for range crowd / 2 {
		if code := <-codes; code != http.StatusServiceUnavailable {
			t.Errorf("a profile beyond the limit: %d", code)
		}
	}
	if code := get("/healthz"); code != http.StatusOK {
		t.Errorf("beside the profiles: %d", code)
	}
	for range crowd - crowd/2 {
		<-codes
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
