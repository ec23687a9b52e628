package hashline

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/cryptonight"
	"github.com/assay-pool/assay/native/randomx"
)

// Config is what NewNative takes. The zero value takes the best kernel, and the
// width by cache size that cryptonight.New gives: a node measures its widths at
// start, which a few lines are not worth.
type Config struct {
	CPU    *cpu.Info           // nil: cpu.Detect without anything disabled
	Kernel *cryptonight.Kernel // nil: the best the CPU has
	// Width is the lanes in lockstep of CryptoNight, 0 for the engine's own, which
	// is at most 8 before a measurement. If given it is always kept: a batch with fewer inputs is filled up with copies
	// of them, and copies that differ are an error.
	Width int
	NoJIT bool         // interpret the random programs of cn/r and cn/wow
	Log   *slog.Logger // nil: discard
}

// ErrLanes: two lanes hashed one input to different hashes.
var ErrLanes = errors.New("lanes disagree: this kernel or this machine is broken")

// Native is the Hasher of this machine. Each family is set up, and tested with
// public vectors, when its first line comes. Not safe for concurrent use.
type Native struct {
	cfg Config
	cn  *cryptonight.Worker
	rx  *randomx.KeyHasher

	// Of a batch filled up to Width.
	in      []byte
	lens    []uint32
	heights []uint64
	out     []byte
}

// NewNative only takes the configuration down.
func NewNative(cfg Config) *Native {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Native{cfg: cfg}
}

// Hash hashes a batch of at most MaxBatch inputs.
func (n *Native) Hash(key Key, in []byte, lens []uint32, out []byte) error {
	if key.Algo.Family() == algo.RandomX {
		return n.randomX(key, in, lens, out)
	}
	return n.cryptoNight(key, in, lens, out)
}

func (n *Native) randomX(key Key, in []byte, lens []uint32, out []byte) error {
	if n.rx == nil {
		rx, err := randomx.NewKeyHasher(randomx.Config{CPU: n.cfg.CPU})
		if err != nil {
			return err
		}
		if err := rx.SelfTest(); err != nil {
			rx.Close()
			return err
		}
		n.rx = rx
	}
	return n.rx.Hash([]byte(key.Seed), in, lens, out)
}

// cryptoNight hashes the batch, and as many copies as fill its lanes.
func (n *Native) cryptoNight(key Key, in []byte, lens []uint32, out []byte) error {
	if err := n.needCryptoNight(); err != nil {
		return err
	}
	n.in, n.lens, n.heights = append(n.in[:0], in...), append(n.lens[:0], lens...), n.heights[:0]
	if w := n.cfg.Width; w > 0 {
		at := 0
		for i := 0; len(n.lens)%w != 0; i++ {
			if i%len(lens) == 0 {
				at = 0
			}
			size := lens[i%len(lens)]
			n.in = append(n.in, in[at:at+int(size)]...)
			n.lens = append(n.lens, size)
			at += int(size)
		}
	}
	for range n.lens {
		n.heights = append(n.heights, key.Height)
	}
	n.out = append(n.out[:0], make([]byte, hashBytes*len(n.lens))...)
	if err := n.cn.Hash(key.Algo, n.in, n.lens, n.heights, n.out); err != nil {
		return err
	}
	copy(out, n.out)
	for i := len(lens); i < len(n.lens); i++ {
		first := i % len(lens)
		a, b := n.out[hashBytes*first:hashBytes*(first+1)], n.out[hashBytes*i:hashBytes*(i+1)]
		if !bytes.Equal(a, b) {
			return fmt.Errorf("%v: lane %d of an input gave %x, lane %d gave %x: %w", key.Algo, first, a, i, b, ErrLanes)
		}
	}
	return nil
}

// needCryptoNight makes the engine and one worker, whose scratchpads serve all
// variants.
func (n *Native) needCryptoNight() error {
	if n.cn != nil {
		return nil
	}
	engine, err := cryptonight.New(cryptonight.Config{
		CPU: n.cfg.CPU, Kernel: n.cfg.Kernel, Width: n.cfg.Width, NoJIT: n.cfg.NoJIT, Log: n.cfg.Log,
	})
	if err != nil {
		return err
	}
	n.cn, err = engine.NewWorker(MaxBatch)
	return err
}

// Close frees scratchpads, caches and programs.
func (n *Native) Close() error {
	if n.rx != nil {
		n.rx.Close()
	}
	if n.cn != nil {
		return n.cn.Close()
	}
	return nil
}
