package job_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/job/jobtest"
)

func TestWindowFind(t *testing.T) {
	tmpl := jobtest.Template(t, 1)
	w := job.NewWindow(job.Prefix{3}, 0xabcdef01, 2)
	id := func(number uint32) []byte { return w.AppendID(nil, number) }
	if w.Latest() != nil {
		t.Fatal("a new window has a job")
	}
	if j, issued := w.Find(id(0)); j != nil || issued {
		t.Fatal("a job was found before one was cut")
	}
	for i := range uint32(5) {
		j := w.Cut(tmpl, uint64(1000+i))
		if j.Number != i || w.Latest() != j {
			t.Fatalf("job %d has number %d", i, j.Number)
		}
	}
	for number, want := range []struct{ found, issued bool }{{false, true}, {false, true}, {false, true}, {true, true}, {true, true}, {false, false}} {
		j, issued := w.Find(id(uint32(number)))
		if (j != nil) != want.found || issued != want.issued {
			t.Errorf("job %d: found %v, issued %v; want %+v", number, j != nil, issued, want)
		}
		if j != nil && (j.Number != uint32(number) || j.Difficulty != uint64(1000+number)) {
			t.Errorf("job %d is number %d of difficulty %d", number, j.Number, j.Difficulty)
		}
	}
	other := job.NewWindow(job.Prefix{3}, 0xabcdef02, 2)
	for _, bad := range [][]byte{nil, []byte("x"), other.AppendID(nil, 4), []byte(strings.ToUpper(string(id(4)))), append(id(4), '0'), []byte("zbcdef0100000004")} {
		if j, issued := w.Find(bad); j != nil || issued {
			t.Errorf("job id %q was found", bad)
		}
	}
}

func TestJobUse(t *testing.T) {
	w := job.NewWindow(job.Prefix{1}, 1, 1)
	j := w.Cut(jobtest.Template(t, 1), 1)
	for i, want := range []job.Use{job.Fresh, job.Duplicate} {
		if got := j.Use(7, 2); got != want {
			t.Errorf("use %d of nonce 7: %v, want %v", i, got, want)
		}
	}
	if got := j.Use(8, 2); got != job.Fresh {
		t.Errorf("nonce 8: %v", got)
	}
	if got := j.Use(9, 2); got != job.Full {
		t.Errorf("the third nonce of two: %v", got)
	}
	if got := j.Use(8, 2); got != job.Duplicate {
		t.Errorf("a duplicate in a full job: %v", got)
	}
	w.Forget(j.Number, 8)
	if got := j.Use(8, 2); got != job.Fresh {
		t.Errorf("a nonce taken back: %v", got)
	}
	number := j.Number
	w.Cut(jobtest.Template(t, 1), 1)
	w.Forget(number, 8) // the job has left the window: nothing to forget, nothing to break
	if got := w.Latest().Use(8, 2); got != job.Fresh {
		t.Errorf("the next job knows the last one's nonces: %v", got)
	}
}

// TestJobKeepsItsRoot: a job's hashing blob, and the input of a nonce, are what its
// template gives for its extra nonce, after other jobs too and without memory.
func TestJobKeepsItsRoot(t *testing.T) {
	tmpl := jobtest.Template(t, 1)
	w := job.NewWindow(job.Prefix{1}, 7, 3)
	for range 7 { // more than the window holds
		w.Cut(tmpl, 1)
	}
	buf := make([]byte, 0, job.MaxHashingBlob)
	for number := uint32(4); number < 7; number++ {
		j, _ := w.Find(w.AppendID(nil, number))
		extra := w.Extra(number)
		want := tmpl.AppendHashing(nil, extra[:])
		if got := j.AppendHashing(nil); !bytes.Equal(got, want) {
			t.Errorf("job %d: hashing blob %x, want %x", number, got, want)
		}
		binary.LittleEndian.PutUint32(want[job.NonceOffset:], 0xddccbbaa)
		if got := j.AppendInput([]byte("before"), 0xddccbbaa); !bytes.Equal(got, append([]byte("before"), want...)) {
			t.Errorf("job %d: input %x, want %x", number, got, want)
		}
		if n := testing.AllocsPerRun(100, func() { j.AppendInput(buf, 1) }); n != 0 {
			t.Errorf("an input costs %v allocations", n)
		}
	}
}

