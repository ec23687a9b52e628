package randomx

import "fmt"

// Worker hashes on one OS thread at a time. It owns a few VMs and binds them to
// epochs as needed. Not safe for concurrent use.
type Worker struct {
	m     *Manager
	slots []slot // Config.VMsPerWorker of them; nil after Close
	clock uint64 // counts calls, for the least recently used slot
}

// slot is a VM and what it is bound to.
type slot struct {
	vm      machine
	id      uint64 // content of the cache or dataset it is bound to
	seed    Seed
	cache   cacheMemory // light VMs: compared, never read
	full    bool
	lastUse uint64
}

// NewWorker makes a worker without VMs; they come with the first hash.
func (m *Manager) NewWorker() (*Worker, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	w := &Worker{m: m, slots: make([]slot, m.cfg.VMsPerWorker)}
	m.workers[w] = struct{}{}
	return w, nil
}

// Close frees the worker's VMs. Idempotent; harmless after Manager.Close.
func (w *Worker) Close() {
	w.m.mu.Lock()
	_, mine := w.m.workers[w]
	delete(w.m.workers, w)
	w.m.mu.Unlock()
	if mine {
		w.freeVMs()
	}
	w.slots = nil
}

func (w *Worker) freeVMs() {
	for i := range w.slots {
		w.drop(&w.slots[i])
	}
}

func (w *Worker) drop(s *slot) {
	if s.vm != nil {
		s.vm.free()
	}
	*s = slot{}
}

// Hash computes the hashes of len(lens) inputs that lie one behind the other in
// in, input k being lens[k] bytes; hash k is written to out[32k:32k+32]. The
// batch runs pipelined through one VM: full when the epoch has its dataset,
// light otherwise. It allocates nothing once the VM is bound. The caller holds
// a reference to e. Errors: ErrBatch, ErrNotReady, ErrReleased, ErrClosed, and
// the library's.
func (w *Worker) Hash(e *Epoch, in []byte, lens []uint32, out []byte) error {
	if err := checkBatch(in, lens, out); err != nil {
		return err
	}
	h, err := w.begin(e)
	if err != nil {
		return err
	}
	defer e.unpin(h)
	s, err := w.bound(e, h)
	if err != nil {
		return err
	}
	if err := s.vm.hash(in, lens, out); err != nil {
		w.drop(s) // its state is unknown
		return err
	}
	if s.full {
		w.m.metrics.full.Add(float64(len(lens)))
	} else {
		w.m.metrics.light.Add(float64(len(lens)))
	}
	return nil
}

// checkBatch holds lengths, input and output against each other.
func checkBatch(in []byte, lens []uint32, out []byte) error {
	if len(lens) == 0 || len(lens) > MaxBatch || len(out) != hashBytes*len(lens) {
		return fmt.Errorf("%w: %d inputs (1…%d) and %d bytes of output", ErrBatch, len(lens), MaxBatch, len(out))
	}
	sum := uint64(0)
	for _, n := range lens {
		sum += uint64(n)
	}
	if sum != uint64(len(in)) {
		return fmt.Errorf("%w: lengths add up to %d, input has %d bytes", ErrBatch, sum, len(in))
	}
	return nil
}

// BareLoop computes n hashes of one input in one call, with the four bytes at
// nonceAt counting up from nonce (little-endian), in the plainest loop over the
// library, and writes the last one to out (32 bytes). It is the yardstick that
// benchmarks hold Hash against: same VM, same memory, nothing of ours between.
// The input is at most 512 bytes.
func (w *Worker) BareLoop(e *Epoch, in []byte, nonceAt int, nonce, n uint32, out []byte) error {
	if nonceAt < 0 || len(in) > maxBareInput || nonceAt+4 > len(in) || n == 0 || len(out) != hashBytes {
		return fmt.Errorf("%w: bare loop", ErrBatch)
	}
	h, err := w.begin(e)
	if err != nil {
		return err
	}
	defer e.unpin(h)
	s, err := w.bound(e, h)
	if err != nil {
		return err
	}
	return s.vm.bareLoop(in, nonceAt, nonce, n, out)
}

func (w *Worker) begin(e *Epoch) (hold, error) {
	if w.slots == nil || e == nil || e.m != w.m {
		return hold{}, ErrClosed
	}
	return e.pin()
}

// bound finds or makes the VM for what is held.
func (w *Worker) bound(e *Epoch, h hold) (*slot, error) {
	full, id := h.data != nil, h.cache.id
	if full {
		id = h.data.id
	}
	w.clock++
	victim := &w.slots[0]
	for i := range w.slots {
		s := &w.slots[i]
		if s.vm != nil && s.id == id {
			s.lastUse = w.clock
			return s, nil
		}
		if s.lastUse < victim.lastUse {
			victim = s // an empty slot was used at 0, before all others
		}
	}
	if err := w.bind(victim, e, h); err != nil {
		w.drop(victim)
		return nil, err
	}
	victim.id, victim.seed, victim.full, victim.lastUse = id, e.seed, full, w.clock
	victim.cache = h.cache.mem
	return victim, nil
}

// bind points the slot's VM at the held memory, making a new VM when the old
// one is of the other kind. It also makes a new one when the key is the same
// but the cache object is not: librandomx skips a rebind to an equal key at an
// equal address, and the VM would keep a pointer to a freed object.
func (w *Worker) bind(s *slot, e *Epoch, h hold) (err error) {
	full := h.data != nil
	if s.vm != nil && (s.full != full || !full && s.seed == e.seed && s.cache != h.cache.mem) {
		w.drop(s)
	}
	switch {
	case s.vm == nil && full:
		s.vm, err = w.m.lib.newFullVM(h.data.mem)
	case s.vm == nil:
		s.vm, err = w.m.lib.newLightVM(h.cache.mem)
	case full:
		err = s.vm.bindDataset(h.data.mem)
	default:
		err = s.vm.bindCache(h.cache.mem)
	}
	return err
}
