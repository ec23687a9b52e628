package journal

import (
	"context"
	"io"
	"os"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/verify"
)

func drawText(t *rapid.T, longest int) string {
	return string(rapid.SliceOfN(rapid.Byte(), 0, longest).Draw(t, "text"))
}

func drawTime(t *rapid.T) time.Time {
	return time.Unix(rapid.Int64Range(-1<<33, 1<<34).Draw(t, "sec"), rapid.Int64Range(0, 999_999_999).Draw(t, "nsec")).UTC()
}

func drawID(t *rapid.T) (id [32]byte) {
	copy(id[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "id"))
	return id
}

func drawWork(t *rapid.T) *verify.Work {
	w := new(verify.Work)
	w.Key.Algo = algo.ID(rapid.IntRange(1, 25).Draw(t, "algo"))
	if rapid.Bool().Draw(t, "seeded") {
		w.Key.Seed[0] = byte(rapid.IntRange(1, 4).Draw(t, "seed"))
	}
	w.Key.Height = rapid.Uint64().Draw(t, "height")
	w.Claim = drawID(t)
	if rapid.Bool().Draw(t, "target") {
		w.Goals.Job = blob.TargetFor(rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 2*blob.WideTargetFrom)).Draw(t, "difficulty"))
	}
	for i := range w.Goals.Chain {
		if rapid.Bool().Draw(t, "chain") {
			w.Goals.Chain[i] = blob.Difficulty{Hi: rapid.Uint64().Draw(t, "hi"), Lo: rapid.Uint64().Draw(t, "lo")}
		}
	}
	w.SetInput(rapid.SliceOfN(rapid.Byte(), 0, verify.MaxInput).Draw(t, "input"))
	return w
}

func drawBlock(t *rapid.T) Block {
	return Block{ID: drawID(t), Height: rapid.Uint64().Draw(t, "height"), Difficulty: drawText(t, 40), Reward: rapid.Uint64().Draw(t, "reward"),
		Wallet: drawText(t, 110), Worker: drawText(t, 64), Node: drawText(t, 30), Time: drawTime(t)}
}

// TestRoundTrip writes records of all kinds with any content, over restarts and
// small segments, and reads them again.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "journal")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		cfg := testConfig(dir)
		cfg.FS = quickFS()
		cfg.SegmentBytes = rapid.Int64Range(1, 4000).Draw(t, "segment")
		j, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var want []Record
		for range rapid.IntRange(1, 40).Draw(t, "records") {
			rec := Record{Kind: Kind(rapid.IntRange(int(KindCredit), int(KindVest)).Draw(t, "kind"))}
			done := make(chan error, 1)
			d := told(func(err error) { done <- err })
			switch rec.Kind {
			case KindCredit:
				rec.Credit = Credit{Wallet: drawText(t, 110), Worker: drawText(t, 64), Difficulty: rapid.Uint64Range(1, 1<<50).Draw(t, "difficulty"), Time: drawTime(t).Truncate(time.Millisecond)}
				if rapid.Bool().Draw(t, "trusted") {
					rec.Credit.Work = drawWork(t)
				}
				j.Credit(rec.Credit, d)
			case KindFound:
				rec.Found = &Found{Block: drawBlock(t), Bytes: rapid.SliceOfN(rapid.Byte(), 1, 9000).Draw(t, "bytes")}
				j.Found(*rec.Found, d)
			case KindSettled:
				rec.Settled = &Settled{Block: drawBlock(t), Accepted: rapid.Bool().Draw(t, "accepted"), Daemon: drawText(t, 40), Reason: drawText(t, 200), At: drawTime(t)}
				j.Settle(*rec.Settled, d)
			case KindClawBack:
				rec.ClawBack = &ClawBack{Wallet: drawText(t, 110), Reason: drawText(t, 50), At: drawTime(t)}
				j.ClawBack(*rec.ClawBack, d)
			case KindVest:
				rec.Vest = &Vest{Wallet: drawText(t, 110), Hashes: rapid.Uint64().Draw(t, "hashes"), Until: Position(rapid.Uint64().Draw(t, "until")), At: drawTime(t)}
				j.Vest(*rec.Vest, d)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			want = append(want, rec)
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				if err := j.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
				if j, err = Open(cfg); err != nil {
					t.Fatal(err)
				}
			}
		}
		defer j.Close(context.Background())
		compare(t, j, want)
	})
}

func compare(t *rapid.T, j *Journal, want []Record) {
	r, err := j.NewReader("test", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var at Position
	var sums Sums
	for i, w := range want {
		rec, err := r.Next()
		if err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		if w.Kind == KindCredit {
			sums.Hashes += w.Credit.Difficulty
			sums.Shares++
		}
		w.At, w.End, w.Sums = at, rec.End, sums
		at = rec.End
		if got := own(rec); !reflect.DeepEqual(got, w) {
			t.Fatalf("record %d:\n got %+v\nwant %+v", i, got, w)
		}
	}
	if rec, err := r.Next(); err != io.EOF {
		t.Fatalf("behind the last record: %+v, %v", rec, err)
	}
	if j.End() != at {
		t.Fatalf("end %d, want %d", j.End(), at)
	}
}

// told is a function as a Done.
type told func(error)

func (f told) Committed(err error) { f(err) }

// TestCreditSize gives the figure that the documentation has.
func TestCreditSize(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Sync = SyncOff
	j := mustOpen(t, cfg)
	defer mustClose(t, j)
	const n = 1000
	for _, c := range []struct {
		name string
		ids  int
		work bool
		most float64
	}{
		{"verified, 10 workers", 10, false, 24},
		{"trusted, 10 workers", 10, true, 160},
	} {
		var at Position
		for i := range 2 * n {
			if i == n {
				at = j.End() // names are known from here on
			}
			s := share(i % c.ids)
			s.Difficulty, s.Time = 250_000, time.Now()
			if c.work {
				s.Work = new(verify.Work)
				s.Work.Key.Algo, s.Work.Key.Seed[0] = algo.RX0, 1
				s.Work.Goals.Job, s.Work.Goals.Chain[0] = blob.TargetFor(s.Difficulty), blob.FromUint64(300e9)
				s.Work.SetInput(make([]byte, 76))
			}
			w := newWaiter(t)
			j.Credit(s, w)
			if err := w.wait(); err != nil {
				t.Fatal(err)
			}
		}
		each := float64(j.End()-at) / n
		t.Logf("%s: %.1f bytes a credit", c.name, each)
		if each > c.most {
			t.Errorf("%s: %.1f bytes a credit, want at most %.0f", c.name, each, c.most)
		}
	}
}
