//go:build cgo && linux && amd64

package randomx

/*
#cgo CXXFLAGS: -std=c++17 -O2 -Wall -Wextra -Werror
#cgo LDFLAGS: -lrandomx -lpthread
#cgo noescape assay_rx_hash
#cgo nocallback assay_rx_hash
#cgo noescape assay_rx_bare_loop
#cgo nocallback assay_rx_bare_loop
#include "assay_randomx.h"
*/
import "C"

import (
	"errors"
	"sync/atomic"
	"unsafe"

	"github.com/assay-pool/assay/native/cpu"
)

// Flags of librandomx 1.1 (randomx.h).
const (
	flagLargePages  = 1
	flagHardAES     = 2
	flagJIT         = 8
	flagSecure      = 16
	flagArgon2SSSE3 = 32
	flagArgon2AVX2  = 64
)

// native is librandomx with the flags this machine and the operator allow.
type native struct {
	flags uint32
	huge  bool // the operator wants huge pages
	// Set after the first failed attempt: in 1.1.10 a cache that does not get
	// its huge pages leaks its compiler, so it is never tried twice.
	noHugeCache, noHugeDataset, noHugeVM atomic.Bool
}

// openLibrary picks the flags. It allocates nothing.
func openLibrary(cfg Config) (library, error) {
	n := &native{flags: uint32(C.assay_rx_flags()), huge: !cfg.NoHugePages}
	if !cfg.CPU.AES {
		n.flags &^= flagHardAES
	}
	if !cfg.CPU.SSSE3 {
		n.flags &^= flagArgon2SSSE3
	}
	if !cfg.CPU.AVX2 {
		n.flags &^= flagArgon2AVX2
	}
	// SECURE flips page rights around every program and may throw; it is used
	// only where the system forbids pages that are writable and executable.
	switch C.assay_rx_probe_exec() {
	case 2:
	case 1:
		n.flags |= flagSecure
	default:
		n.flags &^= flagJIT
	}
	return n, nil
}

func (n *native) describe() string {
	s := "librandomx 1.1"
	for _, f := range []struct {
		bit     uint32
		yes, no string
	}{
		{flagJIT, ", JIT", ", interpreter (no executable pages: MemoryDenyWriteExecute?)"},
		{flagSecure, " with W^X", ""},
		{flagHardAES, ", hard AES", ", soft AES"},
		{flagArgon2AVX2, ", Argon2 AVX2", ""},
	} {
		if n.flags&f.bit != 0 {
			s += f.yes
		} else {
			s += f.no
		}
	}
	return s
}

// tryHuge tells whether enough reserved pages are free for an attempt. Looking
// first keeps a failure, which may leak, from happening in all usual cases.
func (n *native) tryHuge(failed *atomic.Bool, bytes int) bool {
	if !n.huge || failed.Load() {
		return false
	}
	s := cpu.HugePages()
	return s.PageSize == hugePageBytes && s.Free >= bytes/hugePageBytes
}

func (n *native) items() uint64 { return uint64(C.assay_rx_dataset_items()) }

func (n *native) allocCache() (cacheMemory, error) {
	var p *C.assay_rx_cache
	if n.tryHuge(&n.noHugeCache, cacheBytes) {
		if C.assay_rx_cache_alloc(C.uint32_t(n.flags|flagLargePages), &p) == C.ASSAY_RX_OK {
			return &nativeCache{p, cpu.Huge}, nil
		}
		n.noHugeCache.Store(true)
	}
	if err := status("allocate cache", C.assay_rx_cache_alloc(C.uint32_t(n.flags), &p)); err != nil {
		return nil, err
	}
	return &nativeCache{p, cpu.Plain}, nil
}

func (n *native) allocDataset() (datasetMemory, error) {
	var p *C.assay_rx_dataset
	var thp C.int32_t
	if n.tryHuge(&n.noHugeDataset, datasetBytes) {
		if C.assay_rx_dataset_alloc(flagLargePages, &thp, &p) == C.ASSAY_RX_OK {
			return &nativeDataset{p, cpu.Huge}, nil
		}
		n.noHugeDataset.Store(true)
	}
	thp = 0
	if cpu.HugePages().THPUsable() {
		thp = 1
	}
	if err := status("allocate dataset", C.assay_rx_dataset_alloc(0, &thp, &p)); err != nil {
		return nil, err
	}
	if thp != 0 {
		return &nativeDataset{p, cpu.THP}, nil
	}
	return &nativeDataset{p, cpu.Plain}, nil
}

