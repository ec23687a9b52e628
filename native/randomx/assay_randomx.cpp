//go:build cgo && linux && amd64

#include "assay_randomx.h"

#include <randomx.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <new>

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// The handles carry what the library would otherwise assert on.
struct assay_rx_cache {
	randomx_cache *raw;
	bool ready; // filled by a successful init
};
struct assay_rx_dataset {
	randomx_dataset *raw;
};
struct assay_rx_vm {
	randomx_vm *raw;
	bool full;
	bool broken; // threw while hashing or binding; its state is unknown
};

namespace {

constexpr uint32_t max_threads = 1024; // more than the cores of any machine this runs on
constexpr std::size_t huge_page = std::size_t{2} << 20;
const uint8_t nothing[1] = {0}; // stands for an empty input, whose pointer may be NULL

inline uint32_t read_mxcsr() noexcept {
	uint32_t v;
	__asm__ volatile("stmxcsr %0" : "=m"(v));
	return v;
}

inline uint16_t read_x87() noexcept {
	uint16_t v;
	__asm__ volatile("fnstcw %0" : "=m"(v));
	return v;
}

// FloatState puts MXCSR and the x87 control word back on every way out.
class FloatState {
public:
	FloatState() noexcept : mxcsr(read_mxcsr()), x87(read_x87()) {}
	~FloatState() {
		__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
		__asm__ volatile("fldcw %0" : : "m"(x87));
	}
	FloatState(const FloatState &) = delete;
	FloatState &operator=(const FloatState &) = delete;

private:
	uint32_t mxcsr;
	uint16_t x87;
};

// guarded runs body with the floating point state kept and no exception let out.
template <typename Body> int32_t guarded(Body body) noexcept {
	FloatState keep;
	try {
		return body();
	} catch (const std::bad_alloc &) {
		return ASSAY_RX_NO_MEMORY;
	} catch (...) {
		return ASSAY_RX_EXCEPTION;
	}
}

inline randomx_flags lib_flags(uint32_t flags) noexcept { return static_cast<randomx_flags>(flags); }

// Build is a piece of work for one thread.
struct Build {
	randomx_cache *cache;
	randomx_dataset *dataset; // NULL: fill the cache from key
	const uint8_t *key;
	uint64_t key_len;
	uint64_t start, count; // items of the dataset
	int32_t nice_value;
	int32_t status;
};

void build(Build &b) noexcept {
	b.status = guarded([&]() -> int32_t {
		if (b.dataset == nullptr)
			randomx_init_cache(b.cache, b.key, b.key_len);
		else
			randomx_init_dataset(b.dataset, b.cache, static_cast<unsigned long>(b.start), static_cast<unsigned long>(b.count));
		return ASSAY_RX_OK;
	});
}

void *build_thread(void *arg) noexcept {
	Build &b = *static_cast<Build *>(arg);
	if (b.nice_value > 0) {
		// Both act on this thread alone in Linux. Refusal only costs priority.
		sched_param none = {};
		(void)sched_setscheduler(0, SCHED_BATCH, &none);
		(void)setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), b.nice_value);
	}
	build(b);
	return nullptr;
}

// start makes a thread with all signals blocked: they belong to Go's threads.
bool start(pthread_t *thread, Build *b) noexcept {
	sigset_t all, before;
	sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
		return false;
	int rc = pthread_create(thread, nullptr, build_thread, b);
	pthread_sigmask(SIG_SETMASK, &before, nullptr);
	return rc == 0;
}

} // namespace

uint64_t assay_rx_float_state(void) noexcept { return static_cast<uint64_t>(read_x87()) << 32 | read_mxcsr(); }

uint32_t assay_rx_flags(void) noexcept {
	uint32_t flags = 0;
	(void)guarded([&]() -> int32_t {
		flags = static_cast<uint32_t>(randomx_get_flags());
		return ASSAY_RX_OK;
	});
	return flags;
}

int32_t assay_rx_probe_exec(void) noexcept {
	const std::size_t n = 4096;
	void *p = mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 0;
	int32_t got = 0;
	if (mprotect(p, n, PROT_READ | PROT_WRITE | PROT_EXEC) == 0)
		got = 2;
	else if (mprotect(p, n, PROT_READ | PROT_EXEC) == 0)
		got = 1;
	munmap(p, n);
	return got;
}

int32_t assay_rx_cache_alloc(uint32_t flags, assay_rx_cache **out) noexcept {
	if (out == nullptr)
		return ASSAY_RX_ARGUMENT;
	*out = nullptr;
	return guarded([&]() -> int32_t {
		auto *c = new (std::nothrow) assay_rx_cache{nullptr, false};
		if (c == nullptr)
			return ASSAY_RX_NO_MEMORY;
		try {
			c->raw = randomx_alloc_cache(lib_flags(flags));
		} catch (...) {
			c->raw = nullptr;
		}
		if (c->raw == nullptr) {
			delete c;
			return ASSAY_RX_NO_MEMORY;
		}
		*out = c;
		return ASSAY_RX_OK;
	});
}

