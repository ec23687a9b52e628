package server

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func defaultVardiff(t testing.TB) *Vardiff {
	t.Helper()
	v := &Vardiff{}
	if err := v.setDefaults(); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVardiffNext(t *testing.T) {
	minute := time.Minute
	tests := []struct {
		name               string
		current, low, high uint64
		s                  sample
		want               uint64
	}{
		{"nothing yet", 1000, 100, 1e9, sample{}, 1000},
		{"clock stepped back", 1000, 100, 1e9, sample{9000, 9, -minute}, 1000},
		{"on target", 1000, 100, 1e9, sample{2000, 2, minute}, 1000},
		{"one share more is luck", 1000, 100, 1e9, sample{3000, 3, minute}, 1000},
		{"too soon", 1000, 100, 1e9, sample{5000, 5, 10 * time.Second}, 1000},
		{"a flood", 1000, 100, 1e9, sample{8000, 8, time.Second}, 4000},
		{"a flood of little work", 1000, 100, 1e9, sample{16, 8, time.Second}, 1000},
		{"thrice as fast", 1000, 100, 1e9, sample{6000, 6, minute}, 3000},
		{"silence too short", 1000, 100, 1e9, sample{0, 0, minute}, 1000},
		{"silence", 1000, 100, 1e9, sample{0, 0, 90 * time.Second}, 333},
		{"silence for ever", 1000, 100, 1e9, sample{0, 0, 1000 * time.Hour}, 250},
		{"silence at the minimum", 100, 100, 1e9, sample{0, 0, time.Hour}, 100},
		{"half the rate over ten minutes", 1000, 100, 1e9, sample{10000, 10, 10 * minute}, 500},
		{"jump at the top", 5e8, 100, 1e9, sample{1 << 62, 1000, minute}, 1e9},
		{"all the work there is", 1 << 63, 1, math.MaxUint64, sample{math.MaxUint64, math.MaxUint32, time.Nanosecond}, math.MaxUint64},
		{"above the maximum", 5000, 100, 1000, sample{}, 1000},
		{"below the minimum", 50, 100, 1000, sample{}, 100},
		{"minimum zero", 1, 0, 1000, sample{0, 0, time.Hour}, 1},
		{"bounds crossed", 7, 100, 10, sample{}, 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, changed := defaultVardiff(t).next(tt.current, tt.low, tt.high, tt.s)
			if got != tt.want || changed != (got != tt.current) {
				t.Fatalf("difficulty %d, changed %v; want %d", got, changed, tt.want)
			}
		})
	}
}

func TestVardiffProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := &Vardiff{
			Target:   time.Duration(rapid.Int64Range(1, 1<<50).Draw(t, "target")),
			Retarget: time.Duration(rapid.Int64Range(1, 1<<50).Draw(t, "retarget")),
			Variance: rapid.Float64Range(0.001, 99.999).Draw(t, "variance"),
			MaxJump:  rapid.Float64Range(0.001, 1e6).Draw(t, "jump"),
		}
		if err := v.setDefaults(); err != nil {
			t.Fatal(err)
		}
		low := rapid.Uint64Min(1).Draw(t, "low")
		high := rapid.Uint64Range(low, math.MaxUint64).Draw(t, "high")
		current := rapid.Uint64Range(low, high).Draw(t, "current")
		s := sample{
			work: rapid.Uint64().Draw(t, "work"), shares: rapid.Uint32().Draw(t, "shares"),
			elapsed: time.Duration(rapid.Int64().Draw(t, "elapsed")),
		}
		got, changed := v.next(current, low, high, s)
		if got < low || got > high {
			t.Fatalf("%d is outside %d…%d", got, low, high)
		}
		if changed != (got != current) {
			t.Fatalf("changed %v from %d to %d", changed, current, got)
		}
		step := 1 + v.MaxJump/100
		ratio := float64(got) / float64(current)
		// One unit of rounding is allowed at small difficulties.
		if ratio > step*1.0000001 || float64(got) < float64(current)/step*0.9999999-1 {
			t.Fatalf("from %d to %d is more than a jump of %v", current, got, step)
		}
		if s.work == 0 && got > current {
			t.Fatalf("silence raised %d to %d", current, got)
		}
		more := s
		more.work = max(s.work, s.work+s.work/2)
		if more.work >= s.work && s.work > 0 {
			if again, _ := v.next(current, low, high, more); again < got {
				t.Fatalf("more work lowered %d to %d", got, again)
			}
		}
	})
}

// TestVardiffSettles plays miners of steady hash rates from a start that is far
// off, and asks that they end up near their rate and stay there.
func TestVardiffSettles(t *testing.T) {
	for _, rate := range []float64{10, 1e3, 1e6, 1e9} {
		for seed := range uint64(5) {
			v := defaultVardiff(t)
			rng := rand.New(rand.NewPCG(seed, 7))
			ideal := rate * v.Target.Seconds()
			session := tuner{started: 0}
			d, now, off, looks := uint64(10000), time.Duration(0), 0, 0
			for now < 6*time.Hour {
				wait := time.Duration(rng.ExpFloat64() * float64(d) / rate * float64(time.Second))
				// The sweep looks once a second, also at a miner without shares.
				for wait > time.Second {
					wait -= time.Second
					now += time.Second
					if n, ok := session.retarget(v, d, 1, math.MaxUint64, int64(now)); ok {
						d, wait = n, time.Duration(rng.ExpFloat64()*float64(n)/rate*float64(time.Second))
					}
				}
				now += wait
				session.accepted(d)
				if n, ok := session.retarget(v, d, 1, math.MaxUint64, int64(now)); ok {
					d = n
				}
				if now > time.Hour {
					looks++
					if float64(d) < ideal/3 || float64(d) > ideal*3 {
						off++
					}
				}
			}
			if looks == 0 || off*20 > looks {
				t.Errorf("%g H/s, seed %d: %d of %d shares at more than 3 times off %g", rate, seed, off, looks, ideal)
			}
		}
	}
}

func TestVardiffOptions(t *testing.T) {
	for name, v := range map[string]Vardiff{
		"negative target":   {Target: -1},
		"negative retarget": {Retarget: -1},
		"variance 100":      {Variance: 100},
		"variance NaN":      {Variance: math.NaN()},
		"jump negative":     {MaxJump: -5},
		"jump NaN":          {MaxJump: math.NaN()},
		"jump infinite":     {MaxJump: math.Inf(1)},
	} {
		t.Run(name, func(t *testing.T) {
			if err := v.setDefaults(); err == nil {
				t.Fatal("no error")
			}
		})
	}
}
