package openblocks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// record is a block that is different for each n.
func record(n byte) Record {
	return Record{ID: [32]byte{n, 0xab}, Height: 3_000_000 + uint64(n), Difficulty: "340282366920938463463374607431768211455",
		Reward: 600_000_000_000, Wallet: "4wallet", Worker: "rig ü", Time: time.Unix(1_700_000_000, int64(n)).UTC(), Block: bytes.Repeat([]byte{n}, 300)}
}

func open(t *testing.T, cfg Config) (*Store, []Record) {
	t.Helper()
	s, left, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s, left
}

func closeStore(t *testing.T, s *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

// TestLeftovers: what is kept and not dropped is there at the next start, to the
// byte; what was dropped is not, and nothing else lies around.
func TestLeftovers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blocks", "main")
	s, left := open(t, Config{Dir: dir})
	if len(left) != 0 {
		t.Fatalf("a new folder has %d blocks", len(left))
	}
	for n := range byte(4) {
		if err := s.Keep(t.Context(), record(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Keep(t.Context(), record(2)); err != nil {
		t.Errorf("the same block again: %v", err)
	}
	s.Drop(record(1).ID)
	s.Drop(record(1).ID)
	s.Drop(record(9).ID) // unknown
	closeStore(t, s)
	if err := s.Keep(t.Context(), record(5)); !errors.Is(err, ErrClosed) {
		t.Errorf("kept after the end: %v", err)
	}

	s, left = open(t, Config{Dir: dir})
	if want := []Record{record(0), record(2), record(3)}; !reflect.DeepEqual(left, want) {
		t.Errorf("left are %+v, want %+v", left, want)
	}
	if s.Len() != 3 {
		t.Errorf("%d are open", s.Len())
	}
	for _, r := range left {
		s.Drop(r.ID)
	}
	closeStore(t, s)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
}

// TestDamagedFiles: no file is a reason not to start, and none is thrown away but
// half-written ones.
func TestDamagedFiles(t *testing.T) {
	good, err := encode(new(record(1)))
	if err != nil {
		t.Fatal(err)
	}
	noBlock := record(1)
	noBlock.Block = nil
	empty, err := encode(&noBlock)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty":          nil,
		"cut short":      good[:len(good)/2],
		"a flipped bit":  bytes.Replace(good, []byte("4wallet"), []byte("5wallet"), 1),
		"of another":     bytes.ReplaceAll(good, []byte("01ab"), []byte("02ab")),
		"without block":  empty,
		"not JSON":       []byte("garbage"),
		"another's JSON": []byte("{}"),
		"null":           []byte("null"),
	} {
		t.Run(name, func(t *testing.T) {
			dir, log := t.TempDir(), &bytes.Buffer{}
			path := filepath.Join(dir, filename(record(1).ID))
			for file, content := range map[string][]byte{path: data, path + tempSuffix: good[:9], filepath.Join(dir, "README"): []byte("x")} {
				if err := os.WriteFile(file, content, 0o640); err != nil {
					t.Fatal(err)
				}
			}
			s, left := open(t, Config{Dir: dir, Log: slog.New(slog.NewTextHandler(log, nil))})
			if len(left) != 0 || s.Len() != 0 {
				t.Errorf("read %+v", left)
			}
			if kept, err := os.ReadFile(path + damagedSuffix); err != nil || !bytes.Equal(kept, data) {
				t.Errorf("set aside: %q, %v", kept, err)
			}
			if !strings.Contains(log.String(), path+damagedSuffix) {
				t.Errorf("the log does not name it: %s", log)
			}
			if _, err := os.Stat(path + tempSuffix); !os.IsNotExist(err) {
				t.Errorf("the half-written file is still there: %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "README")); err != nil {
				t.Error(err)
			}
			// Its place is free for the block itself.
			if err := s.Keep(t.Context(), record(1)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestStalledDisk: a disk that hangs costs a block Patience, then nothing; what it
// writes after all is a record like any other, and goes if the block is settled.
func TestStalledDisk(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Config{Dir: dir, Patience: 20 * time.Millisecond})
	stall := make(chan struct{})
	s.write = func(path string, data []byte) error {
		<-stall
		return writeDurably(path, data)
	}
	var keepers sync.WaitGroup
	for n := range byte(maxWriters + 3) {
		keepers.Go(func() {
			if err := s.Keep(context.Background(), record(n)); !errors.Is(err, ErrStalled) {
				t.Errorf("block %d: %v", n, err)
			}
		})
	}
	keepers.Wait()
	if n := testutil.ToFloat64(s.unwritten); n != maxWriters+3 {
		t.Errorf("%v blocks unwritten", n)
	}
	if s.Len() != maxWriters {
		t.Errorf("%d are on their way to the disk, at most %d may be", s.Len(), maxWriters)
	}
	var written []byte // all but the first are settled meanwhile
	for n := range byte(maxWriters + 3) {
		s.mu.Lock()
		_, open := s.open[record(n).ID]
		s.mu.Unlock()
		if open {
			written = append(written, n)
		}
	}
	for _, n := range written[1:] {
		s.Drop(record(n).ID)
	}
	close(stall)
	deadline := time.Now().Add(patience)
	for s.Len() != 1 || !exists(s.path(record(written[0]).ID)) {
		if time.Now().After(deadline) {
			t.Fatalf("%d are open", s.Len())
		}
		<-time.After(time.Millisecond)
	}
	closeStore(t, s)
	_, left := open(t, Config{Dir: dir})
	if len(left) != 1 || left[0].ID != record(written[0]).ID {
		t.Errorf("left are %d", len(left))
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestKeepObeysItsContext: the end of a stop ends the wait for the disk.
func TestKeepObeysItsContext(t *testing.T) {
	s, _ := open(t, Config{Dir: t.TempDir(), Patience: time.Hour})
	stall := make(chan struct{})
	s.write = func(string, []byte) error { <-stall; return nil }
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Keep(ctx, record(1)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(stall)
}

// TestFailingDisk: the block has no record, the place is free again, and it says so.
func TestFailingDisk(t *testing.T) {
	log := &bytes.Buffer{}
	s, _ := open(t, Config{Dir: t.TempDir(), Limit: 1, Log: slog.New(slog.NewTextHandler(log, nil))})
	full := fmt.Errorf("no space left on device")
	s.write = func(string, []byte) error { return full }
	if err := s.Keep(t.Context(), record(1)); !errors.Is(err, full) {
		t.Errorf("kept: %v", err)
	}
	if n := testutil.ToFloat64(s.unwritten); n != 1 || !strings.Contains(log.String(), "01ab") {
		t.Errorf("%v unwritten, log %s", n, log)
	}
	s.write = writeDurably
	if err := s.Keep(t.Context(), record(2)); err != nil {
		t.Error(err)
	}
	if err := s.Keep(t.Context(), record(3)); !errors.Is(err, ErrFull) {
		t.Errorf("beyond the limit: %v", err)
	}
	s.Drop(record(2).ID)
	deadline := time.Now().Add(patience)
	for s.Keep(t.Context(), record(3)) != nil {
		if time.Now().After(deadline) {
			t.Fatal("a settled block still takes its place")
		}
		<-time.After(time.Millisecond)
	}
}

func TestFolderThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(Config{Dir: filepath.Join(file, "blocks")}); err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("open: %v", err)
	}
}

// FuzzDecode: whatever is in a file, it is a record or damaged.
func FuzzDecode(f *testing.F) {
	good, err := encode(new(record(1)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"crc32c":0,"record":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decode(data)
		if err != nil {
			return
		}
		if len(r.Block) == 0 {
			t.Error("a record without a block")
		}
		again, err := encode(&r)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := decode(again); err != nil || !same.Time.Equal(r.Time) || same.ID != r.ID || !bytes.Equal(same.Block, r.Block) || same.Wallet != r.Wallet {
			t.Errorf("%+v became %+v, %v", r, same, err)
		}
	})
}
