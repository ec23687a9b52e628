package coin

import (
	"fmt"
	"math"
	"slices"

	"github.com/assay-pool/assay/native/algo"
)

// What an algorithm is chosen by. Monero's kin go by the block's major version,
// which the template carries; QRL and Aeon by height.
const (
	byMajor  = "major"
	byHeight = "height"
)

// schedule is a coin's algorithms in the order of their use.
type schedule struct {
	by     string
	ranges []algoRange
}

// algoRange is the versions or heights from..to, both included. Either it has an
// algorithm, or a text that says why not.
type algoRange struct {
	from, to uint64
	algo     algo.ID
	refused  string
}

// newSchedule checks that the ranges leave no gap and do not overlap. Majors
// end: what comes after is refused until somebody has read it up. Heights do
// not: the last range has no "to", and the first begins at 0.
func newSchedule(data scheduleData) (schedule, error) {
	if data.By != byMajor && data.By != byHeight {
		return schedule{}, fmt.Errorf("algorithms are by %q, neither by %q nor by %q", data.By, byMajor, byHeight)
	}
	if len(data.Ranges) == 0 {
		return schedule{}, fmt.Errorf("no algorithms")
	}
	s := schedule{by: data.By}
	for i, r := range data.Ranges {
		next := algoRange{from: r.From, to: math.MaxUint64, refused: r.Refused}
		if (r.Refused == "") == (r.Algo == "") {
			return schedule{}, fmt.Errorf("from %s %d: either an algorithm or the reason why there is none", data.By, r.From)
		}
		if r.Refused == "" {
			id, err := algo.Parse(r.Algo)
			if err != nil {
				return schedule{}, err
			}
			next.algo = id
		}
		name := next.String()
		last := i == len(data.Ranges)-1
		if r.To != nil {
			next.to = *r.To
		}
		switch {
		case data.By == byHeight && last != (r.To == nil):
			return schedule{}, fmt.Errorf("%s from height %d: the last range has no end and all others have one", name, r.From)
		case data.By == byHeight && i == 0 && r.From != 0:
			return schedule{}, fmt.Errorf("%s from height %d: no algorithm below", name, r.From)
		case data.By == byMajor && (r.To == nil || next.to > math.MaxUint8):
			return schedule{}, fmt.Errorf("%s from block version %d: a range of versions ends at 255 or below", name, r.From)
		case next.to < next.from:
			return schedule{}, fmt.Errorf("%s: range %d to %d is empty", name, next.from, next.to)
		}
		if i > 0 {
			if end := s.ranges[i-1].to; end >= next.from {
				return schedule{}, fmt.Errorf("%s from %s %d: the range before ends at %d, they overlap", name, data.By, next.from, end)
			} else if end+1 != next.from {
				return schedule{}, fmt.Errorf("%s from %s %d: the range before ends at %d, between them is none", name, data.By, next.from, end)
			}
		}
		s.ranges = append(s.ranges, next)
	}
	return s, nil
}

func (r algoRange) String() string {
	if r.refused != "" {
		return "nothing"
	}
	return r.algo.String()
}

func (s schedule) find(at uint64) (algoRange, bool) {
	for _, r := range s.ranges {
		if at >= r.from && at <= r.to {
			return r, true
		}
	}
	return algoRange{}, false
}

// unserved is the error of a range that has no algorithm, nil for the others.
func (s schedule) unserved(name string, r algoRange) error {
	if r.refused == "" {
		return nil
	}
	since := "from height"
	if s.by == byMajor {
		since = "from block version"
	}
	return fmt.Errorf("%s %s %d %s", name, since, r.from, r.refused)
}

// last is what the chain uses today, as far as is known.
func (s schedule) last() algoRange { return s.ranges[len(s.ranges)-1] }

// needsSeed reports whether any of the algorithms takes a seed.
func (s schedule) needsSeed() bool {
	return slices.ContainsFunc(s.ranges, func(r algoRange) bool { return r.algo.NeedsSeed() })
}
