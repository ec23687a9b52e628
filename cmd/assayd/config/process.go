package config

import (
	"time"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/ledger"
	"github.com/assay-pool/assay/cluster/store"
	"github.com/assay-pool/assay/cmd/assayd/sink"
	"github.com/assay-pool/assay/cmd/internal/options"
	"github.com/assay-pool/assay/native/cryptonight"
	"github.com/assay-pool/assay/native/randomx"
	"github.com/assay-pool/assay/netio/admin"
	"github.com/assay-pool/assay/netio/server"
	"github.com/assay-pool/assay/validator/verify"
)

// registerProcess binds the flags that exist once a process.
func registerProcess(f *options.Flags, c *Config) {
	f.Group("Node")
	f.String(&c.DataDir, "data-dir", DefaultDataDir, "`Folder` for everything the node keeps: its journal of accepted shares and found blocks, and its private Redis. Let it outlive the process, on a disk that keeps what it has synced. One node a folder.")
	f.Duration(&c.StopTimeout, "stop-timeout", DefaultStopTimeout, time.Second, 5*time.Minute, "Time to finish queued shares, blocks on their way and the last flush after SIGTERM. What a stage does not need goes to the next; the process is gone 2 s later. Raise it only if the service manager waits longer.")
	f.Text(&c.LogLevel, "log-level", []string{"debug", "info", "warn", "error"}, "Least level that is logged, to standard error.")
	f.Enum(&c.LogFormat, "log-format", "text", []string{"text", "json"}, "Form of a log line; json for log collectors.")
	f.Size(&c.Log.Buffer, "log-buffer", sink.DefaultBuffer, 4<<10, 1<<30, "`Bytes` of log lines that may wait for whoever reads standard error. Lines beyond are dropped and counted (assay_log_lines_dropped_total): the node never waits for its log. Raise it for a collector that pauses for long.")
	f.Bool(&c.Probe, "probe", false, "Ask the node at --admin-listen whether it is healthy and exit 0 or 1; for container health checks. No other flag is needed.")
	registerHashing(f, c)
	registerServer(f, &c.Server)
	registerRedis(f, c)
	registerJournal(f, &c.Journal)

	f.Group("Admin port")
	f.String(&c.Admin.Listen, "admin-listen", admin.DefaultListen, "`Address` of /metrics, /healthz, /readyz and /debug/pprof. It has no password: keep it on loopback.")
	f.Strings(&c.Admin.AllowHosts, "admin-host", nil, "Further `name` by which the admin port may be called (Host header), once for each. Needed behind a reverse proxy.")
	f.Bool(&c.Admin.AllowRemote, "admin-public", false, "Let --admin-listen be an address other machines reach. Only inside a firewalled network.")
}

