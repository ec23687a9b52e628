package randomx

import (
	"log/slog"
	"time"
)

// Seed is a RandomX key as it stands in a template: the 32 bytes of a block id.
type Seed = [32]byte

// owner is what one pool announced last. Guarded by Manager.mu.
type owner struct {
	name                    string
	previous, current, next Seed
	refused                 map[Seed]bool // counted and logged once while announced
}

// Announce tells which seeds an owner's templates use now and next; a zero seed
// is none. The seed that current replaces is kept as previous. Announcing zero
// for both removes the owner with all its seeds. Only announced seeds are ever
// built, in the background; Announce itself only notes them down. Called again
// with a seed whose cache could not be built, it has that tried once more, at
// most every 30 s.
func (m *Manager) Announce(name string, current, next Seed) {
	m.mu.Lock()
	defer m.unlock()
	if m.closed {
		return
	}
	o := m.owner(name)
	if current == (Seed{}) && next == (Seed{}) {
		if o != nil {
			m.removeOwner(o)
		}
	} else if o = m.ensureOwner(name); o != nil {
		if current != (Seed{}) && current != o.current {
			o.previous, o.current = o.current, current
		}
		o.next = next
		m.retryFailed(o)
	}
	m.plan()
	m.wakeWaiters() // their seed may be announced no more
	if o != nil {
		m.countRefused(o)
	}
	m.poke()
}

func (m *Manager) owner(name string) *owner {
	for _, o := range m.owners {
		if o.name == name {
			return o
		}
	}
	return nil
}

func (m *Manager) ensureOwner(name string) *owner {
	if o := m.owner(name); o != nil {
		return o
	}
	if len(m.owners) >= maxOwners {
		m.metrics.refused.Inc()
		m.note(slog.LevelError, "too many owners announce RandomX seeds", "owner", name, "limit", maxOwners)
		return nil
	}
	o := &owner{name: name, refused: map[Seed]bool{}}
	m.owners = append(m.owners, o)
	return o
}

func (m *Manager) removeOwner(o *owner) {
	kept := m.owners[:0]
	for _, other := range m.owners {
		if other != o {
			kept = append(kept, other)
		}
	}
	clear(m.owners[len(kept):])
	m.owners = kept
	o.previous, o.current, o.next = Seed{}, Seed{}, Seed{}
}

func (m *Manager) retryFailed(o *owner) {
	for _, s := range []Seed{o.current, o.next} {
		if e := m.epochs[s]; e != nil && e.state == Failed && time.Since(e.failedAt) > retryAfter {
			e.state, e.err, e.ready = Queued, nil, make(chan struct{})
		}
	}
}

// countRefused counts each seed of an announcement that found no room, once.
func (m *Manager) countRefused(o *owner) {
	for s := range o.refused {
		if s != o.current && s != o.next || m.epochs[s] != nil {
			delete(o.refused, s)
		}
	}
	for _, s := range []Seed{o.current, o.next} {
		if s != (Seed{}) && m.epochs[s] == nil && !o.refused[s] {
			o.refused[s] = true
			m.refusedSeeds++
			m.metrics.refused.Inc()
			m.note(slog.LevelWarn, "no RandomX cache left for a seed; raise the number of caches", "owner", o.name, "seed", hexSeed(s), "caches", m.cfg.MaxCaches)
		}
	}
}

// ranked lists the seeds all owners want, the most urgent first, without
// repeats: currents, then with previous set the previous ones, then nexts.
func (m *Manager) ranked(previous bool) []Seed {
	var list []Seed
	add := func(s Seed) {
		if s == (Seed{}) {
			return
		}
		for _, have := range list {
			if have == s {
				return
			}
		}
		list = append(list, s)
	}
	for _, o := range m.owners {
		add(o.current)
	}
	if previous {
		for _, o := range m.owners {
			add(o.previous)
		}
	}
	for _, o := range m.owners {
		add(o.next)
	}
	return list
}

// plan makes the set of epochs what the owners want, within MaxCaches:
//
//	room = MaxCaches − unwanted epochs that someone still references or builds
//	wanted = the first room seeds of ranked; others go as soon as they are free
//
// Called with mu held after every change of owners or references.
func (m *Manager) plan() {
	list := m.ranked(true)
	listed := make(map[Seed]bool, len(list))
	for _, s := range list {
		listed[s] = true
	}
	room := m.cfg.MaxCaches
	for s, e := range m.epochs {
		if !listed[s] && e.held() {
			room--
		}
	}
	resident := make(map[Seed]bool, room)
	for _, s := range list[:min(len(list), max(room, 0))] {
		resident[s] = true
	}
	for s, e := range m.epochs {
		e.wanted = resident[s]
		m.evictIfFree(e)
	}
	for _, s := range list {
		if resident[s] && m.epochs[s] == nil && len(m.epochs) < m.cfg.MaxCaches {
			m.epochs[s] = &Epoch{m: m, seed: s, wanted: true, ready: make(chan struct{})}
			m.wakeWaiters()
		}
	}
	m.planDatasetOwners()
}

// isCurrent tells whether some owner's shares need this seed right now.
func (m *Manager) isCurrent(s Seed) bool {
	for _, o := range m.owners {
		if o.current == s {
			return true
		}
	}
	return false
}

// wakeWaiters makes those look again who wait for a seed without an epoch. mu held.
func (m *Manager) wakeWaiters() {
	close(m.planned)
	m.planned = make(chan struct{})
}