// TestExtraUnique: no two jobs of any sessions of any nodes share a search space (I4).
func TestExtraUnique(t *testing.T) {
	type owner struct {
		prefix          job.Prefix
		session, number uint32
	}
	rapid.Check(t, func(t *rapid.T) {
		seen := make(map[job.Extra]owner)
		for range 50 {
			var prefix job.Prefix
			binary.BigEndian.PutUint64(prefix[:], rapid.Uint64().Draw(t, "prefix"))
			o := owner{prefix, rapid.Uint32().Draw(t, "session"), rapid.Uint32().Draw(t, "number")}
			e := job.MakeExtra(o.prefix, o.session, o.number)
			if before, ok := seen[e]; ok && before != o {
				t.Fatalf("%+v and %+v share the extra nonce %x", before, o, e)
			}
			seen[e] = o
			if session, ours := o.prefix.Session(e[:]); session != o.session || !ours {
				t.Fatalf("%x is read as session %d, ours %v; it is %+v", e, session, ours, o)
			}
			id := job.AppendID(nil, o.session, o.number)
			session, number, ok := job.ParseID(id)
			if !ok || session != o.session || number != o.number {
				t.Fatalf("job id %s of %+v reads as %d, %d, %v", id, o, session, number, ok)
			}
		}
	})
}

// TestPrefix: two pools with one node prefix, as two Redis instances give it,
// have different extra nonces all the same; and no foreign bytes are read as own.
func TestPrefix(t *testing.T) {
	a, b := job.NewPrefix(1), job.NewPrefix(1)
	if a == b || a[4] != 0 || a[7] != 1 || b[7] != 1 {
		t.Fatalf("prefixes %x and %x of node 1", a, b)
	}
	own := job.MakeExtra(a, 5, 6)
	for _, extra := range [][]byte{nil, own[:job.ExtraSize-1], make([]byte, job.ExtraSize), bytes.Repeat([]byte{0xff}, 255)} {
		if _, ours := a.Session(extra); ours {
			t.Errorf("%x is taken for %x's", extra, a)
		}
	}
	if _, ours := b.Session(own[:]); ours {
		t.Errorf("%x is taken for %x's", own, b)
	}
	// A daemon may reserve more than was asked for.
	if session, ours := a.Session(append(own[:], 0, 0)); !ours || session != 5 {
		t.Errorf("own extra nonce with two bytes more: session %d, ours %v", session, ours)
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	w := job.NewWindow(job.Prefix{1}, 1, 8)
	w.Cut(jobtest.Template(t, 1), 1)
	id := w.AppendID(nil, 0)
	if n := testing.AllocsPerRun(100, func() {
		if j, _ := w.Find(id); j == nil {
			t.Fatal("job not found")
		}
	}); n != 0 {
		t.Errorf("Find allocates %v times", n)
	}
}

// TestNoncesOfAJob: the set is the same however many nonces it holds, and with
// some taken back in between.
func TestNoncesOfAJob(t *testing.T) {
	tmpl := jobtest.Template(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		const limit = 8
		w := job.NewWindow(job.Prefix{1}, 1, 1)
		j := w.Cut(tmpl, 1)
		seen := map[uint32]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			nonce := rapid.Uint32Range(0, 12).Draw(t, "nonce")
			if rapid.IntRange(0, 2).Draw(t, "forget") == 0 {
				w.Forget(j.Number, nonce)
				delete(seen, nonce)
				continue
			}
			want := job.Fresh
			switch {
			case seen[nonce]:
				want = job.Duplicate
			case len(seen) >= limit:
				want = job.Full
			default:
				seen[nonce] = true
			}
			if got := j.Use(nonce, limit); got != want {
				t.Fatalf("nonce %d with %d seen: %v, want %v", nonce, len(seen), got, want)
			}
		}
	})
}

// TestFirstSharesDoNotAllocate: a new job's first few shares, which are all that
// most jobs have, cost no memory.
func TestFirstSharesDoNotAllocate(t *testing.T) {
	w := job.NewWindow(job.Prefix{1}, 1, 8)
	tmpl := jobtest.Template(t, 1)
	for range 8 {
		w.Cut(tmpl, 1)
	}
	for _, shares := range []uint32{1, 4} {
		if n := testing.AllocsPerRun(100, func() {
			j := w.Cut(tmpl, 1)
			for nonce := range shares {
				if j.Use(nonce, 2500) != job.Fresh {
					t.Fatal("a nonce of another job was known")
				}
			}
		}); n != 0 {
			t.Errorf("a job of %d shares allocates %v times", shares, n)
		}
	}
}
