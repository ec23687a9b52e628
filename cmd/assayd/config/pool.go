package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/assay-pool/assay/cmd/internal/options"
	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/validator/coin"
)

// poolFlags are a pool's flags as they are written; resolve makes the Pool.
type poolFlags struct {
	pool    Pool
	daemons []string
	listen  []string
}

// registerPool binds the flags that exist once a pool.
func registerPool(f *options.Flags, p *poolFlags) {
	c := &p.pool
	f.Group("Pool")
	f.Enum(&c.Coin, "coin", "monero", coin.Names(), "Coin and network: algorithm schedule, address prefixes, seeds.")
	f.String(&c.Algo, "algo", "", "Force this `algorithm` (cn/0, cn/r, rx/0, … or XMRig's other names for them) whatever the block version says. For private chains and forks; empty follows the coin's schedule.")
	f.String(&c.Wallet, "wallet", "", "`Address` block rewards go to. A standard address: coin daemons do not mine to subaddresses.")

	f.Group("Coin daemons")
	f.Strings(&p.daemons, "daemon", []string{"http://127.0.0.1:18081"}, "`URL[,zmq=tcp://HOST:PORT]` of a coin daemon, once for each in order of preference. All are watched, the first healthy one gives templates, blocks go to all. zmq is its --zmq-pub address: new blocks are known at once instead of by the next poll.")
	f.Secret(&c.DaemonLogin, "daemon-login", "`File` with user:password of the daemons' --rpc-login.")
	f.Duration(&c.PollInterval, "daemon-poll", time.Second, 50*time.Millisecond, time.Minute, "Time between polls of the daemon in use.")
	f.Duration(&c.HealthInterval, "daemon-health", 5*time.Second, 100*time.Millisecond, 10*time.Minute, "Time between polls of the other daemons.")
	f.Duration(&c.RPCTimeout, "daemon-timeout", 5*time.Second, 100*time.Millisecond, time.Minute, "Limit of one call to a daemon. Raise it for a daemon on a slow disk.")
	f.Duration(&c.SubmitTimeout, "submit-timeout", 30*time.Second, time.Second, 10*time.Minute, "How long a found block is offered again to daemons that cannot be reached.")
	f.Duration(&c.TemplateRefresh, "template-refresh", 15*time.Second, time.Second, 10*time.Minute, "Least time between two templates on the same block, taken for the fees of new transactions. Each makes every miner start a new job.")
	f.Duration(&c.TemplateRenew, "template-renew", time.Minute, 5*time.Second, time.Hour, "A template is fetched anew at this age even when nothing has changed, so that its time stays true.")

	f.Group("Jobs")
	f.Duration(&c.TemplateMaxAge, "template-max-age", 10*time.Minute, 10*time.Second, 24*time.Hour, "Age at which the last template is no work any more: no daemon has given a new one, /readyz says so and miners get no jobs.")
	f.Int(&c.Templates, "templates", 8, 1, 64, "`Templates` whose shares are still known. Each costs its block's transactions' ids.")
	f.Duration(&c.StaleGrace, "stale-grace", 4*time.Second, 0, 5*time.Minute, "Shares on the block before are credited for this long after a new block: they were on their way.")
	f.Int(&c.Jobs, "jobs", 8, 1, 32, "`Jobs` a session may still submit for.")

	f.Group("Ports")
	f.Strings(&p.listen, "listen", []string{"0.0.0.0:3333,diff=10k,desc=General"}, "`HOST:PORT[,diff=N][,min=N][,max=N][,desc=TEXT][,hidden]` for miners, once for each port: start difficulty, vardiff's bounds there, what the port is for, and whether it is left out of lists for the public.")

	f.Group("Variable difficulty")
	f.Bool(&c.Vardiff.Enabled, "vardiff", true, "Fit each connection's difficulty to its hash rate. Miners fix theirs by +N behind the address.")
	f.Difficulty(&c.Vardiff.Min, "vardiff-min", 100, 1, "Lowest difficulty, unless the port says otherwise.")
	f.Difficulty(&c.Vardiff.Max, "vardiff-max", 1_000_000_000, 1, "Highest difficulty, unless the port says otherwise.")
	f.Duration(&c.Vardiff.Target, "vardiff-target", 30*time.Second, time.Second, 10*time.Minute, "Time a connection should take for a share. Longer is less load and more luck in a miner's pay.")
	f.Duration(&c.Vardiff.Retarget, "vardiff-retarget", time.Minute, time.Second, time.Hour, "Time between two looks at a connection's difficulty.")
	f.Float(&c.Vardiff.Variance, "vardiff-variance", 30, 1, 99, "`Percent` the time a share takes may be off before the difficulty changes.")
	f.Float(&c.Vardiff.MaxJump, "vardiff-max-jump", 300, 1, 1e6, "`Percent` the difficulty changes at most at once: 300 lets it become four times as high, or a fourth.")
}

