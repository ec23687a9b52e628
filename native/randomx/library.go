package randomx

import "github.com/assay-pool/assay/native/cpu"

// library is what the manager needs of librandomx. The tests drive the manager
// with one that builds in no time and stops where it is told to.
type library interface {
	// allocCache gives an empty cache; an error when there is no memory.
	allocCache() (cacheMemory, error)
	allocDataset() (datasetMemory, error)
	// items is the number of 64-byte items of a dataset.
	items() uint64
	newLightVM(c cacheMemory) (machine, error)
	newFullVM(d datasetMemory) (machine, error)
	// describe names what hashes: "librandomx, JIT, hard AES, …".
	describe() string
}

// cacheMemory is 256 MiB. Filled by one goroutine, then read by many.
type cacheMemory interface {
	// fill derives the cache from a key of 1…60 bytes. After an error the
	// memory can only be freed.
	fill(key []byte, nice int) error
	pages() cpu.Pages
	free()
}

// datasetMemory is 2080 MiB.
type datasetMemory interface {
	fill(c cacheMemory, start, count uint64, threads, nice int) error
	pages() cpu.Pages
	free()
}

// machine is a RandomX VM, light or full for life. One goroutine at a time.
type machine interface {
	bindCache(c cacheMemory) error
	bindDataset(d datasetMemory) error
	// hash takes concatenated inputs and fills 32 bytes an input, in order.
	// After an error the machine can only be freed.
	hash(in []byte, lens []uint32, out []byte) error
	bareLoop(in []byte, nonceAt int, nonce, n uint32, out []byte) error
	free()
}
