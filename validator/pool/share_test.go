package pool_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/assay-pool/assay/native/pow"
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/job/jobtest"
	"github.com/assay-pool/assay/validator/pool"
	"github.com/assay-pool/assay/validator/verify"
)

// TestInputIsWhatTheMinerHashed: nonce and extra nonce stand where they must, in the
// input and in the block.
func TestInputIsWhatTheMinerHashed(t *testing.T) {
	tmpl := jobtest.Template(t, 1)
	extra := job.MakeExtra(job.Prefix{1, 2, 3, 4, 5, 6, 7, 8}, 0x05060708, 0x090a0b0c)
	s := shareOf(tmpl, extra, 0xddccbbaa)
	if got := s.Input()[39:43]; !bytes.Equal(got, []byte{0xaa, 0xbb, 0xcc, 0xdd}) {
		t.Errorf("nonce bytes %x, want aabbccdd", got)
	}
	id, block := pool.WholeBlock(s)
	if got := block[tmpl.ReservedOffset : tmpl.ReservedOffset+job.ExtraSize]; !bytes.Equal(got, extra[:]) {
		t.Errorf("the block's extra nonce is %x, want %x", got, extra)
	}
	if binary.LittleEndian.Uint32(block[tmpl.NonceOffset:]) != 0xddccbbaa {
		t.Error("the block has another nonce")
	}
	if id != blob.BlockID(s.Input()) {
		t.Error("the block's id is not that of its hashing blob")
	}
	again, err := blob.Parse(tmpl.Type, block, job.ExtraSize)
	if err != nil {
		t.Fatal(err)
	}
	if own := again.AppendHashing(nil, extra[:]); !bytes.Equal(own, s.Input()) {
		t.Errorf("the block hashes as %x, the miner hashed %x", own, s.Input())
	}
}

// TestShareIsOfItsJob: what a share asks for is all its job's, also when it was
// another job's before.
func TestShareIsOfItsJob(t *testing.T) {
	var s pool.Share
	before := [32]byte{1}
	window := job.NewWindow(job.Prefix{1}, 2, 2)
	old := window.Cut(jobtest.Template(t, 1), 7)
	s.For(old, window.Extra(old.Number), 1, &before)
	s.Verdict, s.Met, s.Hash, s.Wallet = validator.ShedLedger, verify.MetChain(0), before, "wallet"
	s.Release()
	if s.Template != nil || s.Wallet != "" || s.Origin != nil || s.Sink != nil || s.Owner != nil {
		t.Errorf("a released share keeps %+v", s)
	}

	tmpl := jobtest.Template(t, 5)
	window.Cut(tmpl, 1)
	j := window.Cut(tmpl, 2000)
	claim := [32]byte{9}
	s.For(j, window.Extra(j.Number), 77, &claim)
	if s.Template != tmpl || s.Job != 2 || s.Nonce != 77 || s.Difficulty != 2000 || s.Extra != window.Extra(2) || s.Claim != claim {
		t.Errorf("the share is %+v", s)
	}
	if want := (pow.Key{Algo: tmpl.Algo, Seed: [32]byte{5}}); s.Key != want {
		t.Errorf("it is hashed with %+v, want %+v", s.Key, want)
	}
	if want := (verify.Goals{Job: blob.TargetFor(2000), Chain: [verify.MaxChains]blob.Difficulty{tmpl.Difficulty}}); s.Goals != want {
		t.Errorf("its goals are %+v", s.Goals)
	}
	if s.Verdict != validator.Pending || s.Block() || s.Hash != ([32]byte{}) {
		t.Errorf("it is judged: %v, block %v, %x", s.Verdict, s.Block(), s.Hash)
	}
	if want := j.AppendInput(nil, 77); !bytes.Equal(s.Input(), want) {
		t.Errorf("its input is %x, want %x", s.Input(), want)
	}
	if n := testing.AllocsPerRun(100, func() { s.For(j, window.Extra(j.Number), 77, &claim) }); n != 0 {
		t.Errorf("a share costs %v allocations", n)
	}
}
