package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// limited is a program that runs a node which may open that many files.
func limited(t *testing.T, files int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "assayd-limited")
	text := fmt.Sprintf("#!/bin/sh\nulimit -n %d\nexec %s \"$@\"\n", files, assayd)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDescriptorsAreEnough: a node at the highest --max-conns its limit of open
// files allows, with every miner's connection taken and more waiting, a thousand
// idle connections to the admin port and a daemon that keeps its calls open,
// goes on serving its miners.
func TestDescriptorsAreEnough(t *testing.T) {
	const files = 300
	fake := newFake(t, noBlocks)
	flags := []string{"--daemon", fake.URL, "--listen", "127.0.0.1:0,diff=1"}
	code, _, refusal := runProgram(t, limited(t, files), nil, append(append(base(shortDir(t)), flags...), "--max-conns", "10000")...)
	m := regexp.MustCompile(`lower --max-conns to (\d+)`).FindStringSubmatch(refusal)
	if code != 2 || m == nil {
		t.Fatalf("10000 connections in %d files: exit %d\n%s", files, code, refusal)
	}
	conns, err := strconv.Atoi(m[1])
	if err != nil || conns < files/4 {
		t.Fatalf("%d connections in %d files, %v: the node keeps too much to itself", conns, files, err)
	}
	n := beginProgram(t, limited(t, files), nil, nil, shortDir(t), append(flags, "--max-conns", m[1])...)
	n.waitPorts()
	n.waitReady()
	miner, job := login(t, n.ports[0], walletA)
	fill := func(addr string, count int) {
		for range count {
			c, err := net.DialTimeout("tcp", addr, patience)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
		}
	}
	fill(strings.TrimPrefix(n.admin, "http://"), 1000)
	fill(n.ports[0], conns+50)
	n.wait("the miners' ports to be full", func() error {
		if full := n.metric("assay_connections", "", ""); int(full) != conns {
			return fmt.Errorf("%v of %d connections", full, conns)
		}
		return nil
	})
	miner.share(job)
	if shed := n.metric("assay_admin_connections_shed_total", "", ""); shed < 900 {
		t.Errorf("%v connections to the admin port were shed", shed)
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.cmd.Process.Pid))
	if err != nil || len(open) > files {
		t.Fatal(len(open), err)
	}
	t.Logf("%d of %d descriptors are open, %d are miners'", len(open), files, conns)
	n.stop() // with the crowd still there
}