int32_t assay_rx_cache_init(assay_rx_cache *cache, const uint8_t *key, uint64_t key_len, int32_t nice_value) noexcept {
	if (cache == nullptr || key == nullptr || key_len == 0 || key_len > ASSAY_RX_MAX_KEY)
		return ASSAY_RX_ARGUMENT;
	cache->ready = false;
	Build b = {cache->raw, nullptr, key, key_len, 0, 0, nice_value, ASSAY_RX_OK};
	pthread_t thread;
	if (!start(&thread, &b))
		return ASSAY_RX_NO_THREAD;
	pthread_join(thread, nullptr);
	cache->ready = b.status == ASSAY_RX_OK;
	return b.status;
}

void assay_rx_cache_free(assay_rx_cache *cache) noexcept {
	if (cache == nullptr)
		return;
	(void)guarded([&]() -> int32_t {
		randomx_release_cache(cache->raw);
		return ASSAY_RX_OK;
	});
	delete cache;
}

int32_t assay_rx_dataset_alloc(uint32_t flags, int32_t *thp, assay_rx_dataset **out) noexcept {
	if (out == nullptr || thp == nullptr)
		return ASSAY_RX_ARGUMENT;
	*out = nullptr;
	const bool want_thp = *thp != 0;
	*thp = 0;
	return guarded([&]() -> int32_t {
		auto *d = new (std::nothrow) assay_rx_dataset{nullptr};
		if (d == nullptr)
			return ASSAY_RX_NO_MEMORY;
		try {
			d->raw = randomx_alloc_dataset(lib_flags(flags));
		} catch (...) {
			d->raw = nullptr;
		}
		if (d->raw == nullptr) {
			delete d;
			return ASSAY_RX_NO_MEMORY;
		}
		if (want_thp) {
			const auto begin = reinterpret_cast<uintptr_t>(randomx_get_dataset_memory(d->raw));
			const auto end = begin + randomx_dataset_item_count() * RANDOMX_DATASET_ITEM_SIZE;
			const auto first = (begin + huge_page - 1) & ~(huge_page - 1), last = end & ~(huge_page - 1);
			if (first < last && madvise(reinterpret_cast<void *>(first), last - first, MADV_HUGEPAGE) == 0)
				*thp = 1;
		}
		*out = d;
		return ASSAY_RX_OK;
	});
}

uint64_t assay_rx_dataset_items(void) noexcept { return randomx_dataset_item_count(); }

int32_t assay_rx_dataset_fill(assay_rx_dataset *dataset, assay_rx_cache *cache, uint64_t start_item, uint64_t count,
	uint32_t threads, int32_t nice_value) noexcept {
	const uint64_t items = assay_rx_dataset_items();
	if (dataset == nullptr || cache == nullptr || !cache->ready || threads == 0 || threads > max_threads || count == 0 ||
		start_item >= items || count > items - start_item)
		return ASSAY_RX_ARGUMENT;
	threads = static_cast<uint32_t>(std::min<uint64_t>(threads, count));
	return guarded([&]() -> int32_t {
		// Freed by hand: a vector would throw where nothrow new says no.
		auto *work = new (std::nothrow) Build[threads];
		auto *ids = new (std::nothrow) pthread_t[threads];
		int32_t status = work != nullptr && ids != nullptr ? ASSAY_RX_OK : ASSAY_RX_NO_MEMORY;
		uint32_t running = 0;
		for (uint64_t at = start_item; status == ASSAY_RX_OK && running < threads; running++) {
			const uint64_t left = start_item + count - at, n = left / (threads - running);
			work[running] = Build{cache->raw, dataset->raw, nullptr, 0, at, n, nice_value, ASSAY_RX_OK};
			if (!start(&ids[running], &work[running])) {
				status = ASSAY_RX_NO_THREAD;
				break;
			}
			at += n;
		}
		for (uint32_t i = 0; i < running; i++) {
			pthread_join(ids[i], nullptr);
			if (status == ASSAY_RX_OK)
				status = work[i].status;
		}
		delete[] ids;
		delete[] work;
		return status;
	});
}

void assay_rx_dataset_free(assay_rx_dataset *dataset) noexcept {
	if (dataset == nullptr)
		return;
	(void)guarded([&]() -> int32_t {
		randomx_release_dataset(dataset->raw);
		return ASSAY_RX_OK;
	});
	delete dataset;
}

namespace {

int32_t create(uint32_t flags, randomx_cache *cache, randomx_dataset *dataset, assay_rx_vm **out) noexcept {
	return guarded([&]() -> int32_t {
		auto *vm = new (std::nothrow) assay_rx_vm{nullptr, dataset != nullptr, false};
		if (vm == nullptr)
			return ASSAY_RX_NO_MEMORY;
		try {
			vm->raw = randomx_create_vm(lib_flags(flags), cache, dataset);
		} catch (...) {
			vm->raw = nullptr;
		}
		if (vm->raw == nullptr) {
			delete vm;
			return ASSAY_RX_NO_MEMORY;
		}
		*out = vm;
		return ASSAY_RX_OK;
	});
}

} // namespace

