package cryptonight

import "github.com/assay-pool/assay/native/algo"

// programs is a worker's random programs, the least recently used one given
// up for a new height. A handful of entries: a scan beats any index.
type programs struct {
	entries []programEntry
	clock   uint64
	made    uint64
}

type programEntry struct {
	algo   algo.ID
	height uint64
	used   uint64 // clock of the last use; 0: empty
	code   *program
}

func newPrograms(limit int) programs {
	return programs{entries: make([]programEntry, limit)}
}

// get returns the program of a at a height, making it if it is not there.
func (p *programs) get(a algo.ID, height uint64, e *Engine) (*program, error) {
	p.clock++
	oldest := &p.entries[0]
	for i := range p.entries {
		entry := &p.entries[i]
		if entry.code != nil && entry.algo == a && entry.height == height {
			entry.used = p.clock
			return entry.code, nil
		}
		if entry.used < oldest.used {
			oldest = entry
		}
	}
	code, err := newProgram(a, height, e.kernel, !e.cfg.NoJIT)
	if err != nil {
		return nil, err
	}
	p.made++
	if oldest.code != nil {
		oldest.code.free()
	}
	*oldest = programEntry{algo: a, height: height, used: p.clock, code: code}
	return code, nil
}

func (p *programs) close() {
	for i := range p.entries {
		if p.entries[i].code != nil {
			p.entries[i].code.free()
		}
		p.entries[i] = programEntry{}
	}
}
