package store

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// aofStep is a write of the books below, and the file's size behind it.
type aofStep struct {
	end  int64
	keys map[string]string // what holds from then on
}

// aofBooks is a stopped server's folder whose newest file has a row of known writes.
type aofBooks struct {
	dir, path string
	whole     []byte
	steps     []aofStep
}

// makeBooks writes with a real server: single commands and transactions (what a
// script with two effects leaves), over an RDB base.
func makeBooks(t *testing.T) *aofBooks {
	t.Helper()
	b := &aofBooks{dir: shortDir(t)}
	m := startManaged(t, b.dir)
	st, err := open(t, Config{URL: m.URL()})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(b.dir, aofDirName, "*.incr.aof"))
	if err != nil || len(files) != 1 {
		t.Fatalf("append-only files %v, %v", files, err)
	}
	b.path = files[0]
	script := `redis.call('INCRBY', 'sum', ARGV[1]) redis.call('SET', 'mark', ARGV[1]) return 1`
	keys := map[string]string{}
	for i := 1; i <= 5; i++ {
		n := strconv.Itoa(i)
		if err := st.Do(testCtx(t), "SET", "name", "miner\r\n"+n).Error(); err != nil {
			t.Fatal(err)
		}
		b.step(keys, "name", "miner\r\n"+n)
		if err := st.Do(testCtx(t), "EVAL", "", script, "0", n).Error(); err != nil {
			t.Fatal(err)
		}
		b.step(keys, "mark", n, "sum", strconv.Itoa(i*(i+1)/2))
	}
	st.Close()
	m.Stop()
	if b.whole, err = os.ReadFile(b.path); err != nil || int64(len(b.whole)) != b.steps[len(b.steps)-1].end {
		t.Fatalf("%d bytes, %v: not the steps %v", len(b.whole), err, b.steps)
	}
	return b
}

func (b *aofBooks) step(keys map[string]string, set ...string) {
	for i := 0; i < len(set); i += 2 {
		keys[set[i]] = set[i+1]
	}
	b.steps = append(b.steps, aofStep{fileSize(b.path), maps.Clone(keys)})
}

// at is what a file whose first n bytes are intact has to give.
func (b *aofBooks) at(n int64) (step aofStep) {
	for _, s := range b.steps {
		if s.end <= n {
			step = s
		}
	}
	return step
}

func (b *aofBooks) write(t testing.TB, content []byte) {
	t.Helper()
	if err := os.WriteFile(b.path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// copies of damaged files.
func (b *aofBooks) copies(t testing.TB) (content [][]byte) {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(b.dir, aofDirName, "*.damaged*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range list {
		c, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		content = append(content, c)
	}
	return content
}

// snapshot of the folder with the append-only files.
func (b *aofBooks) snapshot(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(filepath.Join(b.dir, aofDirName))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		c, err := os.ReadFile(filepath.Join(b.dir, aofDirName, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(c)
	}
	return all
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// clone of the books in a folder of its own.
func (b *aofBooks) clone(t testing.TB) *aofBooks {
	t.Helper()
	c := *b
	c.dir = shortDir(t)
	if err := os.CopyFS(filepath.Join(c.dir, aofDirName), os.DirFS(filepath.Join(b.dir, aofDirName))); err != nil {
		t.Fatal(err)
	}
	c.path = filepath.Join(c.dir, aofDirName, filepath.Base(b.path))
	return &c
}

// load starts a server on what is in the folder, gives the keys and the log,
// and stops it.
func (b *aofBooks) load(t testing.TB) (keys map[string]string, log string) {
	t.Helper()
	keys, log, err := b.tryLoad(testCtx(t))
	if err != nil {
		t.Fatal(err)
	}
	return keys, log
}

func (b *aofBooks) tryLoad(ctx context.Context) (keys map[string]string, log string, err error) {
	var lines logBuffer
	m, err := StartManaged(ctx, ManagedConfig{Dir: b.dir, Log: slog.New(slog.NewTextHandler(&lines, nil))})
	if err != nil {
		return nil, "", err
	}
	defer m.Stop()
	st, err := Open(ctx, Config{URL: m.URL()})
	if err != nil {
		return nil, "", err
	}
	defer st.Close()
	names, err := st.Do(ctx, "KEYS", "", "*").AsStrSlice()
	if err != nil {
		return nil, "", err
	}
	keys = map[string]string{}
	for _, k := range names {
		if keys[k], err = st.Do(ctx, "GET", k).ToString(); err != nil {
			return nil, "", err
		}
	}
	return keys, lines.String(), nil
}

// refused starts a server that must not start, twice: what refuses once must
// not wear the files down. It gives the reason.
func (b *aofBooks) refused(t testing.TB) (why string) {
	t.Helper()
	before := b.snapshot(t)
	for range 2 {
		m, err := StartManaged(testCtx(t), ManagedConfig{Dir: b.dir})
		if err == nil {
			m.Stop()
			t.Fatal("it started")
		}
		if !maps.Equal(before, b.snapshot(t)) {
			t.Fatalf("the files changed: %v", err)
		}
		why = err.Error()
	}
	return why
}

// namesWaysOut checks that the operator is told what to do.
func (b *aofBooks) namesWaysOut(t testing.TB, why string) {
	t.Helper()
	for _, want := range []string{"redis-check-aof --fix " + filepath.Join(b.dir, aofDirName, aofManifestName),
		"move " + b.dir + " away", "assayd ledger rebuild"} {
		if !strings.Contains(why, want) {
			t.Errorf("%s\ndoes not name %q", why, want)
		}
	}
}
