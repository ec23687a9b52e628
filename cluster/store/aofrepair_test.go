package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A power loss within the last three writes: everything up to some byte is
// there, zeros stand behind it. Whatever the byte, the server starts with the
// writes that were complete, and the file holds these alone.
func TestAOFPowerLoss(t *testing.T) {
	b := makeBooks(t)
	type loss struct{ cut, zeros int64 }
	losses := make(chan loss)
	var workers sync.WaitGroup
	for range 8 { // a start is waiting, for the most part
		b := b.clone(t)
		workers.Go(func() {
			for l := range losses {
				if err := b.survive(l.cut, l.zeros); err != nil {
					t.Errorf("cut at %d, %d zeros: %v", l.cut, l.zeros, err)
				}
			}
		})
	}
	size := int64(len(b.whole))
	for cut := b.steps[len(b.steps)-4].end; cut <= size; cut++ {
		losses <- loss{cut, size - cut} // the file kept its size
		losses <- loss{cut, 4096}
		if cut%5 == 0 {
			losses <- loss{cut, 0}
			losses <- loss{cut, 1}
			losses <- loss{cut, 2}
		}
	}
	close(losses)
	workers.Wait()
}

func (b *aofBooks) survive(cut, zeros int64) error {
	damaged := append(slices.Clone(b.whole[:cut]), make([]byte, zeros)...)
	if err := os.WriteFile(b.path, damaged, 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	keys, _, err := b.tryLoad(ctx)
	if err != nil {
		return err
	}
	want := b.at(cut)
	if !maps.Equal(keys, want.keys) {
		return fmt.Errorf("keys %q, want %q", keys, want.keys)
	}
	now, err := os.ReadFile(b.path)
	if err == nil && !bytes.Equal(now, b.whole[:want.end]) {
		err = fmt.Errorf("the file has %d bytes, want the first %d", len(now), want.end)
	}
	return err
}

func TestAOFDamagedTailIsCut(t *testing.T) {
	b := makeBooks(t)
	rnd := rand.NewChaCha8([32]byte{9})
	garbage := func(n int) string {
		g := make([]byte, n)
		rnd.Read(g)
		return string(g)
	}
	zeros := func(n int) string { return strings.Repeat("\x00", n) }
	set, multi, exec := resp("SET", "name", "torn"), resp("MULTI"), resp("EXEC")
	type tail struct{ name, tail string }
	tails := []tail{
		{"half a command and zeros", set[:len(set)-4] + zeros(5000)},
		{"half a command, zeros to its end", set[:len(set)-4] + zeros(4)},
		{"half a length and zeros", "*3\r\n$3\r\nSET\r\n$1" + zeros(2)},
		{"half a line end", set[:len(set)-1] + zeros(1)},
		{"an open MULTI and zeros", multi + set + zeros(5000)},
		{"an open MULTI and half a command", multi + set + set[:len(set)-3]},
		{"an open MULTI and the beginning of a command, with a line end", multi + set + "*3\r\n$3\r\nSET\r\n"},
		{"half an EXEC and zeros", multi + set + exec[:len(exec)-4] + zeros(4)},
		{"an EXEC without its line end", multi + set + exec[:len(exec)-2] + zeros(2)},
		{"garbage with a line end", "\xff\xfe\r\n"},
		{"a negative length", "*1\r\n$-5\r\nabc"},
		{"a star and zeros", "*" + zeros(300)},
		{"an annotation cut short", "#TS:17"},
	}
	for _, n := range []int{1, 2, 3, 127, 128, 129, 4095, 4096, 4097, 3 * 4096, aofWindow - 1, aofWindow + 1, 300_000} {
		tails = append(tails, tail{fmt.Sprintf("%d zeros", n), zeros(n)})
	}
	for _, n := range []int{1, 2, 16, 511, 4096, 20_000} {
		tails = append(tails, tail{fmt.Sprintf("%d bytes of garbage", n), "\x80" + garbage(n-1)},
			tail{fmt.Sprintf("a command's beginning and %d bytes of garbage", n), "*3\r\n$3\r\nSET\r\n" + "\x80" + garbage(n-1)})
	}
	last := b.steps[len(b.steps)-1].keys
	for _, c := range tails {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := b.clone(t)
			damaged := append(slices.Clone(b.whole), c.tail...)
			b.write(t, damaged)
			alone := b.clone(t) // what is our part, and what redis-server's
			m := &Managed{cfg: ManagedConfig{Log: slog.New(slog.DiscardHandler)}, dir: alone.dir}
			if err := m.mendAOF(); err != nil {
				t.Error(err)
			}
			if now, err := os.ReadFile(alone.path); err != nil || !bytes.Equal(now, b.whole) {
				t.Errorf("mended to %d bytes, want %d: %v", len(now), len(b.whole), err)
			}
			keys, log := b.load(t)
			if !maps.Equal(keys, last) {
				t.Errorf("got %q, want %q", keys, last)
			}
			for _, want := range []string{"level=WARN", "file=" + b.path, "cut_bytes=" + strconv.Itoa(len(c.tail)),
				"offset=" + strconv.Itoa(len(b.whole)), "copy=" + b.path + damagedMark, "comes again from the node's journal"} {
				if !strings.Contains(log, want) {
					t.Errorf("no %q in\n%s", want, log)
				}
			}
			if got := b.copies(t); len(got) != 1 || !bytes.Equal(got[0], damaged) {
				t.Errorf("%d copies, want one of the damaged file", len(got))
			}
			if keys, log := b.load(t); !maps.Equal(keys, last) || strings.Contains(log, "damaged") {
				t.Errorf("second start: %q\n%s", keys, log)
			}
			if got := b.copies(t); len(got) != 1 || !bytes.Equal(got[0], damaged) {
				t.Errorf("%d copies after the second start", len(got))
			}
		})
	}
}

