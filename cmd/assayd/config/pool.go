package config

import (
	"fmt"
	"time"

	"github.com/assay-pool/assay/cmd/internal/options"
	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/randomx"
	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/netio/server"
	"github.com/assay-pool/assay/validator/coin"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/pool"
)

// poolFlags are a Pool and those of its flags that have a form of their own;
// resolve reads them.
type poolFlags struct {
	Pool
	coin, algo  string
	daemons     []string
	daemonLogin string
	listen      []string
}

// Defaults of flags that have a form of their own.
const (
	defaultCoin   = "monero"
	defaultDaemon = "http://127.0.0.1:18081" // monerod's own port
	// 3333 is where miners' examples look for a pool.
	defaultPort = "0.0.0.0:3333,desc=General"
)

// registerPool binds the flags that exist once a pool.
func registerPool(f *options.Flags, p *poolFlags) {
	d, c, v := &p.Daemon, &p.Pool.Pool, &p.Port.Vardiff
	f.Group("Pool")
	f.Enum(&p.coin, "coin", defaultCoin, coin.Names(), "Coin and network: algorithm schedule, address prefixes, seeds.")
	f.String(&p.algo, "algo", "", "Force this `algorithm` (cn/0, cn/r, rx/0, … or XMRig's other names for them) whatever the block version says. For private chains and forks; empty follows the coin's schedule.")
	f.String(&d.Wallet, "wallet", "", "`Address` block rewards go to. A standard address: coin daemons do not mine to subaddresses.")

	f.Group("Coin daemons")
	f.Strings(&p.daemons, "daemon", []string{defaultDaemon}, "`URL[,zmq=tcp://HOST:PORT][,ca=FILE][,fingerprint=SHA256]` of a coin daemon, once for each in order of preference. All are watched, the first healthy one gives templates, blocks go to all. zmq is its --zmq-pub address: new blocks are known at once instead of by the next poll. An https daemon must show a certificate of the system's authorities, or of the CA file, or of a fingerprint (several may be given): monerod's own is rpc_ssl.crt in its data folder.")
	f.Secret(&p.daemonLogin, "daemon-login", "`File` with user:password of the daemons' --rpc-login.")
	f.Duration(&d.PollInterval, "daemon-poll", daemon.DefaultPollInterval, 50*time.Millisecond, time.Minute, "Time between polls of the daemon in use.")
	f.Duration(&d.HealthInterval, "daemon-health", daemon.DefaultHealthInterval, 100*time.Millisecond, 10*time.Minute, "Time between polls of the other daemons.")
	f.Duration(&d.RPCTimeout, "daemon-timeout", daemon.DefaultRPCTimeout, 100*time.Millisecond, time.Minute, "Limit of one call to a daemon. Raise it for a daemon on a slow disk.")
	f.Duration(&c.SubmitTimeout, "submit-timeout", pool.DefaultSubmitTimeout, time.Second, 10*time.Minute, "How long a found block is offered again to daemons that cannot be reached.")
	f.Duration(&d.TxRefresh, "template-refresh", daemon.DefaultTxRefresh, time.Second, 10*time.Minute, "Least time between two templates on the same block, taken for the fees of new transactions; one whose transactions have left the daemon's pool is replaced sooner. Each makes every miner start a new job.")
	f.Duration(&d.MaxAge, "template-renew", daemon.DefaultMaxAge, 5*time.Second, time.Hour, "A template is fetched anew at this age even when nothing has changed, so that its time stays true.")

	f.Group("Jobs")
	f.Duration(&c.TemplateMaxAge, "template-max-age", pool.DefaultTemplateMaxAge, 10*time.Second, 24*time.Hour, "Age at which the last template is no work any more: no daemon has given a new one, /readyz says so and miners get no jobs.")
	f.Int(&c.Templates, "templates", pool.DefaultTemplates, 1, 64, "`Templates` whose shares are still known. Each costs its block's transactions' ids.")
	f.Duration(&c.StaleGrace, "stale-grace", pool.DefaultStaleGrace, 0, 5*time.Minute, "Shares on the block before are credited for this long after a new block: they were on their way.")
	f.Int(&c.JobsPerSession, "jobs", pool.DefaultJobsPerSession, 1, 32, "`Jobs` a session may still submit for.")

	f.Group("Ports")
	f.Strings(&p.listen, "listen", []string{defaultPort}, "`HOST:PORT[,diff=N][,min=N][,max=N][,desc=TEXT][,hidden]` for miners, once for each port: start difficulty (10k, within the bounds), vardiff's bounds there, what the port is for, and whether it is left out of lists for the public.")

	f.Group("Variable difficulty")
	f.Unless(&p.Port.FixedDifficulty, "vardiff", "Fit each connection's difficulty to its hash rate. Miners fix theirs by +N behind the address.")
	f.Difficulty(&p.Port.MinDifficulty, "vardiff-min", server.DefaultMinDifficulty, 1, "Lowest difficulty, unless the port says otherwise.")
	f.Difficulty(&p.Port.MaxDifficulty, "vardiff-max", server.DefaultMaxDifficulty, 1, "Highest difficulty, unless the port says otherwise.")
	f.Duration(&v.Target, "vardiff-target", server.DefaultVardiffTarget, time.Second, 10*time.Minute, "Time a connection should take for a share. Longer is less load and more luck in a miner's pay.")
	f.Duration(&v.Retarget, "vardiff-retarget", server.DefaultVardiffRetarget, time.Second, time.Hour, "Time between two looks at a connection's difficulty.")
	f.Float(&v.Variance, "vardiff-variance", server.DefaultVardiffVariance, 1, 99, "`Percent` the time a share takes may be off before the difficulty changes.")
	f.Float(&v.MaxJump, "vardiff-max-jump", server.DefaultVardiffMaxJump, 1, 1e6, "`Percent` the difficulty changes at most at once: 300 lets it become four times as high, or a fourth.")
}

