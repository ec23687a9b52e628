package verify

import (
	"bytes"
	"testing"
	"unsafe"

	"github.com/assay-pool/assay/validator/blob"
)

func TestInput(t *testing.T) {
	var w Work
	if len(w.Input()) != 0 {
		t.Fatal("a new work has an input")
	}
	longest := bytes.Repeat([]byte{7}, MaxInput)
	for _, in := range [][]byte{{1, 2, 3}, longest, nil} {
		if !w.SetInput(in) || !bytes.Equal(w.Input(), in) {
			t.Errorf("an input of %d bytes is %x", len(in), w.Input())
		}
		copied := w
		if !bytes.Equal(copied.Input(), in) {
			t.Errorf("a copy's input of %d bytes is %x", len(in), copied.Input())
		}
	}
	w.SetInput(longest)
	if w.SetInput(append(longest, 8)) || len(w.Input()) != 0 {
		t.Errorf("an input of %d bytes was taken as %d", MaxInput+1, len(w.Input()))
	}
	// What is built in the work's own memory stays there.
	if !w.SetInput(append(w.Buffer(), "built here"...)) || string(w.Input()) != "built here" {
		t.Errorf("built in place: %q", w.Input())
	}
	if w.SetInput(append(w.Buffer(), append(longest, 8)...)) || len(w.Input()) != 0 {
		t.Error("what outgrew the work's own memory was taken")
	}
	if n := testing.AllocsPerRun(100, func() { w.SetInput(append(w.Buffer(), longest...)) }); n != 0 {
		t.Errorf("an input costs %v allocations", n)
	}
	if size := unsafe.Sizeof(w); size > 640 {
		t.Errorf("a work is %d bytes", size)
	}
}

func TestGoals(t *testing.T) {
	// hashed is a hash that meets 2^bits, and nothing much above.
	hashed := func(bits int) *[32]byte {
		h := [32]byte(bytes.Repeat([]byte{0xff}, 32))
		for bit := 255; bit >= 256-bits; bit-- {
			h[bit/8] &^= 1 << (bit % 8)
		}
		return &h
	}
	d := func(bits int) blob.Difficulty { return blob.FromUint64(1 << bits) }
	g := Goals{Job: blob.TargetFor(1 << 10), Chain: [MaxChains]blob.Difficulty{d(40), {}, d(5), d(20)}}
	for _, tt := range []struct {
		bits int
		want Met
	}{
		{0, 0},
		{6, MetChain(2)}, // an easy chain's block may be less than a share
		{11, MetJob | MetChain(2)},
		{21, MetJob | MetChain(2) | MetChain(3)},
		{41, MetJob | MetChain(0) | MetChain(2) | MetChain(3)},
		{256, MetJob | MetChain(0) | MetChain(2) | MetChain(3)}, // never the chain that is none
	} {
		got := g.Meets(hashed(tt.bits))
		if got != tt.want || got.Block() != (tt.want&^MetJob != 0) {
			t.Errorf("a hash of %d bits meets %05b, want %05b", tt.bits, got, tt.want)
		}
		for i := range MaxChains {
			if got.Chain(i) != (tt.want&MetChain(i) != 0) {
				t.Errorf("a hash of %d bits: chain %d %v", tt.bits, i, got.Chain(i))
			}
		}
	}
	if got := (&Goals{}).Meets(hashed(256)); got != 0 {
		t.Errorf("no goals are met: %05b", got)
	}
}