int32_t assay_rx_vm_light(uint32_t flags, assay_rx_cache *cache, assay_rx_vm **out) noexcept {
	if (out == nullptr || cache == nullptr || !cache->ready)
		return ASSAY_RX_ARGUMENT;
	*out = nullptr;
	return create(flags & ~static_cast<uint32_t>(RANDOMX_FLAG_FULL_MEM), cache->raw, nullptr, out);
}

int32_t assay_rx_vm_full(uint32_t flags, assay_rx_dataset *dataset, assay_rx_vm **out) noexcept {
	if (out == nullptr || dataset == nullptr)
		return ASSAY_RX_ARGUMENT;
	*out = nullptr;
	return create(flags | RANDOMX_FLAG_FULL_MEM, nullptr, dataset->raw, out);
}

int32_t assay_rx_vm_set_cache(assay_rx_vm *vm, assay_rx_cache *cache) noexcept {
	if (vm == nullptr || vm->full || vm->broken || cache == nullptr || !cache->ready)
		return ASSAY_RX_ARGUMENT;
	const int32_t status = guarded([&]() -> int32_t {
		randomx_vm_set_cache(vm->raw, cache->raw);
		return ASSAY_RX_OK;
	});
	vm->broken = status != ASSAY_RX_OK;
	return status;
}

int32_t assay_rx_vm_set_dataset(assay_rx_vm *vm, assay_rx_dataset *dataset) noexcept {
	if (vm == nullptr || !vm->full || vm->broken || dataset == nullptr)
		return ASSAY_RX_ARGUMENT;
	const int32_t status = guarded([&]() -> int32_t {
		randomx_vm_set_dataset(vm->raw, dataset->raw);
		return ASSAY_RX_OK;
	});
	vm->broken = status != ASSAY_RX_OK;
	return status;
}

void assay_rx_vm_free(assay_rx_vm *vm) noexcept {
	if (vm == nullptr)
		return;
	(void)guarded([&]() -> int32_t {
		randomx_destroy_vm(vm->raw);
		return ASSAY_RX_OK;
	});
	delete vm;
}

int32_t assay_rx_hash(assay_rx_vm *vm, const uint8_t *in, uint64_t in_len, const uint32_t *lens, uint32_t count,
	uint8_t *out, uint64_t out_len) noexcept {
	if (vm == nullptr || vm->broken || lens == nullptr || out == nullptr || count == 0 || (in == nullptr && in_len != 0) ||
		out_len != uint64_t{count} * ASSAY_RX_HASH_BYTES)
		return ASSAY_RX_ARGUMENT;
	uint64_t sum = 0; // cannot wrap: fewer than 2^32 lengths below 2^32
	for (uint32_t k = 0; k < count; k++)
		sum += lens[k];
	if (sum != in_len)
		return ASSAY_RX_ARGUMENT;
	if (in == nullptr)
		in = nothing;
	const int32_t status = guarded([&]() -> int32_t {
		// next(k) finishes hash k-1 while it fills the scratchpad for k, so
		// its output belongs to the input before.
		randomx_calculate_hash_first(vm->raw, in, lens[0]);
		for (uint32_t k = 1; k < count; k++) {
			in += lens[k - 1];
			randomx_calculate_hash_next(vm->raw, in, lens[k], out + std::size_t{k - 1} * ASSAY_RX_HASH_BYTES);
		}
		randomx_calculate_hash_last(vm->raw, out + std::size_t{count - 1} * ASSAY_RX_HASH_BYTES);
		return ASSAY_RX_OK;
	});
	vm->broken = status != ASSAY_RX_OK;
	return status;
}

int32_t assay_rx_bare_loop(assay_rx_vm *vm, const uint8_t *in, uint64_t in_len, uint32_t nonce_at, uint32_t nonce,
	uint32_t count, uint8_t *out, uint64_t out_len) noexcept {
	uint8_t blob[ASSAY_RX_MAX_BARE_INPUT];
	if (vm == nullptr || vm->broken || in == nullptr || in_len > sizeof blob || in_len < sizeof nonce ||
		nonce_at > in_len - sizeof nonce || count == 0 || out == nullptr || out_len != ASSAY_RX_HASH_BYTES)
		return ASSAY_RX_ARGUMENT;
	std::memcpy(blob, in, in_len);
	return guarded([&]() -> int32_t {
		std::memcpy(blob + nonce_at, &nonce, sizeof nonce);
		randomx_calculate_hash_first(vm->raw, blob, in_len);
		for (uint32_t k = 1; k < count; k++) {
			nonce++;
			std::memcpy(blob + nonce_at, &nonce, sizeof nonce);
			randomx_calculate_hash_next(vm->raw, blob, in_len, out);
		}
		randomx_calculate_hash_last(vm->raw, out);
		return ASSAY_RX_OK;
	});
}
