package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// Oldest server taken, and the one the project is tested with.
const (
	minMajor, minMinor = 6, 2
	testedMajor        = 7
)

// ServerInfo is what the node learned about Redis at start.
type ServerInfo struct {
	Version string // redis_version; Valkey reports the Redis version it is compatible with
	Mode    string // "standalone", "sentinel" or "cluster"
	Role    string // "master"
	// Policy is maxmemory-policy; empty when CONFIG is forbidden.
	Policy string
	// Persistence is "aof always", "aof everysec", "aof no", "rdb" or "none";
	// empty when CONFIG is forbidden.
	Persistence string
	// Warnings are the texts that were logged.
	Warnings []string
}

// check refuses a server that would lose or evict the pool's books, and warns
// of one that may.
func (s *Store) check(ctx context.Context) (ServerInfo, error) {
	var si ServerInfo
	info, err := s.Do(ctx, "INFO", "").ToString()
	if err != nil {
		return si, fmt.Errorf("INFO: %w", err)
	}
	f := parseInfo(info)
	si.Version, si.Mode, si.Role = f["redis_version"], f["redis_mode"], f["role"]
	if err := checkVersion(si.Version); err != nil {
		return si, err
	}
	if f["loading"] == "1" {
		return si, errors.New("redis is loading its data")
	}
	if si.Mode == "sentinel" {
		return si, final{errors.New("--redis points at a sentinel; name its master by --redis-sentinel-master")}
	}
	if si.Mode != "cluster" && si.Role != "master" {
		err := fmt.Errorf("redis is a %s of %s:%s and read-only; --redis must name the master", si.Role, f["master_host"], f["master_port"])
		if s.cfg.SentinelMaster != "" {
			return si, err // a failover under way: the sentinels will name another
		}
		return si, final{err}
	}
	warn := func(format string, a ...any) {
		w := fmt.Sprintf(format, a...)
		si.Warnings = append(si.Warnings, w)
		s.cfg.Log.Warn(w)
	}
	if major, _, _ := strings.Cut(si.Version, "."); major < strconv.Itoa(testedMajor) && len(major) == 1 {
		warn("redis %s is older than %d, the oldest version Assay is tested with", si.Version, testedMajor)
	}
	return si, s.checkConfig(ctx, &si, warn)
}

func (s *Store) checkConfig(ctx context.Context, si *ServerInfo, warn func(string, ...any)) error {
	conf := map[string]string{}
	for _, name := range []string{"maxmemory-policy", "maxmemory", "appendonly", "appendfsync", "save"} {
		m, err := s.Do(ctx, "CONFIG", "", "GET", name).AsStrMap()
		if err != nil {
			if _, ok := rueidis.IsRedisErr(err); ok && !strings.HasPrefix(err.Error(), "LOADING") {
				warn("redis does not let us read its configuration (%v): make sure by hand that maxmemory-policy is noeviction and appendonly is yes", err)
				return nil
			}
			return fmt.Errorf("CONFIG GET %s: %w", name, err)
		}
		conf[name] = m[name]
	}
	si.Policy = conf["maxmemory-policy"]
	if si.Policy != "noeviction" {
		if !s.cfg.AllowEviction {
			return final{fmt.Errorf("redis would evict the pool's books when memory is short: maxmemory-policy is %q (maxmemory %s), it must be \"noeviction\"; run CONFIG SET maxmemory-policy noeviction, or start with --redis-allow-eviction to accept the loss",
				si.Policy, conf["maxmemory"])}
		}
		warn("redis may evict the pool's books: maxmemory-policy is %q, allowed by --redis-allow-eviction", si.Policy)
	}
	switch {
	case conf["appendonly"] == "yes":
		si.Persistence = "aof " + conf["appendfsync"]
		if conf["appendfsync"] == "no" {
			warn("redis leaves the append-only file to the kernel (appendfsync no): a power cut may lose 30 s of shares; set appendfsync everysec")
		}
	case conf["save"] != "":
		si.Persistence = "rdb"
		warn("redis writes snapshots only (appendonly no, save %q): a crash may lose up to %d s of shares, or more while few keys change; set appendonly yes",
			conf["save"], saveWindow(conf["save"]))
	default:
		si.Persistence = "none"
		warn("redis keeps NOTHING on disk (appendonly no, save \"\"): its restart loses all rounds and counters but what the nodes' journals still have (--journal-keep); set appendonly yes")
	}
	return nil
}

// saveWindow is the longest time, in seconds, a changed key may stay unsaved by
// the rules "seconds changes seconds changes …".
func saveWindow(rules string) int {
	worst := 0
	fields := strings.Fields(rules)
	for i := 0; i+1 < len(fields); i += 2 {
		if n, err := strconv.Atoi(fields[i]); err == nil {
			worst = max(worst, n)
		}
	}
	return worst
}

// checkVersion takes "major.minor…" of at least 6.2.
func checkVersion(v string) error {
	parts := strings.SplitN(v, ".", 3)
	if len(parts) < 2 {
		return final{fmt.Errorf("redis version %q is not readable", v)}
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return final{fmt.Errorf("redis version %q is not readable", v)}
	}
	if major < minMajor || major == minMajor && minor < minMinor {
		return final{fmt.Errorf("redis %s is too old: %d.%d or newer is needed", v, minMajor, minMinor)}
	}
	return nil
}

// parseInfo reads "name:value" lines; sections and blank lines are skipped.
func parseInfo(text string) map[string]string {
	out := make(map[string]string, 256)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if k, v, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
			out[k] = v
		}
	}
	return out
}
