package pow

import (
	"context"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/cryptonight"
	"github.com/assay-pool/assay/native/randomx"
)

//go:embed testdata/vectors.json
var vectorData []byte

type vector struct {
	Algo   string `json:"algo"`
	Input  string `json:"input_hex"`
	Seed   string `json:"seed_hex"`
	Height uint64 `json:"height"`
	Hash   string `json:"hash_hex"`
}

func (v vector) key(t *testing.T) Key {
	t.Helper()
	id, err := algo.Parse(v.Algo)
	if err != nil {
		t.Fatal(err)
	}
	key := Key{Algo: id, Height: v.Height}
	copy(key.Seed[:], unhex(t, v.Seed))
	return key
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func engines(t *testing.T) Engines {
	t.Helper()
	rx, err := randomx.New(randomx.Config{Mode: randomx.ModeLight})
	if errors.Is(err, randomx.ErrNoCgo) {
		t.Skip("nothing can be hashed without cgo:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rx.Close)
	cn, err := cryptonight.New(cryptonight.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return Engines{RandomX: rx, CryptoNight: cn}
}

// TestVectors: one worker hashes all algorithms in turn, alone and in batches.
func TestVectors(t *testing.T) {
	var vectors []vector
	if err := json.Unmarshal(vectorData, &vectors); err != nil {
		t.Fatal(err)
	}
	e := engines(t)
	w, err := e.NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, v := range vectors {
		key := v.key(t)
		if key.Algo.NeedsSeed() {
			e.RandomX.Announce("test", key.Seed, [32]byte{})
			if err := e.RandomX.Wait(ctx, key.Seed); err != nil {
				t.Fatal(err)
			}
		}
		in := unhex(t, v.Input)
		for n := 1; n <= 3; n++ {
			var batch []byte
			var lens []uint32
			for range n {
				batch, lens = append(batch, in...), append(lens, uint32(len(in)))
			}
			out := make([]byte, 32*n)
			if err := w.Hash(key, batch, lens, out); err != nil {
				t.Fatalf("%s: %v", v.Algo, err)
			}
			if got, want := hex.EncodeToString(out), strings.Repeat(v.Hash, n); got != want {
				t.Errorf("%s, batch of %d: %s, want %s", v.Algo, n, got, want)
			}
		}
		if width, wait := w.Batch(key); width < 1 || wait != (key.Algo.Family() == algo.CryptoNight) {
			t.Errorf("%s: batch of %d, wait %v", v.Algo, width, wait)
		}
	}
}

func TestRefusals(t *testing.T) {
	var none Engines
	w, err := none.NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, a := range []algo.ID{algo.RX0, algo.CN0, algo.Unknown} {
		err := w.Hash(Key{Algo: a}, []byte{1}, []uint32{1}, make([]byte, 32))
		if err == nil || !strings.Contains(err.Error(), a.String()) {
			t.Errorf("%v without engines: %v", a, err)
		}
		if width, _ := w.Batch(Key{Algo: a}); width != 1 {
			t.Errorf("%v without engines: batch of %d", a, width)
		}
	}
	full := engines(t)
	if err := full.Supports(algo.RX2); err == nil {
		t.Error("rx/2 is supported by a library that has none")
	}
	fw, err := full.NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	defer fw.Close()
	if err := fw.Hash(Key{Algo: algo.RX0, Seed: [32]byte{9}}, []byte{1}, []uint32{1}, make([]byte, 32)); !errors.Is(err, ErrEpoch) {
		t.Errorf("a seed nobody announced: %v", err)
	}
	if err := fw.Hash(Key{Algo: algo.CN1}, []byte{1}, []uint32{1}, make([]byte, 32)); !errors.Is(err, cryptonight.ErrInput) {
		t.Errorf("one byte for cn/1: %v", err)
	}
}

// TestExpected: memory for the expected algorithms is there before the first
// hash, sized for the largest; all others share one further worker.
func TestExpected(t *testing.T) {
	e := engines(t)
	const width = 24
	var err error
	if e.CryptoNight, err = cryptonight.New(cryptonight.Config{Width: width}); err != nil {
		t.Fatal(err)
	}
	e.Expected = []algo.ID{algo.CNUPX2, algo.CN0, algo.CNPico}
	resident := residentBytes(t)
	w, err := e.NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	size := e.CryptoNight.ArenaBytes(algo.CN0)
	if w.cn.ArenaBytes() != size || e.CryptoNight.ArenaBytes(e.Expected...) != size || size < width*2<<20 {
		t.Errorf("scratchpads of %d bytes, cn/0 needs %d", w.cn.ArenaBytes(), size)
	}
	if got := residentBytes(t) - resident; w.Pages() != cpu.Huge && got < size*9/10 { // reserved pages are not counted there
		t.Errorf("%d bytes became resident, want %d", got, size)
	}
	hash := func(a algo.ID) {
		t.Helper()
		if err := w.Hash(Key{Algo: a}, make([]byte, 76), []uint32{76}, make([]byte, 32)); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range e.Expected {
		hash(a)
	}
	if w.others != nil {
		t.Error("an expected algorithm has taken further memory")
	}
	hash(algo.CNLite1)
	others := w.others
	hash(algo.CNHeavy0)
	hash(algo.CN0)
	if others == nil || w.others != others {
		t.Error("two algorithms that were not expected do not share a worker")
	}
}

func TestExpectedRefusals(t *testing.T) {
	full := engines(t)
	for name, e := range map[string]Engines{
		"no engine":       {Expected: []algo.ID{algo.CN0}},
		"not CryptoNight": {RandomX: full.RandomX, CryptoNight: full.CryptoNight, Expected: []algo.ID{algo.CN0, algo.RX0}},
	} {
		if w, err := e.NewWorker(); err == nil {
			w.Close()
			t.Errorf("%s: a worker was made", name)
		}
	}
	if workers := full.RandomX.Status().Workers; workers != 0 {
		t.Errorf("%d RandomX workers were left behind", workers)
	}
}

// residentBytes reads the memory the process has.
func residentBytes(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func TestHashDoesNotAllocate(t *testing.T) {
	e := engines(t)
	w, err := e.NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	in, lens, out := make([]byte, 76), []uint32{76}, make([]byte, 32)
	if n := testing.AllocsPerRun(5, func() {
		if err := w.Hash(Key{Algo: algo.CNPico}, in, lens, out); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Hash allocates %v times", n)
	}
}
