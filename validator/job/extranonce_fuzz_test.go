package job_test

import (
	"strings"
	"testing"

	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/job/jobtest"
)

// FuzzParseID: a job id is taken if and only if it is the one spelling that
// AppendID gives to its numbers, and a window finds only what it has issued.
func FuzzParseID(f *testing.F) {
	for _, s := range []string{
		"", "0000000100000000", "0000000100000002", "0000000100000003", "ffffffffffffffff", "000000010000000A",
		"000000010000000", "00000001000000000", "0x00000100000000", "-000000100000000", "0000000100000000\n", strings.Repeat("g", job.IDSize),
	} {
		f.Add([]byte(s), uint32(1), uint32(2))
	}
	f.Add([]byte{}, uint32(1<<32-1), uint32(1<<32-1))
	// Three jobs, of which two are kept.
	const own = 1
	w := job.NewWindow(job.Prefix{7}, own, 2)
	for range 3 {
		w.Cut(jobtest.Template(f, 1), 1000)
	}
	f.Fuzz(func(t *testing.T, id []byte, session, number uint32) {
		if s, n, ok := job.ParseID(job.AppendID(nil, session, number)); !ok || s != session || n != number {
			t.Fatalf("%d/%d came back as %d/%d, %v", session, number, s, n, ok)
		}
		s, n, ok := job.ParseID(id)
		switch {
		case ok && string(job.AppendID(nil, s, n)) != string(id):
			t.Fatalf("%q was taken for %d/%d, which is %q", id, s, n, job.AppendID(nil, s, n))
		case !ok && (s != 0 || n != 0):
			t.Fatalf("%q is refused, but %d/%d", id, s, n)
		}

		j, issued := w.Find(id)
		if want := ok && s == own && n < 3; issued != want {
			t.Fatalf("%q: issued %v, want %v", id, issued, want)
		}
		if want := issued && n > 0; (j != nil) != want || j != nil && j.Number != n {
			t.Fatalf("%q: found %+v", id, j)
		}
	})
}
