package miner

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/assay-pool/assay/bench/xmrig"
	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/pow"
	"github.com/assay-pool/assay/native/randomx"
)

// light is a real manager in light mode; without cgo there is none to test.
func light(t *testing.T) *randomx.Manager {
	t.Helper()
	rx, err := randomx.New(randomx.Config{Mode: randomx.ModeLight})
	if errors.Is(err, randomx.ErrNoCgo) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rx.Close)
	return rx
}

// The native hasher agrees with public vectors, in batches of one seed.
func TestNativeVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/rx0.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct{ Algo, Seed_Hex, Input_Hex, Hash_Hex, Source string }
	if err := json.Unmarshal(raw, &vectors); err != nil || len(vectors) < 4 {
		t.Fatal(len(vectors), err)
	}
	native := NewNative(pow.Engines{RandomX: light(t)})
	h, err := native.NewHasher()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for i := 0; i < len(vectors); {
		var seed [32]byte
		hex.Decode(seed[:], []byte(vectors[i].Seed_Hex))
		if err := native.Prepare(ctx, "test", &xmrig.Job{Algo: algo.RX0, Seed: seed}); err != nil {
			t.Fatal(err)
		}
		var in []byte
		var lens []uint32
		from := i
		for ; i < len(vectors) && vectors[i].Seed_Hex == vectors[from].Seed_Hex; i++ {
			input, err := hex.DecodeString(vectors[i].Input_Hex)
			if err != nil {
				t.Fatal(err)
			}
			in, lens = append(in, input...), append(lens, uint32(len(input)))
		}
		out := make([]byte, 32*len(lens))
		if err := h.Hash(algo.RX0, seed, 0, in, lens, out); err != nil {
			t.Fatal(err)
		}
		for k := range lens {
			if got := hex.EncodeToString(out[32*k : 32*k+32]); got != vectors[from+k].Hash_Hex {
				t.Errorf("%s: %s, want %s", vectors[from+k].Source, got, vectors[from+k].Hash_Hex)
			}
		}
	}
}

func TestNativeRefuses(t *testing.T) {
	native := NewNative(pow.Engines{RandomX: light(t)})
	for id, want := range map[algo.ID]string{algo.CN1: "cn/1 needs CryptoNight", algo.Unknown: "not an algorithm", algo.RX2: "rx/2"} {
		if err := native.Prepare(t.Context(), "test", &xmrig.Job{Algo: id}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", id, err)
		}
	}
	h, err := native.NewHasher()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Hash(algo.RX0, [32]byte{9}, 0, make([]byte, 76), []uint32{76}, make([]byte, 32)); !errors.Is(err, randomx.ErrUnknownSeed) {
		t.Errorf("a seed nobody announced: %v", err)
	}
	if err := h.Hash(algo.CN1, [32]byte{}, 0, make([]byte, 76), []uint32{76}, make([]byte, 32)); err == nil {
		t.Error("hashed cn/1")
	}
}

// Two miners over one manager find real shares; each is hashed again.
func TestNativeMines(t *testing.T) {
	rx := light(t)
	native := NewNative(pow.Engines{RandomX: rx})
	p := newPool(t)
	p.judgeBy = func(seed [32]byte, blob []byte) (digest [32]byte) {
		h, err := native.NewHasher()
		if err == nil {
			defer h.Close()
			err = h.Hash(algo.RX0, seed, 7, blob, []uint32{uint32(len(blob))}, digest[:])
		}
		if err != nil {
			t.Error(err)
		}
		return digest
	}
	p.target = "ffffff3f" // every fourth hash
	done := make(chan error, 2)
	miners := make([]*Miner, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 2*deadline)
	defer cancel()
	for i := range miners {
		cfg := p.config(native)
		cfg.Name, cfg.Threads, cfg.Accepted = string(rune('a'+i)), 1, 3
		m, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		miners[i] = m
		go func() { done <- m.Run(ctx) }()
	}
	for range miners {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for _, m := range miners {
		s := m.Stats()
		if s.Accepted != 3 || s.Rejected != 0 || s.Hashes < 3 {
			t.Errorf("stats %+v", s)
		}
		for _, share := range m.Shares() {
			if binary.LittleEndian.Uint64(share.Result[24:]) >= share.Target {
				t.Errorf("share %+v is above its target", share)
			}
		}
	}
	if p.count(&p.accepted)() != 6 {
		t.Errorf("the pool accepted %d; %v", p.accepted, p.bad)
	}
}
