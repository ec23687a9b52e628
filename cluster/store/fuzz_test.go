package store

import (
	"strings"
	"testing"
)

// What a server or an operator writes must not crash the node.
func FuzzInfo(f *testing.F) {
	f.Add("# Server\r\nredis_version:7.0.15\r\nrole:master\r\n\r\n")
	f.Add("::\n:\nredis_version")
	f.Add("redis_version:99999999999999999999.1")
	f.Fuzz(func(t *testing.T, text string) {
		m := parseInfo(text)
		if err := checkVersion(m["redis_version"]); err == nil && !strings.Contains(text, ".") {
			t.Errorf("version taken from %q", text)
		}
		if saveWindow(text) < 0 {
			t.Errorf("negative window from %q", text)
		}
	})
}

func FuzzURL(f *testing.F) {
	for _, s := range []string{"redis://u:p@h:1/2?x=y", "unix:///s?db=1", "rediss://[::1]:1", "redis://a,redis://b", "%", "redis://:secret@%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, url string) {
		cfg := Config{URL: url}
		cfg.setDefaults()
		opt, err := cfg.options()
		if err == nil && (len(opt.InitAddress) == 0 || !opt.DisableRetry || !opt.DisableCache) {
			t.Errorf("%q gives %+v", url, opt.InitAddress)
		}
	})
}