// Damage with a complete command behind it is not cut, whoever wrote that
// command: it may be a name within a damaged value.
func TestAOFDamagedMiddleIsRefused(t *testing.T) {
	b := makeBooks(t)
	set, multi, exec := resp("SET", "a", "1"), resp("MULTI"), resp("EXEC")
	third := b.steps[2].end
	over := func(at int64, with string) []byte {
		c := slices.Clone(b.whole)
		copy(c[at:], with)
		return c
	}
	behind := func(tail string) []byte { return append(slices.Clone(b.whole), tail...) }
	size := int64(len(b.whole))
	for _, c := range []struct {
		name    string
		content []byte
		offset  int64
	}{
		{"zeros in the middle", over(third, strings.Repeat("\x00", 40)), third},
		{"one byte", over(third, "+"), third},
		{"the first byte", over(0, "\x00"), 0},
		{"a line end that redis-server would not look at", over(third-2, "\x00\x00"), b.steps[1].end},
		{"zeros, then a command", behind(strings.Repeat("\x00", 4096) + set), size},
		{"garbage, a command, zeros", behind("\xff" + set + strings.Repeat("\x00", 4096)), size},
		{"a transaction that runs into the next", behind(multi + set + multi + set + exec), size + int64(len(multi+set))},
		{"a name that looks like a command, in a damaged value",
			behind("*3\r\n$3\r\nSET\r\n$4\r\nname\r\n$60\r\n" + resp("FLUSHALL") + strings.Repeat("\x00", 100)), size},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.write(t, c.content)
			why := b.refused(t)
			b.namesWaysOut(t, why)
			if want := fmt.Sprintf("%s is damaged at offset %d, and", b.path, c.offset); !strings.Contains(why, want) {
				t.Errorf("%s\nwant %q", why, want)
			}
		})
	}
	t.Run("what only looks like commands", func(t *testing.T) {
		arg := "*1000000\r\n$1\r\nx"
		b.write(t, behind("\x00*1000000\r\n"+strings.Repeat(fmt.Sprintf("$%d\r\n%s\r\n", len(arg), arg), 20_000)+"\x00"))
		why := b.refused(t)
		b.namesWaysOut(t, why)
		if !strings.Contains(why, errAOFUnclear.Error()) {
			t.Error(why)
		}
	})
	t.Run("a command that no server knows", func(t *testing.T) {
		b.write(t, behind(resp("NOSUCH", "x"))) // whole, so it is redis-server that refuses it
		why := b.refused(t)
		b.namesWaysOut(t, why)
		if !strings.Contains(why, b.path) || !strings.Contains(why, "Unknown command 'NOSUCH'") {
			t.Error(why)
		}
	})
}