// resolve reads the flags that have a form of their own.
func (p *poolFlags) resolve(name string) (errs []error) {
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("pool %s: "+format, append([]any{name}, args...)...))
	}
	c := &p.pool
	profile, err := c.Profile()
	if err != nil {
		fail("%w", err)
		return errs
	}
	switch address, err := profile.ParseAddress(c.Wallet); {
	case c.Wallet == "":
		fail("--wallet is missing: the address block rewards go to")
	case err != nil:
		fail("--wallet %s: %w", c.Wallet, err)
	case address.Kind != coin.Standard:
		fail("--wallet %s is a %v; coin daemons mine to standard addresses only", c.Wallet, address.Kind)
	}
	c.Daemons, c.Listen = nil, nil
	for _, text := range p.daemons {
		d, err := ParseDaemon(text)
		if err != nil {
			fail("--daemon %s: %w", text, err)
			continue
		}
		c.Daemons = append(c.Daemons, d)
	}
	if len(p.daemons) == 0 {
		fail("--daemon is missing: the URL of a coin daemon")
	}
	for _, text := range p.listen {
		l, err := ParseListener(text, c.Vardiff)
		if err != nil {
			fail("--listen %s: %w", text, err)
			continue
		}
		c.Listen = append(c.Listen, l)
	}
	if len(p.listen) == 0 {
		fail("--listen is missing: where miners connect")
	}
	if c.Vardiff.Min > c.Vardiff.Max {
		fail("--vardiff-min %d is above --vardiff-max %d", c.Vardiff.Min, c.Vardiff.Max)
	}
	if c.TemplateMaxAge <= c.TemplateRenew {
		fail("--template-max-age %s must be longer than --template-renew %s, or healthy templates would be thrown away", c.TemplateMaxAge, c.TemplateRenew)
	}
	return errs
}

// Profile is the coin the pool mines, with the algorithm forced if --algo says
// so. An error names the flag; so does one for a coin the node cannot serve.
func (p *Pool) Profile() (*coin.Profile, error) {
	profile, err := coin.Lookup(p.Coin)
	if err != nil {
		return nil, fmt.Errorf("--coin: %w", err)
	}
	if p.Algo != "" {
		id, err := algo.Parse(p.Algo)
		if err != nil {
			return nil, fmt.Errorf("--algo: %w", err)
		}
		profile = profile.WithAlgo(id)
	}
	if err := profile.Serviceable(); err != nil {
		return nil, fmt.Errorf("--coin %s cannot be served: %w", p.Coin, err)
	}
	return profile, nil
}

// checkPools finds what pools may not share.
func checkPools(pools []Pool) (errs []error) {
	ports := make(map[string]string)
	for _, p := range pools {
		for _, l := range p.Listen {
			if other, taken := ports[l.Addr]; taken && !strings.HasSuffix(l.Addr, ":0") {
				errs = append(errs, fmt.Errorf("pool %s: --listen %s is taken by pool %s", p.Name, l.Addr, other))
			}
			ports[l.Addr] = p.Name
		}
	}
	if len(pools) == 0 {
		errs = append(errs, errors.New("there is no pool to run"))
	}
	return errs
}
