package validator

import "testing"

// TestVerdictsPartition: every verdict but Pending is accepted, rejected or
// shed, exactly one of them (I1), and has a label of its own.
func TestVerdictsPartition(t *testing.T) {
	seen := make(map[string]Verdict)
	for v := Pending; v < Verdicts; v++ {
		kinds := 0
		for _, is := range []bool{v == Accepted, v.Rejected(), v.Shed()} {
			if is {
				kinds++
			}
		}
		if want := min(int(v), 1); kinds != want {
			t.Errorf("%v is %d of accepted, rejected and shed, want %d", v, kinds, want)
		}
		label := v.String()
		if before, taken := seen[label]; taken || label == "" {
			t.Errorf("%d and %d share the label %q", before, v, label)
		}
		seen[label] = v
	}
	if Verdicts.Shed() || Verdicts.Rejected() || Verdicts.String() != "invalid" {
		t.Error("a number that is no verdict counts as one")
	}
}
