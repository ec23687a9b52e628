package options_test

import (
	"fmt"
	"os"
	"time"

	"github.com/assay-pool/assay/cmd/internal/options"
)

// A program has process flags and, here, pools with two flags each.
func Example() {
	type poolConfig struct {
		wallet string
		listen []string
	}
	var workers int
	var wait time.Duration

	set := options.New("assayd", "ASSAY")
	process := set.Process()
	process.Group("Hashing")
	process.Int(&workers, "workers", 0, 0, 1024, "Hash workers; 0 is one per core. Turn it down to leave cores free.")
	process.Duration(&wait, "batch-wait", time.Millisecond, 0, time.Second, "Time a batch waits to fill.")
	pools := options.Pools(set, func(f *options.Flags, p *poolConfig) {
		f.Group("Pool")
		f.String(&p.wallet, "wallet", "", "Where block rewards go.")
		f.Strings(&p.listen, "listen", []string{"127.0.0.1:3333"}, "Stratum `address` to listen on.")
	})
	set.Check(func() (errs []error) {
		for _, p := range pools.All() {
			if p.Config.wallet == "" {
				errs = append(errs, fmt.Errorf("pool %s: --wallet is missing", p.Name))
			}
		}
		return errs
	})

	args := []string{"--wallet", "4abc", "--listen=:1", "--listen=:2"}
	if code, run := set.Load(args, []string{"ASSAY_WORKERS=3"}, os.Stdout, os.Stdout); !run {
		fmt.Println("exit", code)
		return
	}
	fmt.Println(workers, wait)
	for _, p := range pools.All() {
		fmt.Println(p.Name, p.Config.wallet, p.Config.listen)
	}
	// Output:
	// 3 1ms
	// default 4abc [:1 :2]
}
