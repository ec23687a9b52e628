package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/netio/admin"
	"github.com/assay-pool/assay/netio/server"
)

// check, checkPools and resolve are everything a start can be refused for before
// it has begun. There is one list: --check-config and a start both go through
// it, since a start reads its configuration the same way; and it asks each
// package, which asks itself again when it is made, so that a rule is written
// once. What stays for the start is what only doing it can tell: whether a port
// is free, Redis answers, the memory is there.
func (c *Config) check() (errs []error) {
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if _, err := cpu.Detect(c.CPUDisable); err != nil {
		note(fmt.Errorf("--cpu-disable: %w", err))
	}
	note(c.RandomX.Check())
	note(checkFolder(c.DataDir))
	errs = append(errs, c.checkRedis()...)
	note(c.Admin.Check())
	return errs
}

// checkPools is what pools may not share, once each is well by itself.
func (c *Config) checkPools() (errs []error) {
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	c.Server.Reserve = c.descriptors()
	srv := c.Server
	for _, p := range c.Pools {
		srv.Ports = append(srv.Ports, p.Ports...)
		if err := p.Daemon.Check(); err != nil {
			note(fmt.Errorf("pool %s: %w", p.Name, err))
		}
	}
	note(srv.Check())
	for _, p := range srv.Ports {
		if server.Conflict(p.Addr, anyFamily(c.Admin.Listen)) {
			note(fmt.Errorf("--listen %s: the port is taken by --admin-listen %s", p.Addr, c.Admin.Listen))
		}
	}
	return errs
}

// descriptors are those of everything in the process but the miners' ports.
func (c *Config) descriptors() int {
	n := admin.Descriptors + c.Redis.Descriptors() + c.PrivateRedis.Descriptors()
	for _, p := range c.Pools {
		n += p.Daemon.Descriptors() + journal.Descriptors
	}
	return n
}

// anyFamily is a wildcard as net.Listen takes it, both families whatever it is
// written as, in the form of a miners' port.
func anyFamily(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip, ipErr := netip.ParseAddr(host); err == nil && ipErr == nil && ip.IsUnspecified() {
		return net.JoinHostPort("", port)
	}
	return listen
}

func (c *Config) checkRedis() (errs []error) {
	if c.Redis.URL != "" {
		if err := c.Redis.Check(); err != nil {
			return []error{err}
		}
		return nil
	}
	private := c.PrivateRedis
	if err := private.Check(); err != nil {
		errs = append(errs, fmt.Errorf("private redis-server: %w", err))
	}
	if c.Redis.Password != "" {
		errs = append(errs, errors.New("--redis-password-file is given but --redis is empty; the private redis-server has no password, it listens on a socket in --data-dir only"))
	}
	if c.Redis.SentinelMaster != "" {
		errs = append(errs, fmt.Errorf("--redis-sentinel-master is %s but --redis names no sentinels", c.Redis.SentinelMaster))
	}
	return errs
}

// checkFolder tells whether the node could write into its folder, or make it.
// It leaves nothing behind.
func checkFolder(dir string) error {
	if dir == "" {
		return errors.New("--data-dir is empty; name a folder the node may write to")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("--data-dir %s: %w", dir, err)
	}
	missing := "" // the outermost folder that is to be made
	for at := abs; ; at = filepath.Dir(at) {
		stat, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = at
			continue
		case err != nil:
			return fmt.Errorf("--data-dir %s: %w", dir, err)
		case !stat.IsDir():
			return fmt.Errorf("--data-dir %s: %s is not a folder", dir, at)
		}
		if missing == "" {
			if err := unix.Access(at, unix.W_OK|unix.X_OK); err != nil {
				return fmt.Errorf("--data-dir %s may not be written to: %w", dir, err)
			}
			return nil
		}
		break
	}
	if err := os.Mkdir(missing, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("--data-dir %s: %w", dir, err)
	}
	_ = os.Remove(missing) // empty, or another node's in the meantime
	return nil
}
