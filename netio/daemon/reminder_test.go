package daemon

import (
	"testing"
	"time"
)

func TestReminder(t *testing.T) {
	var r reminder
	now := time.Now()
	if r.over() {
		t.Error("the end of a trouble that never was")
	}
	if !r.due(now) {
		t.Fatal("a trouble is not told at once")
	}
	told, last := 1, now
	for at := now; at.Before(now.Add(24 * time.Hour)); at = at.Add(time.Second) {
		if r.due(at) {
			told++
			if gap := at.Sub(last); gap < remindFirst || gap > remindMost {
				t.Fatalf("told again after %s", gap)
			}
			last = at
		}
	}
	if told < 24 || told > 40 {
		t.Errorf("told %d times in a day", told)
	}
	if !r.over() || r.over() {
		t.Error("its end is not told once")
	}
	if r.due(last.Add(remindGap - 1)) {
		t.Error("one that comes and goes is told each time")
	}
	if r.over() {
		t.Error("the end of a trouble that was not told")
	}
	if !r.due(last.Add(remindGap)) {
		t.Error("the next one is not told at once")
	}
}
