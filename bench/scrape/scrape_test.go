package scrape

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func TestGet(t *testing.T) {
	reg := prometheus.NewRegistry()
	shares := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "shares_total"}, []string{"verdict"})
	wait := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "wait_seconds", Buckets: []float64{1}})
	reg.MustRegister(shares, wait)
	shares.WithLabelValues("accepted").Add(3)
	shares.WithLabelValues("stale").Add(4)
	wait.Observe(2)
	srv := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	defer srv.Close()
	ctx := context.Background()
	before, err := Get(ctx, srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	wait.Observe(4)
	wait.Observe(6)
	after, err := Get(ctx, srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	if all, one, none := after.Sum("shares_total", "", ""), after.Sum("shares_total", "verdict", "stale"), after.Sum("nothing", "", ""); all != 7 || one != 4 || none != 0 {
		t.Errorf("sums %v, %v, %v; want 7, 4, 0", all, one, none)
	}
	if mean, ok := after.Mean(before, "wait_seconds"); !ok || mean != 5 {
		t.Errorf("mean %v, %v; want 5", mean, ok)
	}
	if _, ok := after.Mean(after, "wait_seconds"); ok {
		t.Error("a mean of nothing")
	}
}

func TestGetErrors(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"status":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{not metrics")) },
	} {
		srv := httptest.NewServer(answer)
		if _, err := Get(context.Background(), srv.URL); err == nil {
			t.Errorf("%s: no error", name)
		}
		srv.Close()
		if _, err := Get(context.Background(), srv.URL); err == nil {
			t.Error("a server that is gone: no error")
		}
	}
}