// resolve reads the flags that have a form of their own.
func (p *poolFlags) resolve() (errs []error) {
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("pool %s: "+format, append([]any{p.Name}, args...)...))
	}
	profile, err := p.profile()
	if err != nil {
		fail("%w", err)
		return errs
	}
	p.Pool.Pool.Coin = profile
	p.Daemon.ReserveSize = job.ExtraSize
	switch address, err := profile.ParseAddress(p.Daemon.Wallet); {
	case p.Daemon.Wallet == "":
		fail("--wallet is missing: the address block rewards go to")
	case err != nil:
		fail("--wallet %s: %w", p.Daemon.Wallet, err)
	case address.Kind != coin.Standard:
		fail("--wallet %s is a %v; coin daemons mine to standard addresses only", p.Daemon.Wallet, address.Kind)
	}
	for _, text := range p.daemons {
		d, err := parseDaemon(text)
		d.Login = p.daemonLogin
		if err == nil {
			err = d.Check()
		}
		if err != nil {
			fail("--daemon %w", err)
			continue
		}
		p.Daemon.Daemons = append(p.Daemon.Daemons, d)
	}
	if len(p.daemons) == 0 {
		fail("--daemon is missing: the URL of a coin daemon")
	}
	for _, text := range p.listen {
		l, err := parsePort(text, p.Port)
		if err != nil {
			fail("--listen %s: %w", text, err)
			continue
		}
		p.Ports = append(p.Ports, l)
	}
	if len(p.listen) == 0 {
		fail("--listen is missing: where miners connect")
	}
	if age, renew := p.Pool.Pool.TemplateMaxAge, p.Daemon.MaxAge; age <= renew {
		fail("--template-max-age %s must be longer than --template-renew %s, or healthy templates would be thrown away", age, renew)
	}
	return errs
}

// profile is the coin the pool mines, with the algorithm forced if --algo says
// so. An error names the flag; so does one for a coin the node cannot serve.
func (p *poolFlags) profile() (*coin.Profile, error) {
	profile, err := coin.Lookup(p.coin)
	if err != nil {
		return nil, fmt.Errorf("--coin: %w", err)
	}
	if p.algo != "" {
		id, err := algo.Parse(p.algo)
		if err != nil {
			return nil, fmt.Errorf("--algo: %w", err)
		}
		// CryptoNight is ours, every variant; RandomX is what the library has.
		if id.Family() == algo.RandomX {
			if err := randomx.Supports(id); err != nil {
				return nil, fmt.Errorf("--algo %s: %w", p.algo, err)
			}
		}
		profile = profile.WithAlgo(id)
	}
	if err := profile.Serviceable(); err != nil {
		return nil, fmt.Errorf("--coin %s cannot be served: %w", p.coin, err)
	}
	return profile, nil
}
