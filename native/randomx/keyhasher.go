package randomx

import (
	"fmt"

	"github.com/assay-pool/assay/native/cpu"
)

// MaxKeyBytes is the longest RandomX key (specification, section 2: 60 bytes).
// The empty key the specification also allows is refused: librandomx takes it
// for the key of a cache that was never filled, and no coin uses it.
const MaxKeyBytes = 60

// KeyHasher hashes under any key, one key at a time, in light mode and in the
// calling thread. It is for settling disputes and for tests: a change of key
// fills the cache again, half a second in which the caller waits. A node's
// seeds belong to a Manager, which never lets a share wait for that. Not safe
// for concurrent use.
type KeyHasher struct {
	lib   library
	cache cacheMemory // nil until the first key, and after a failed fill
	vm    machine     // nil until the first hash of a cache
	key   string      // what the cache holds
	bound bool        // the VM knows that key
	fills uint64      // caches filled; a test's proof that equal keys share one
}

// NewKeyHasher opens the library; it allocates nothing yet. Of cfg it reads CPU
// and NoHugePages. Errors: ErrNoCgo; a bad Config.
func NewKeyHasher(cfg Config) (*KeyHasher, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	lib, err := openLibrary(cfg)
	if err != nil {
		return nil, err
	}
	return &KeyHasher{lib: lib}, nil
}

// SelfTest hashes the public vectors of Manager.SelfTest.
func (h *KeyHasher) SelfTest() error {
	in, lens := selfTestBatch()
	out := make([]byte, hashBytes*len(lens))
	err := h.Hash([]byte(selfTestKey), in, lens, out)
	if err == nil {
		err = checkSelfTest(h.lib, out)
	}
	if err != nil {
		return fmt.Errorf("RandomX self-test: %w", err)
	}
	return nil
}

// Hash hashes len(lens) inputs, one behind the other in in, to 32 bytes each of
// out. The key has 1 to MaxKeyBytes bytes. Errors: ErrBatch; a bad key; the
// library's.
func (h *KeyHasher) Hash(key, in []byte, lens []uint32, out []byte) error {
	if len(key) == 0 || len(key) > MaxKeyBytes {
		return fmt.Errorf("randomx: a key of %d bytes; 1…%d are possible", len(key), MaxKeyBytes)
	}
	if err := checkBatch(in, lens, out); err != nil {
		return err
	}
	if err := h.bind(key); err != nil {
		return err
	}
	if err := h.vm.hash(in, lens, out); err != nil {
		h.dropVM() // its state is unknown
		return err
	}
	return nil
}

// bind fills the cache with the key and points the VM at it, unless that is so.
func (h *KeyHasher) bind(key []byte) (err error) {
	if h.cache == nil {
		if h.cache, err = h.lib.allocCache(); err != nil {
			return err
		}
		h.key = ""
	}
	if h.key != string(key) {
		h.bound = false
		if err := h.cache.fill(key, 0); err != nil {
			h.Close() // broken memory can only be freed
			return err
		}
		h.key = string(key)
		h.fills++
	}
	switch {
	case h.vm == nil:
		h.vm, err = h.lib.newLightVM(h.cache)
	case !h.bound:
		err = h.vm.bindCache(h.cache)
	}
	if err != nil {
		h.dropVM()
		return err
	}
	h.bound = true
	return nil
}

func (h *KeyHasher) dropVM() {
	if h.vm != nil {
		h.vm.free()
	}
	h.vm, h.bound = nil, false
}

// Pages is the kind of memory the cache lies in; Plain before the first hash.
func (h *KeyHasher) Pages() cpu.Pages {
	if h.cache == nil {
		return cpu.Plain
	}
	return h.cache.pages()
}

// Close frees the VM and the cache. Idempotent; a later Hash begins anew.
func (h *KeyHasher) Close() {
	h.dropVM()
	if h.cache != nil {
		h.cache.free()
	}
	h.cache, h.key = nil, ""
}
