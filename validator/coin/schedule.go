package coin

import (
	"fmt"
	"math"
	"slices"

	"github.com/assay-pool/assay/native/algo"
)

// What an algorithm is chosen by. Monero's kin go by the block's major version,
// which the template carries; QRL, Aeon or TurtleCoin by height.
const (
	byMajor  = "major"
	byHeight = "height"
)

// schedule is a coin's algorithms in the order of their use.
type schedule struct {
	by     string
	ranges []algoRange
}

// algoRange is the versions or heights from..to, both included.
type algoRange struct {
	from, to uint64
	algo     algo.ID
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
		id, err := algo.Parse(r.Algo)
		if err != nil {
			return schedule{}, err
		}
		next := algoRange{from: r.From, to: math.MaxUint64, algo: id}
		last := i == len(data.Ranges)-1
		if r.To != nil {
			next.to = *r.To
		}
		switch {
		case data.By == byHeight && last != (r.To == nil):
			return schedule{}, fmt.Errorf("%s from height %d: the last range has no end and all others have one", id, r.From)
		case data.By == byHeight && i == 0 && r.From != 0:
			return schedule{}, fmt.Errorf("%s from height %d: no algorithm below", id, r.From)
		case data.By == byMajor && (r.To == nil || next.to > math.MaxUint8):
			return schedule{}, fmt.Errorf("%s from block version %d: a range of versions ends at 255 or below", id, r.From)
		case next.to < next.from:
			return schedule{}, fmt.Errorf("%s: range %d to %d is empty", id, next.from, next.to)
		}
		if i > 0 {
			if end := s.ranges[i-1].to; end >= next.from {
				return schedule{}, fmt.Errorf("%s from %s %d: the range before ends at %d, they overlap", id, data.By, next.from, end)
			} else if end+1 != next.from {
				return schedule{}, fmt.Errorf("%s from %s %d: the range before ends at %d, between them is none", id, data.By, next.from, end)
			}
		}
		s.ranges = append(s.ranges, next)
	}
	return s, nil
}

func (s schedule) find(at uint64) (algo.ID, bool) {
	for _, r := range s.ranges {
		if at >= r.from && at <= r.to {
			return r.algo, true
		}
	}
	return algo.Unknown, false
}

// needsSeed reports whether any of the algorithms takes a seed.
func (s schedule) needsSeed() bool {
	return slices.ContainsFunc(s.ranges, func(r algoRange) bool { return r.algo.NeedsSeed() })
}
