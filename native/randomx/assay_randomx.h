/*
 * Narrow C face of librandomx for the Go package beside it.
 *
 * Every call returns a status, accepts any argument values, never throws and
 * never aborts: the library is built with asserts, so what it would assert is
 * checked here first. The floating point state (MXCSR, x87 control word) on
 * return is the one on entry: librandomx leaves its own rounding mode behind
 * after first/next/last, which would corrupt the caller's arithmetic.
 *
 * Thread rules: a cache or dataset may be read by any number of VMs at once
 * and must not be filled or freed while one of them hashes or is bound. A VM
 * belongs to one thread at a time.
 */
#ifndef ASSAY_RANDOMX_H
#define ASSAY_RANDOMX_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define ASSAY_NOEXCEPT noexcept
#else
#define ASSAY_NOEXCEPT
#endif

enum {
	ASSAY_RX_OK = 0,
	ASSAY_RX_ARGUMENT = 1,  /* NULL, a length that does not fit, or not initialised */
	ASSAY_RX_NO_MEMORY = 2, /* the library got no memory, or refuses these flags */
	ASSAY_RX_EXCEPTION = 3, /* the library threw; the object must only be freed */
	ASSAY_RX_NO_THREAD = 4  /* no build thread could be started */
};

enum { ASSAY_RX_HASH_BYTES = 32, ASSAY_RX_MAX_KEY = 60 /* RandomX spec 3 */ };

typedef struct assay_rx_cache assay_rx_cache;
typedef struct assay_rx_dataset assay_rx_dataset;
typedef struct assay_rx_vm assay_rx_vm;

/* Flags recommended by the library for this CPU. */
uint32_t assay_rx_flags(void) ASSAY_NOEXCEPT;

/* 2: pages may be writable and executable; 1: only one after the other
 * (W^X, needs the library's SECURE flag); 0: no executable pages, no JIT. */
int32_t assay_rx_probe_exec(void) ASSAY_NOEXCEPT;

int32_t assay_rx_cache_alloc(uint32_t flags, assay_rx_cache **out) ASSAY_NOEXCEPT;
/* Fills the cache on a thread of its own at the given nice value, and waits. */
int32_t assay_rx_cache_init(assay_rx_cache *cache, const uint8_t *key, uint64_t key_len, int32_t nice_value) ASSAY_NOEXCEPT;
void assay_rx_cache_free(assay_rx_cache *cache) ASSAY_NOEXCEPT;

/* *thp is in: ask for transparent huge pages; out: the kernel agreed. */
int32_t assay_rx_dataset_alloc(uint32_t flags, int32_t *thp, assay_rx_dataset **out) ASSAY_NOEXCEPT;
uint64_t assay_rx_dataset_items(void) ASSAY_NOEXCEPT;
/* Fills items [start, start+count) on that many threads of their own, and waits. */
int32_t assay_rx_dataset_fill(assay_rx_dataset *dataset, assay_rx_cache *cache, uint64_t start, uint64_t count,
	uint32_t threads, int32_t nice_value) ASSAY_NOEXCEPT;
void assay_rx_dataset_free(assay_rx_dataset *dataset) ASSAY_NOEXCEPT;

int32_t assay_rx_vm_light(uint32_t flags, assay_rx_cache *cache, assay_rx_vm **out) ASSAY_NOEXCEPT;
int32_t assay_rx_vm_full(uint32_t flags, assay_rx_dataset *dataset, assay_rx_vm **out) ASSAY_NOEXCEPT;
int32_t assay_rx_vm_set_cache(assay_rx_vm *vm, assay_rx_cache *cache) ASSAY_NOEXCEPT;
int32_t assay_rx_vm_set_dataset(assay_rx_vm *vm, assay_rx_dataset *dataset) ASSAY_NOEXCEPT;
void assay_rx_vm_free(assay_rx_vm *vm) ASSAY_NOEXCEPT;

/* Hashes count inputs that lie one behind the other in in[0..in_len), input k
 * being lens[k] bytes; hash k goes to out[32k..32k+32). The lengths must add up
 * to in_len and out_len must be 32*count. */
int32_t assay_rx_hash(assay_rx_vm *vm, const uint8_t *in, uint64_t in_len, const uint32_t *lens, uint32_t count,
	uint8_t *out, uint64_t out_len) ASSAY_NOEXCEPT;

/* The yardstick: count hashes in the plainest loop over the library, nothing
 * checked between them, with nonce, nonce+1, … at in[nonce_at..nonce_at+4),
 * because equal inputs would read equal dataset items out of the CPU's caches.
 * in_len is 4…ASSAY_RX_MAX_BARE_INPUT; out holds the last hash. */
enum { ASSAY_RX_MAX_BARE_INPUT = 512 };
int32_t assay_rx_bare_loop(assay_rx_vm *vm, const uint8_t *in, uint64_t in_len, uint32_t nonce_at, uint32_t nonce,
	uint32_t count, uint8_t *out, uint64_t out_len) ASSAY_NOEXCEPT;

/* MXCSR in the low 32 bits, the x87 control word above them. */
uint64_t assay_rx_float_state(void) ASSAY_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
