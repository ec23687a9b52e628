package server

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/coin"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/pool"
)

// patience is how long a test waits for what must happen: the machine may be
// busy with anything else.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(exhaustChild) != "" {
		os.Exit(exhaustDescriptors())
	}
	if os.Getenv(floodChild) != "" {
		os.Exit(serveFlood())
	}
	if order := os.Getenv(swarmChild); order != "" {
		os.Exit(runSwarm(order))
	}
	goleak.VerifyTestMain(m,
		// gnet's shared worker pool lives as long as the process.
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
	)
}

// recorded is testdata/template.json: a public template, and addresses.
type recorded struct {
	Template       string
	Height         uint64
	ReservedOffset int `json:"reserved_offset"`
	Addresses      []struct{ Address, Kind string }
}

func readRecorded() (recorded, error) {
	var r recorded
	data, err := os.ReadFile("testdata/template.json")
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(data, &r)
}

// rig is a server with one pool behind it.
type rig struct {
	t        testing.TB
	server   *Server
	pool     *pool.Pool
	verifier *verifier
	books    *books
	registry *prometheus.Registry
	recorded recorded
	offers   byte
}

// networkDifficulty is high, so that a share is no block unless a test wants it.
const networkDifficulty = 1 << 40

func newPool(t testing.TB, name string, v pool.Verifier, b pool.Books, grace time.Duration, change ...func(*pool.Config)) *pool.Pool {
	t.Helper()
	profile, err := coin.Lookup("monero")
	if err != nil {
		t.Fatal(err)
	}
	cfg := pool.Config{
		Name: name, Coin: profile, Prefix: 7, Books: b, Blocks: blocks{}, Seeds: seeds{}, Chain: seeds{}, Verifier: v,
		JobsPerSession: 8, Templates: 4, StaleGrace: grace, TemplateMaxAge: time.Hour,
		SeedWait: time.Minute, SubmitTimeout: time.Minute, Submissions: 4, Addresses: 1024,
	}
	for _, f := range change {
		f(&cfg)
	}
	p, err := pool.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		p.Close(ctx)
	})
	return p
}

// newRig starts a server. change may alter the configuration first; its ports'
// pools are filled in.
func newRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	r := &rig{
		t: t, registry: prometheus.NewRegistry(),
		verifier: &verifier{verdict: validator.Accepted},
		books:    newBooks(),
	}
	var err error
	if r.recorded, err = readRecorded(); err != nil {
		t.Fatal(err)
	}
	r.pool = newPool(t, "test", r.verifier, r.books, 0)
	cfg := Config{Registerer: r.registry, Loops: 2, Ports: []Port{{Addr: "127.0.0.1:0", StartDifficulty: 10_000, FixedDifficulty: true}}}
	if change != nil {
		change(&cfg)
	}
	for i := range cfg.Ports {
		if cfg.Ports[i].Pool == nil {
			cfg.Ports[i].Pool = r.pool
		}
	}
	if r.server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if err := r.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.server.Stop()
		if err := r.server.Err(); err != nil {
			t.Errorf("server ended with %v", err)
		}
	})
	return r
}

// offer publishes a template. Each has another parent unless refresh is set.
func (r *rig) offer(refresh bool) {
	r.t.Helper()
	if err := offerTo(r.pool, &r.recorded, &r.offers, refresh, networkDifficulty); err != nil {
		r.t.Fatal(err)
	}
}

func offerTo(p *pool.Pool, rec *recorded, n *byte, refresh bool, difficulty uint64) error {
	data, err := hex.DecodeString(rec.Template)
	if err != nil {
		return err
	}
	if !refresh {
		*n++
	}
	const prevAt = 7 // behind two versions and five bytes of timestamp
	data[prevAt] = *n
	return p.Accept(context.Background(), &job.Offer{
		Blob: data, Height: rec.Height, Difficulty: blob.FromUint64(difficulty),
		Prev: [32]byte(data[prevAt:]), Seed: testSeed(), SeedHeight: p.Coin().SeedHeight(rec.Height),
		ReservedOffset: rec.ReservedOffset, Daemon: "test",
	})
}

// metric sums a metric's series whose labels contain all of the given values.
func (r *rig) metric(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			have := ""
			for _, l := range m.GetLabel() {
				have += "," + l.GetName() + "=" + l.GetValue() + ","
			}
			match := true
			for _, l := range labels {
				match = match && strings.Contains(have, ","+l+",")
			}
			if match {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

// eventually waits until a condition holds.
func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			r.t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// balanced asserts invariant I1 at rest.
func (r *rig) balanced() {
	r.t.Helper()
	r.eventually("received = accepted + rejected + shed", func() bool {
		return r.metric("assay_shares_received_total") == r.metric("assay_shares_total")
	})
}
