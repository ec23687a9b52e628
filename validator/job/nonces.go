package job

// fewNonces is how many nonces a job holds without memory of its own. At 30 s a
// share and a new job with each block or refreshed template most jobs see one,
// and four cover nearly all of the rest for 24 bytes a job, which are 192 bytes
// a session.
const fewNonces = 4

// nonces is the set of a job's nonces. Its zero value is empty.
type nonces struct {
	few  [fewNonces]uint32 // the first n
	n    uint8
	more map[uint32]struct{} // what found no place among the few
}

func (s *nonces) len() int { return int(s.n) + len(s.more) }

// index is where a nonce stands among the few, or -1.
func (s *nonces) index(nonce uint32) int {
	for i, seen := range s.few[:s.n] {
		if seen == nonce {
			return i
		}
	}
	return -1
}

func (s *nonces) has(nonce uint32) bool {
	if s.index(nonce) >= 0 {
		return true
	}
	_, ok := s.more[nonce]
	return ok
}

// add remembers a nonce that is not in the set.
func (s *nonces) add(nonce uint32) {
	if s.n < fewNonces {
		s.few[s.n] = nonce
		s.n++
		return
	}
	if s.more == nil {
		s.more = make(map[uint32]struct{})
	}
	s.more[nonce] = struct{}{}
}

func (s *nonces) remove(nonce uint32) {
	if i := s.index(nonce); i >= 0 {
		s.n--
		s.few[i] = s.few[s.n]
		return
	}
	delete(s.more, nonce)
}
