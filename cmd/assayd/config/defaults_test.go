package config

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/ledger"
	"github.com/assay-pool/assay/cluster/store"
	"github.com/assay-pool/assay/cmd/assayd/sink"
	"github.com/assay-pool/assay/native/randomx"
	"github.com/assay-pool/assay/netio/admin"
	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/netio/server"
	"github.com/assay-pool/assay/validator/pool"
	"github.com/assay-pool/assay/validator/verify"
)

// printed are the lines of --print-config without a source.
func printed(t *testing.T, args ...string) (text string, names []string) {
	t.Helper()
	set, _ := newSet("test", nil)
	var out, errs bytes.Buffer
	if code, _ := set.Load(append(args, "--print-config"), nil, &out, &errs); code != 0 {
		t.Fatalf("--print-config: code %d, %s", code, errs.String())
	}
	for line := range strings.Lines(out.String()) {
		if name, _, ok := strings.Cut(line, " = "); ok && !strings.HasPrefix(line, "#") {
			names = append(names, name)
		}
	}
	return out.String(), names
}

// TestDefaults: a knob exists once. Every flag's default is the constant of the
// package whose Config it sets, or that Config's zero where zero has a meaning
// of its own, and the zero Config means the same.
func TestDefaults(t *testing.T) {
	cfg, err := parse(t, "--wallet", wallet)
	if err != nil {
		t.Fatal(err)
	}
	p := cfg.Pools[0]
	var (
		zeroServer  server.Config
		zeroVerify  verify.Config
		zeroRandomX randomx.Config
		zeroStore   store.Config
		zeroLedger  ledger.Config
		zeroAdmin   admin.Config
		zeroPort    server.Port
	)
	type pair struct{ got, want any }
	flags := map[string]pair{
		"data-dir":     {cfg.DataDir, DefaultDataDir},
		"stop-timeout": {cfg.StopTimeout, DefaultStopTimeout},
		"log-level":    {cfg.LogLevel, slog.Level(0)},
		"log-format":   {cfg.LogFormat, "text"},
		"log-buffer":   {cfg.Log.Buffer, sink.DefaultBuffer},
		"probe":        {cfg.Probe, false},
		"cpu-disable":  {len(cfg.CPUDisable), 0},
		"pin":          {cfg.Pin, PinAuto},

		"workers":               {cfg.Verify.Workers, zeroVerify.Workers},
		"loops":                 {cfg.Server.Loops, zeroServer.Loops},
		"huge-pages":            {cfg.RandomX.NoHugePages, zeroRandomX.NoHugePages},
		"randomx-mode":          {cfg.RandomX.Mode, zeroRandomX.Mode},
		"randomx-build-threads": {cfg.RandomX.BuildThreads, randomx.DefaultBuildThreads},
		"randomx-caches":        {cfg.RandomX.MaxCaches, zeroRandomX.MaxCaches},
		"cryptonight-width":     {cfg.CryptoNight.Width, 0},
		"verify-queue":          {cfg.Verify.Queue, verify.DefaultQueue},
		"verify-candidates":     {cfg.Verify.Candidates, verify.DefaultCandidates},
		"verify-deadline":       {cfg.Verify.Deadline, verify.DefaultDeadline},
		"batch-wait":            {cfg.Verify.BatchWait, verify.DefaultBatchWait},

		"max-conns":           {cfg.Server.MaxConns, zeroServer.MaxConns},
		"max-line":            {cfg.Server.MaxLine, server.DefaultMaxLine},
		"login-timeout":       {cfg.Server.LoginTimeout, server.DefaultLoginTimeout},
		"first-share-timeout": {cfg.Server.FirstShareTimeout, server.DefaultFirstShareTimeout},
		"idle-timeout":        {cfg.Server.IdleTimeout, server.DefaultIdleTimeout},
		"outbound-limit":      {cfg.Server.OutboundLimit, server.DefaultOutboundLimit},
		"slow-reader":         {cfg.Server.StallTimeout, server.DefaultStallTimeout},
		"no-work-timeout":     {cfg.Server.NoWorkTimeout, server.DefaultNoWorkTimeout},
		"session-inflight":    {cfg.Server.InflightSession, server.DefaultInflightSession},
		"job-shares":          {cfg.Server.JobShares, server.DefaultJobShares},
		"protocol-errors":     {cfg.Server.MaxFaults, server.DefaultMaxFaults},

		"redis":                 {cfg.Redis.URL, zeroStore.URL},
		"redis-sentinel-master": {cfg.Redis.SentinelMaster, zeroStore.SentinelMaster},
		"redis-user":            {cfg.Redis.Username, zeroStore.Username},
		"redis-password-file":   {cfg.Redis.Password, zeroStore.Password},
		"redis-allow-eviction":  {cfg.Redis.AllowEviction, zeroStore.AllowEviction},
		"redis-server":          {cfg.PrivateRedis.Binary, store.DefaultBinary},
		"redis-start-timeout":   {cfg.Redis.StartTimeout, store.DefaultStartTimeout},
		"redis-timeout":         {cfg.Redis.CallTimeout, store.DefaultCallTimeout},
		"flush-interval":        {cfg.Ledger.FlushInterval, ledger.DefaultFlushInterval},
		"chunk-size":            {cfg.Ledger.ChunkSize, zeroLedger.ChunkSize},
		"round-keep":            {cfg.Ledger.RoundKeep, ledger.DefaultRoundKeep},

		"journal-sync-interval": {cfg.Journal.Sync, journal.DefaultSync},
		"journal-max":           {cfg.Journal.MaxBytes, int64(journal.DefaultMaxBytes)},
		"journal-keep":          {cfg.Journal.Keep, journal.DefaultKeep},

		"admin-listen": {cfg.Admin.Listen, admin.DefaultListen},
		"admin-host":   {len(cfg.Admin.AllowHosts), 0},
		"admin-public": {cfg.Admin.AllowRemote, zeroAdmin.AllowRemote},

		"coin":              {p.Pool.Coin.Name, defaultCoin},
		"algo":              {p.Pool.Coin.Name, defaultCoin}, // by the coin's schedule
		"wallet":            {p.Daemon.Wallet, wallet},
		"daemon":            {p.Daemon.Daemons[0].URL, defaultDaemon},
		"daemon-login-file": {p.Daemon.Daemons[0].Login, ""},
		"daemon-poll":       {p.Daemon.PollInterval, daemon.DefaultPollInterval},
		"daemon-health":     {p.Daemon.HealthInterval, daemon.DefaultHealthInterval},
		"daemon-timeout":    {p.Daemon.RPCTimeout, daemon.DefaultRPCTimeout},
		"submit-timeout":    {p.Pool.SubmitTimeout, pool.DefaultSubmitTimeout},
		"template-refresh":  {p.Daemon.TxRefresh, daemon.DefaultTxRefresh},
		"template-renew":    {p.Daemon.MaxAge, daemon.DefaultMaxAge},
		"template-max-age":  {p.Pool.TemplateMaxAge, pool.DefaultTemplateMaxAge},
		"templates":         {p.Pool.Templates, pool.DefaultTemplates},
		"stale-grace":       {p.Pool.StaleGrace, pool.DefaultStaleGrace},
		"jobs":              {p.Pool.JobsPerSession, pool.DefaultJobsPerSession},

		"listen":           {p.Ports[0].StartDifficulty, uint64(server.DefaultStartDifficulty)},
		"vardiff":          {p.Port.FixedDifficulty, zeroPort.FixedDifficulty},
		"vardiff-min":      {p.Port.MinDifficulty, uint64(server.DefaultMinDifficulty)},
		"vardiff-max":      {p.Port.MaxDifficulty, uint64(server.DefaultMaxDifficulty)},
		"vardiff-target":   {p.Port.Vardiff.Target, server.DefaultVardiffTarget},
		"vardiff-retarget": {p.Port.Vardiff.Retarget, server.DefaultVardiffRetarget},
		"vardiff-variance": {p.Port.Vardiff.Variance, float64(server.DefaultVardiffVariance)},
		"vardiff-max-jump": {p.Port.Vardiff.MaxJump, float64(server.DefaultVardiffMaxJump)},
	}
	_, names := printed(t, "--wallet", wallet)
	for _, name := range names {
		pair, known := flags[name]
		delete(flags, name)
		switch {
		case !known:
			t.Errorf("--%s has no line here: say which package's constant is its default", name)
		case pair.got != pair.want:
			t.Errorf("--%s is %v by default, its package says %v", name, pair.got, pair.want)
		}
	}
	for name := range flags {
		t.Errorf("there is no flag --%s", name)
	}
	// Whoever leaves a Config empty gets the same as whoever leaves the flags out.
	at := []daemon.Endpoint{{URL: "http://h:1"}}
	ports := []server.Port{{Addr: ":1"}}
	port := p.Port
	port.Addr = ":1"
	for _, c := range []struct {
		flags, zero interface{ Check() error }
	}{
		{&cfg.Server, &server.Config{Ports: ports}},
		{&port, &server.Port{Addr: ":1"}},
		{&cfg.Admin, &admin.Config{}},
		{&cfg.Redis, &store.Config{}},
		{&cfg.PrivateRedis, &store.ManagedConfig{Dir: cfg.PrivateRedis.Dir}},
		{&p.Daemon, &daemon.Config{Daemons: at, Wallet: wallet, ReserveSize: p.Daemon.ReserveSize}},
	} {
		switch flags := c.flags.(type) {
		case *server.Config:
			flags.Ports, flags.Reserve = ports, 0 // for other packages
		case *store.Config:
			flags.URL, c.zero.(*store.Config).URL = "redis://h", "redis://h"
		case *daemon.Config:
			flags.Daemons = at
		}
		if err := errors.Join(c.flags.Check(), c.zero.Check()); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(c.flags, c.zero) {
			t.Errorf("without flags %T is\n%+v, its zero means\n%+v", c.zero, c.flags, c.zero)
		}
	}
}

// TestPrintedIsInForce: --print-config shows what a node would run with: read
// again, it gives the same.
func TestPrintedIsInForce(t *testing.T) {
	cfg, err := parse(t, "--wallet", wallet)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := printed(t, "--wallet", wallet)
	file := filepath.Join(t.TempDir(), "printed.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := parse(t, "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	cfg.CPUDisable, again.CPUDisable = nil, nil // empty or nil
	cfg.Admin.AllowHosts, again.Admin.AllowHosts = nil, nil
	if !reflect.DeepEqual(cfg, again) {
		t.Errorf("what is printed is another configuration:\n%+v\nthan what is in force:\n%+v", again, cfg)
	}
}