func registerHashing(f *options.Flags, c *Config) {
	f.Group("Hashing")
	f.Int(&c.Verify.Workers, "workers", 0, 0, 1024, "Hash `threads`; 0 is one for each core that no event loop has, where cores are the usable CPUs or the whole CPUs of a container's quota. More than that makes replies late.")
	f.Int(&c.Server.Loops, "loops", 0, 0, 256, "Event `loops` for the miners' sockets; 0 is one for every 8 cores (CPUs, or a container's quota of them). Turn it up when a loop's CPU is full (many thousands of miners, few cores hashing).")
	f.Enum(&c.Pin, "pin", PinAuto, []string{PinAuto, PinAlways, PinNever}, "Keep each hash worker on a core of its own. auto: unless a container's CPU quota is below its CPUs, for then several such containers would pin to the same ones. Turn it off on machines whose cores are shared with other programs.")
	f.Strings(&c.CPUDisable, "cpu-disable", nil, "CPU `feature` not to use, once for each or separated by commas: aes, avx2, vaes, avx512, … For finding a broken kernel or machine.")
	f.Unless(&c.RandomX.NoHugePages, "huge-pages", "Use reserved 2 MiB pages where enough are free; the banner tells how to get them. Turn it off to leave them to other programs; transparent huge pages are the kernel's own setting.")
	f.Text(&c.RandomX.Mode, "randomx-mode", []string{"auto", "light", "full"}, "light: 256 MiB a seed, about 22 ms a hash. full: 2336 MiB a seed, about 2 ms. auto: full where memory allows. A machine's free memory and a container's limit (cgroup v1, v2) count, whichever is tighter.")
	f.Int(&c.RandomX.BuildThreads, "randomx-build-threads", randomx.DefaultBuildThreads, 1, 256, "`Threads` that fill a dataset, at low priority. More are ready sooner and disturb hashing more.")
	f.Int(&c.RandomX.MaxCaches, "randomx-caches", 0, 0, 1024, "RandomX `caches` held at most, 256 MiB each; 0 is current, previous and next seed of each pool and one more. Pools of one chain share theirs, so fewer do there; 3 is the least for one chain. Where they do not fit the memory fewer are held, with a warning at start.")
	f.Int(&c.CryptoNight.Width, "cryptonight-width", 0, 0, cryptonight.MaxWidth, "CryptoNight hashes run in lockstep on one thread, `lanes`; 0 measures at start which is best for each pool's latest algorithm, and goes by cache size for others. Wider gains where other programs use up the L3 cache, but each share, a found block too, waits for its whole batch: seconds, where algorithm and CPU are slow. A forced width with batches over half a second is warned of at start.")
	f.Int(&c.Verify.Queue, "verify-queue", verify.DefaultQueue, 16, 1<<20, "`Shares` that may wait for a hash worker, of sessions with an accepted share and of those without one each; beyond that the sender with the longest line has its newest shed with a \"Throttled\" answer. 3 s of work at most is useful.")
	f.Int(&c.Verify.Candidates, "verify-candidates", verify.DefaultCandidates, 1, 4096, "Block candidates that may wait ahead of all other `shares`, of sessions with an accepted share and of those without one each.")
	f.Duration(&c.Verify.Deadline, "verify-deadline", verify.DefaultDeadline, 10*time.Millisecond, 4*time.Second, "A share that has waited this long is shed: its miner is about to give up. Every request is answered within 5 s.")
	f.Duration(&c.Verify.BatchWait, "batch-wait", verify.DefaultBatchWait, 0, 100*time.Millisecond, "Time a batch may wait to fill, for algorithms that gain by it. 0 for the lowest latency.")
}

func registerServer(f *options.Flags, s *server.Config) {
	f.Group("Miners' connections")
	f.Int(&s.MaxConns, "max-conns", 0, 0, 10_000_000, "`Connections` at most, all ports together; 0 is what ulimit -n leaves beside everything else in the node, some 200 of it.")
	f.Size(&s.MaxLine, "max-line", server.DefaultMaxLine, 512, 32<<10, "Longest line a miner may send. XMRig's are below 1 KiB.")
	f.Duration(&s.LoginTimeout, "login-timeout", server.DefaultLoginTimeout, time.Second, 10*time.Minute, "A connection that has not logged in by then is closed.")
	f.Duration(&s.FirstShareTimeout, "first-share-timeout", server.DefaultFirstShareTimeout, 10*time.Second, 24*time.Hour, "A session without one accepted share by then is closed. Above the time the slowest rig needs for a share of the start difficulty.")
	f.Duration(&s.IdleTimeout, "idle-timeout", server.DefaultIdleTimeout, 30*time.Second, 24*time.Hour, "A session that has sent nothing for this long is closed. XMRig sends a keepalive each minute.")
	f.Duration(&s.NoWorkTimeout, "no-work-timeout", server.DefaultNoWorkTimeout, time.Second, 24*time.Hour, "Time past a pool's last usable template (see --template-max-age) after which its miners are disconnected, with a text, and refused, so that they use their backup pools. Below it they wait for the daemons to come back.")
	f.Size(&s.OutboundLimit, "outbound-limit", server.DefaultOutboundLimit, 4096, 16<<20, "Unread bytes a miner may leave with the node; then it is closed as a slow reader.")
	f.Duration(&s.StallTimeout, "slow-reader", server.DefaultStallTimeout, time.Second, 10*time.Minute, "Time a miner may leave anything unread; then it is closed as a slow reader.")
	f.Int(&s.InflightSession, "session-inflight", server.DefaultInflightSession, 1, 65536, "`Shares` of one session that may wait for verification; more are answered \"Throttled\". A session that has had none accepted may have a few.")
	f.Int(&s.JobShares, "job-shares", server.DefaultJobShares, 16, 1<<20, "`Shares` accepted for one job: the limit of its duplicate set. More mean that the difficulty is far too low.")
	f.Int(&s.MaxFaults, "protocol-errors", server.DefaultMaxFaults, 1, 1000, "Malformed `requests` a session may send before it is closed.")
}