func (n *native) newLightVM(c cacheMemory) (machine, error) {
	return n.newVM(func(flags C.uint32_t, p **C.assay_rx_vm) C.int32_t {
		return C.assay_rx_vm_light(flags, c.(*nativeCache).p, p)
	})
}

func (n *native) newFullVM(d datasetMemory) (machine, error) {
	return n.newVM(func(flags C.uint32_t, p **C.assay_rx_vm) C.int32_t {
		return C.assay_rx_vm_full(flags, d.(*nativeDataset).p, p)
	})
}

// newVM creates a VM, its scratchpad on a huge page when one is free.
func (n *native) newVM(create func(C.uint32_t, **C.assay_rx_vm) C.int32_t) (machine, error) {
	vm := &nativeVM{}
	if n.tryHuge(&n.noHugeVM, scratchpadBytes) {
		if create(C.uint32_t(n.flags|flagLargePages), &vm.p) == C.ASSAY_RX_OK {
			return vm, nil
		}
		n.noHugeVM.Store(true)
	}
	if err := status("create VM", create(C.uint32_t(n.flags), &vm.p)); err != nil {
		return nil, err
	}
	return vm, nil
}

type nativeCache struct {
	p    *C.assay_rx_cache
	kind cpu.Pages
}

func (c *nativeCache) fill(key []byte, nice int) error {
	return status("fill cache", C.assay_rx_cache_init(c.p, bytePointer(key), C.uint64_t(len(key)), C.int32_t(nice)))
}

func (c *nativeCache) pages() cpu.Pages { return c.kind }

func (c *nativeCache) free() {
	C.assay_rx_cache_free(c.p)
	c.p = nil
}

type nativeDataset struct {
	p    *C.assay_rx_dataset
	kind cpu.Pages
}

func (d *nativeDataset) fill(c cacheMemory, start, count uint64, threads, nice int) error {
	return status("fill dataset", C.assay_rx_dataset_fill(d.p, c.(*nativeCache).p, C.uint64_t(start), C.uint64_t(count),
		C.uint32_t(threads), C.int32_t(nice)))
}

func (d *nativeDataset) pages() cpu.Pages { return d.kind }

func (d *nativeDataset) free() {
	C.assay_rx_dataset_free(d.p)
	d.p = nil
}

type nativeVM struct{ p *C.assay_rx_vm }

func (v *nativeVM) bindCache(c cacheMemory) error {
	return status("bind VM to cache", C.assay_rx_vm_set_cache(v.p, c.(*nativeCache).p))
}

func (v *nativeVM) bindDataset(d datasetMemory) error {
	return status("bind VM to dataset", C.assay_rx_vm_set_dataset(v.p, d.(*nativeDataset).p))
}

func (v *nativeVM) hash(in []byte, lens []uint32, out []byte) error {
	rc := C.assay_rx_hash(v.p, bytePointer(in), C.uint64_t(len(in)), (*C.uint32_t)(unsafe.SliceData(lens)),
		C.uint32_t(len(lens)), bytePointer(out), C.uint64_t(len(out)))
	if rc != C.ASSAY_RX_OK {
		return status("hash", rc)
	}
	return nil
}

func (v *nativeVM) bareLoop(in []byte, nonceAt int, nonce, n uint32, out []byte) error {
	return status("bare loop", C.assay_rx_bare_loop(v.p, bytePointer(in), C.uint64_t(len(in)), C.uint32_t(nonceAt),
		C.uint32_t(nonce), C.uint32_t(n), bytePointer(out), C.uint64_t(len(out))))
}

func (v *nativeVM) free() {
	C.assay_rx_vm_free(v.p)
	v.p = nil
}

func bytePointer(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(b)) }

// floatState reads MXCSR (low 32 bits) and the x87 control word of this thread.
func floatState() uint64 { return uint64(C.assay_rx_float_state()) }

// status turns a status of the C side into an error.
func status(what string, rc C.int32_t) error {
	switch rc {
	case C.ASSAY_RX_OK:
		return nil
	case C.ASSAY_RX_ARGUMENT:
		return errors.New("randomx: " + what + ": " + "bad argument or uninitialised object")
	case C.ASSAY_RX_NO_MEMORY:
		return errors.New("randomx: " + what + ": " + "out of memory")
	case C.ASSAY_RX_NO_THREAD:
		return errors.New("randomx: " + what + ": " + "cannot start a build thread")
	default:
		return errors.New("randomx: " + what + ": " + "librandomx threw an exception")
	}
}
