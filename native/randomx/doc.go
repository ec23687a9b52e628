// Package randomx hashes rx/0 with librandomx and keeps what that needs ready
// before it is needed: caches, datasets, virtual machines.
//
//	own templates ─Announce(owner, current, next)─▶ plan ─▶ epochs by seed hash
//	                                                 │   {cache, maybe dataset}
//	          wake ┌──────────────────────────────────┘         ▲
//	               ▼                                            │ swap under mu
//	builder (one goroutine) ─▶ C threads, nice: cache, then dataset by slices
//
//	verify ─Acquire(seed)─▶ *Epoch ─▶ Worker.Hash(epoch, batch) ─▶ 32 B a hash
//	                                   │ light VM on the cache, or
//	                                   └ full VM on the dataset, first/next/last
//
// # Seeds
//
// Only Announce makes epochs, so a seed named by a miner is never built: Acquire
// of an unknown seed is an error and costs a map lookup. Each owner (a pool)
// keeps its current, previous and next seed. Config.MaxCaches bounds all owners
// together; what does not fit is refused and counted, current seeds coming
// first, then previous ones (their shares are still being judged), then next
// ones.
//
// # Lifetime
//
// An epoch that is no longer wanted lives until its last reference is released;
// then its cache and dataset memory go to a free list and are filled again for
// the next seed, because memory given back seldom comes back as huge pages.
//
// A VM does not keep its epoch alive. It touches cache or dataset memory only
// while hashing or being bound, and Worker.Hash holds a reference of its own
// and a hold on the dataset for exactly that time. Every fill of a cache or
// dataset gets a number; a worker whose VM carries another number rebinds it
// (0.2 ms). So idle workers never delay the freeing of an epoch, and no worker
// has to be asked to let go. References that are still out when the Manager
// closes are harmless: Hash and Acquire then return ErrClosed.
//
// # Building
//
// Builds run in C threads of their own, never on a Go thread with a lowered
// priority: a Go thread that is starved may hold a scheduler lock or keep a
// stop-the-world waiting, and without privileges a priority cannot be raised
// again. Those threads use SCHED_BATCH and nice 10 (Config.BuildNice): beside
// busy workers that is a tenth of a core, so a dataset of 40 s CPU is done in
// minutes. SCHED_IDLE or nice 19 (a hundredth or less) would leave the node in
// light mode, eleven times slower, for an hour, which costs more than it saves;
// and a thread that starves inside a page fault holds the process's memory map.
// The cache of a current seed is built at normal priority, since nothing can be
// verified before it is there.
//
// The dataset is filled slice by slice; between slices the builder looks again
// at what is wanted. A new cache therefore goes first, and a dataset nobody
// wants any more is dropped. With memory for one dataset the old epoch loses
// its dataset when the seed changes, and both seeds are verified light until
// the refill is done; with two, the next one is complete long before.
//
// # Locks
//
// Manager.mu guards all of it and is held for map operations only, never over
// a call into the library. Nothing else is locked and nothing logged while it
// is held: note keeps a line, unlock logs it.
package randomx