func registerRedis(f *options.Flags, c *Config) {
	r, l := &c.Redis, &c.Ledger
	f.Group("Redis")
	f.String(&r.URL, "redis", "", "`URL` of the Redis all nodes share: redis://host:6379/0, rediss://…, unix:///path, or several separated by commas (cluster, or sentinels with --redis-sentinel-master). Empty: the node runs a private redis-server in --data-dir.")
	f.String(&r.SentinelMaster, "redis-sentinel-master", "", "`Name` of the master at the sentinels --redis lists.")
	f.String(&r.Username, "redis-user", "", "ACL `user`.")
	f.Secret(&r.Password, "redis-password", "`File` with the password on its first line. It wins over a password in --redis, which every user of the machine can see on a command line.")
	f.Bool(&r.AllowEviction, "redis-allow-eviction", false, "Start on a Redis whose maxmemory-policy may throw round state away.")
	f.String(&c.PrivateRedis.Binary, "redis-server", store.DefaultBinary, "`Program` of the private server.")
	f.Duration(&r.StartTimeout, "redis-start-timeout", store.DefaultStartTimeout, time.Second, time.Hour, "Time to wait at start for a Redis that is away or loading.")
	f.Duration(&r.CallTimeout, "redis-timeout", store.DefaultCallTimeout, 50*time.Millisecond, time.Minute, "Limit of one call; an unanswered one is sent again, and counts once.")
	f.Duration(&l.FlushInterval, "flush-interval", ledger.DefaultFlushInterval, 10*time.Millisecond, 10*time.Second, "Time credits of the journal are added up before they go to Redis. Longer is less work for Redis and staler statistics.")
	f.Difficulty(&l.ChunkSize, "chunk-size", 0, 0, "Difficulty of a chunk, the unit in which credit is kept until it is paid; 0 is a 37th of the network's and at least a minute's work. Smaller makes a PPLNS window's edge finer and Redis larger.")
	f.Duration(&l.RoundKeep, "round-keep", ledger.DefaultRoundKeep, time.Hour, 100*365*24*time.Hour, "Time the archive of a paid round is kept in Redis.")
}

func registerJournal(f *options.Flags, j *journal.Config) {
	f.Group("Journal")
	j.Sync = journal.DefaultSync
	f.Var(syncValue{&j.Sync}, "journal-sync-interval", "Time between two commits of accepted shares to the disk of --data-dir; miners are answered after the commit. always commits as soon as one is over; off does not wait for the disk, for load tests only: a power cut then takes shares that were told accepted.")
	f.Size64(&j.MaxBytes, "journal-max", journal.DefaultMaxBytes, 64<<20, 1<<50, "`Bytes` of disk for a pool's journal. Above it what Redis has goes before --journal-keep is over; if that is not enough shares are shed until Redis is back. A credit is about 20 bytes.")
	f.Duration(&j.Keep, "journal-keep", journal.DefaultKeep, time.Minute, 100*365*24*time.Hour, "Time what Redis has is kept in the journal, for a Redis that comes back with less, and for assayd ledger audit. Longer than Redis' backups are old.")
}

// syncValue is a journal.Sync as a flag.
type syncValue struct{ *journal.Sync }

func (syncValue) Type() string { return "duration|always|off" }