// Only the newest file's end is ever cut.
func TestAOFOtherFilesAreRefused(t *testing.T) {
	b := makeBooks(t)
	fresh := b.snapshot(t)
	folder := filepath.Join(b.dir, aofDirName)
	incr := filepath.Base(b.path)
	base := strings.Replace(incr, ".incr.aof", ".base.rdb", 1)
	next := strings.Replace(incr, ".1.incr", ".2.incr", 1)
	manifest := fresh[aofManifestName]
	newer := manifest + "file " + next + " seq 2 type i\n"
	set := resp("SET", "a", "1")
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"base, first byte", map[string]string{base: "\x00" + fresh[base][1:]}, base},
		{"base, version", map[string]string{base: "REDIS9999" + fresh[base][9:]}, base},
		{"base, one byte", map[string]string{base: strings.Replace(fresh[base], "7.0", "7.1", 1)}, base},
		{"base, checksum", map[string]string{base: fresh[base][:len(fresh[base])-1] + "\x01"}, base},
		{"base, cut short", map[string]string{base: fresh[base][:len(fresh[base])-20]}, base},
		{"base, zeros at its end", map[string]string{base: fresh[base][:len(fresh[base])-20] + strings.Repeat("\x00", 20)}, base},
		{"manifest, zeros", map[string]string{aofManifestName: strings.Repeat("\x00", 80)}, aofDirName},
		{"manifest, empty", map[string]string{aofManifestName: ""}, aofDirName},
		{"manifest, garbage", map[string]string{aofManifestName: "file \xff\n"}, aofDirName},
		{"manifest, a file elsewhere", map[string]string{aofManifestName: "file ../redis.conf seq 1 type i\n"}, aofDirName},
		{"older file, zeros", map[string]string{aofManifestName: newer, next: set, incr: fresh[incr] + "\x00\x00"},
			fmt.Sprintf("%s is damaged at offset %d", b.path, len(fresh[incr]))},
		// redis-server would refuse this one once, cut it, and start the next time.
		{"older file, cut short", map[string]string{aofManifestName: newer, next: set, incr: fresh[incr] + set[:7]},
			fmt.Sprintf("%s is damaged at offset %d", b.path, len(fresh[incr]))},
		{"older file, open MULTI", map[string]string{aofManifestName: newer, next: set, incr: fresh[incr] + resp("MULTI")}, b.path},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, content := range c.files {
				if content == fresh[name] {
					t.Fatalf("%s is not changed", name)
				}
				if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			why := b.refused(t)
			b.namesWaysOut(t, why)
			if !strings.Contains(why, c.want) {
				t.Errorf("%s\nwant %q", why, c.want)
			}
			os.Remove(filepath.Join(folder, next))
			for name, content := range fresh {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if keys, _ := b.load(t); !maps.Equal(keys, b.steps[len(b.steps)-1].keys) {
		t.Errorf("untouched files: %q", keys)
	}
	// A damaged end in the newest of two files is cut like that of one.
	for name, content := range map[string]string{aofManifestName: newer, next: set + "\x00\x00\x00"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if keys, log := b.load(t); keys["a"] != "1" || !strings.Contains(log, "cut_bytes=3") {
		t.Errorf("%q\n%s", keys, log)
	}
}

// No room for the copy: nothing is cut.
func TestAOFDiskFull(t *testing.T) {
	b := makeBooks(t)
	b.write(t, append(slices.Clone(b.whole), make([]byte, 4096)...))
	part := b.path + ".damaged.part"
	for range 2 {
		if err := os.Symlink("/dev/full", part); err != nil {
			t.Fatal(err)
		}
		_, err := StartManaged(testCtx(t), ManagedConfig{Dir: b.dir})
		if err == nil || !strings.Contains(err.Error(), "the disk is full") || !strings.Contains(err.Error(), b.path) ||
			!strings.Contains(err.Error(), "--data-dir") || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v", err)
		}
		if now, err := os.ReadFile(b.path); err != nil || len(now) != len(b.whole)+4096 {
			t.Fatalf("the file has %d bytes, %v", len(now), err)
		}
		if len(b.snapshot(t)) != 3 {
			t.Fatalf("something is left behind: %d files", len(b.snapshot(t)))
		}
	}
	// Another reason not to copy.
	if err := os.Mkdir(part, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := StartManaged(testCtx(t), ManagedConfig{Dir: b.dir}); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Fatalf("got %v", err)
	}
	os.Remove(part)
	// Half a copy that a power loss left is written over.
	if err := os.WriteFile(part, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if keys, _ := b.load(t); !maps.Equal(keys, b.steps[len(b.steps)-1].keys) {
		t.Errorf("got %q", keys)
	}
	if got := b.copies(t); len(got) != 1 || len(got[0]) != len(b.whole)+4096 {
		t.Errorf("%d copies", len(got))
	}
}

// Copies outlive starts and rewrites of the append-only file, have names of
// their own, and the oldest give way.
func TestAOFCopies(t *testing.T) {
	b := makeBooks(t)
	damaged := append(slices.Clone(b.whole), make([]byte, 4096)...)
	for n := 1; n <= damagedKept+2; n++ {
		b.write(t, append(slices.Clone(damaged), make([]byte, n)...))
		b.load(t)
		got := b.copies(t)
		if len(got) != min(n, damagedKept) {
			t.Fatalf("%d copies after %d repairs", len(got), n)
		}
		if !slices.ContainsFunc(got, func(c []byte) bool { return len(c) == len(damaged)+n }) {
			t.Fatalf("copy %d is not there", n)
		}
	}
	m := startManaged(t, b.dir)
	st, err := open(t, Config{URL: m.URL()})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Do(testCtx(t), "BGREWRITEAOF", "").Error(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end of the rewrite", func() bool {
		_, err := os.Stat(b.path)
		return errors.Is(err, os.ErrNotExist)
	})
	st.Close()
	m.Stop()
	if got := b.copies(t); len(got) != damagedKept {
		t.Errorf("%d copies after a rewrite", len(got))
	}
	if keys, _ := b.load(t); !maps.Equal(keys, b.steps[len(b.steps)-1].keys) {
		t.Errorf("got %q", keys)
	}
}

// The node outlives a server that dies within a write, and one whose file
// somebody ruins: that one comes back when the file is whole again.
func TestAOFMendedWhileTheNodeRuns(t *testing.T) {
	b := makeBooks(t)
	m := startManaged(t, b.dir)
	appendTo := func(text string) {
		f, err := os.OpenFile(b.path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	restarted := func(old int) func() bool {
		return func() bool { return m.PID() != 0 && m.PID() != old && ping(m.socket(), probeTimeout) }
	}
	appendTo(resp("MULTI") + resp("SET", "name", "torn") + "*3\r\n")
	pid := m.PID()
	kill(t, pid, syscall.SIGKILL)
	waitFor(t, "a new server", restarted(pid))
	if n := fileSize(b.path); n != int64(len(b.whole)) {
		t.Errorf("the file has %d bytes, want %d", n, len(b.whole))
	}

	appendTo("\x00" + resp("SET", "name", "x"))
	pid = m.PID()
	kill(t, pid, syscall.SIGKILL)
	waitFor(t, "the reason", func() bool { return m.Err() != nil && strings.Contains(m.Err().Error(), "is damaged at offset") })
	if err := os.Truncate(b.path, int64(len(b.whole))); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a new server", restarted(pid))
	m.Stop()
	if keys, _ := b.load(t); !maps.Equal(keys, b.steps[len(b.steps)-1].keys) {
		t.Errorf("got %q", keys)
	}
}

// Neither a look at a large file nor its copy holds up the node's end.
func TestAOFStops(t *testing.T) {
	b := makeBooks(t)
	b.write(t, append(slices.Clone(b.whole), 0))
	m := &Managed{cfg: ManagedConfig{Log: slog.New(slog.DiscardHandler)}, dir: b.dir, stop: make(chan struct{})}
	close(m.stop)
	before := b.snapshot(t)
	if err := m.mendAOF(); !errors.Is(err, errStopped) {
		t.Errorf("look: %v", err)
	}
	f, err := os.Open(b.path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := m.cutTail(f, b.path, aofShape{size: fileSize(b.path), end: 1}); !errors.Is(err, errStopped) {
		t.Errorf("copy: %v", err)
	}
	if !maps.Equal(before, b.snapshot(t)) {
		t.Error("the files changed")
	}
}
