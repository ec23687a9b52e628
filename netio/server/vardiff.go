package server

import (
	"cmp"
	"fmt"
	"math"
	"time"
)

// Vardiff are the options of variable difficulty, under the names pools know.
// Zero values take the defaults named.
type Vardiff struct {
	// Target is the time between two shares of a miner that the pool aims at.
	Target time.Duration // 30 s
	// Retarget is the least time between two looks at a miner, except that one
	// that floods the pool is slowed down sooner.
	Retarget time.Duration // 60 s
	// Variance is how far, in percent of Target, a miner's own time between
	// shares may be off before its difficulty changes.
	Variance float64 // 30
	// MaxJump bounds one change, in percent: 300 lets the difficulty become
	// four times as high, or a fourth. It is a ratio both ways, so that no jump
	// ends at zero.
	MaxJump float64 // 300
}

// Defaults of Vardiff: target and retarget are what large pools settled on,
// the step of four is the cap that keeps a lucky streak from throwing a miner
// to a difficulty it needs minutes to come back from.
const (
	DefaultVardiffTarget   = 30 * time.Second
	DefaultVardiffRetarget = 60 * time.Second
	DefaultVardiffVariance = 30
	DefaultVardiffMaxJump  = 300
)

const (
	// noise is how many standard deviations a miner's number of shares must be
	// off to be taken for more than luck. Shares are a Poisson process: with two
	// expected in a minute, none or four are ordinary minutes. A session is
	// looked at every second, so a narrower bound would be crossed by chance.
	noise = 2.5
	// silence is how many shares a miner must have missed before silence alone
	// lowers its difficulty: three are missed by luck in 5 % of cases.
	silence = 3
	// flood is the least number of shares from which a difficulty rises before
	// Retarget has passed.
	flood = 8
	// memory is how many retarget times a sample grows old; then half of it is
	// forgotten, so that a miner's change of hash rate shows.
	memory = 8
)

func (v *Vardiff) setDefaults() error {
	v.Target = cmp.Or(v.Target, DefaultVardiffTarget)
	v.Retarget = cmp.Or(v.Retarget, DefaultVardiffRetarget)
	v.Variance = cmp.Or(v.Variance, DefaultVardiffVariance)
	v.MaxJump = cmp.Or(v.MaxJump, DefaultVardiffMaxJump)
	switch {
	case v.Target < 0 || v.Retarget < 0:
		return fmt.Errorf("vardiff: target %s and retarget %s must not be negative", v.Target, v.Retarget)
	case !(v.Variance > 0 && v.Variance < 100):
		return fmt.Errorf("vardiff: variance %v must be above 0 and below 100 percent", v.Variance)
	case !(v.MaxJump > 0 && v.MaxJump <= 1e6):
		return fmt.Errorf("vardiff: max jump %v must be above 0 and at most 1000000 percent", v.MaxJump)
	}
	return nil
}

// sample is what a session has shown since its last change of difficulty.
type sample struct {
	work    uint64        // difficulty of the accepted shares; saturates
	shares  uint32        // their number; saturates
	elapsed time.Duration // since the sample began
}

// next is the difficulty a session at current should have, and whether that is
// another one. A miner's hash rate is its accepted difficulty over time, so
// shares of earlier jobs weigh what they were worth. The result is within
// [low, high], never zero, and never further from current than MaxJump allows,
// unless current itself is out of bounds.
func (v *Vardiff) next(current, low, high uint64, s sample) (uint64, bool) {
	low = max(low, 1)
	high = max(high, low)
	if bounded := min(max(current, low), high); bounded != current {
		return bounded, true
	}
	if s.elapsed <= 0 || !v.due(s) {
		return current, false
	}
	expected := float64(s.elapsed) / float64(v.Target)
	seen := float64(s.work) / float64(current)
	if s.work == 0 && expected < silence {
		return current, false
	}
	// A miner that was never heard is taken to be as slow as one that had its
	// first share at this moment.
	ratio := max(seen, 1) / expected
	if s.work > 0 {
		ratio = seen / expected
	}
	luck := noise / math.Sqrt(max(expected, seen))
	// Variance is meant of the time between shares, which is 1/ratio.
	upper := max(1/(1-v.Variance/100), 1+luck)
	lower := min(1/(1+v.Variance/100), 1/(1+luck))
	if ratio >= lower && ratio <= upper {
		return current, false
	}
	step := 1 + v.MaxJump/100
	ratio = min(max(ratio, 1/step), step)
	if s.elapsed < v.Retarget && ratio < 1 {
		return current, false
	}
	changed := bound(float64(current)*ratio, low, high)
	return changed, changed != current
}

// due reports whether the sample is old enough to be looked at, or has so many
// shares that waiting for the retarget time would only let the flood go on.
func (v *Vardiff) due(s sample) bool {
	if s.elapsed >= v.Retarget {
		return true
	}
	allowed := 2 * float64(v.Retarget) / float64(v.Target)
	return float64(s.shares) >= max(flood, allowed)
}

// bound turns a difficulty back into a whole number within [low, high].
// Comparing before converting keeps what a uint64 cannot hold out of it.
func bound(d float64, low, high uint64) uint64 {
	switch {
	case math.IsNaN(d) || d <= float64(low):
		return low
	case d >= float64(high):
		return high
	}
	return min(max(uint64(d), low), high)
}
