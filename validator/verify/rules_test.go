package verify

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// audited is a set of rules with a class of little weight beside those of shares.
const classAudit = ClassUnproven + 1

func audited(shares, audits int) []Rule {
	return append(DefaultRules(shares, 10), Rule{Name: "audit", Weight: 0.5, Limit: audits, Below: classAudit})
}

// TestAnotherClass: a class of its own weight, limit and deadline takes its place
// among the others, fair by sender within it.
func TestAnotherClass(t *testing.T) {
	q := newQueue(audited(1000, 4), time.Minute)
	key := seeded(1)
	audit := func(addr string, nonce uint32) *Task {
		a := from(key, addr, "w", nonce)
		a.Class = classAudit
		a.Received = a.Received.Add(-time.Hour) // never late
		return a
	}
	for i := range uint32(4) {
		mustPush(t, q, audit(forger, i))
	}
	if out, _ := q.push(audit(one, 100)); out == nil || nonceOf(out) != 3 || out.Class != classAudit {
		t.Errorf("in a full class %v gave way, want the flood's newest", out)
	}
	if tasks, hosts := q.depth(classAudit); tasks != 4 || hosts != 2 {
		t.Errorf("%d audits of %d hosts wait", tasks, hosts)
	}
	for i := range uint32(60) {
		mustPush(t, q, from(key, two, "b", 1000+i))
	}
	// One batch in nine while shares wait, by the weights 0.5 and 4.
	var audits []uint32
	for range 36 {
		if batch := took(q, fixed(1, 0)); batch[0].Class == classAudit {
			audits = append(audits, nonceOf(batch[0]))
		}
	}
	if fmt.Sprint(audits) != "[0 100 1 2]" {
		t.Errorf("audits %v were served in 36 batches, want 0, 100, 1 and 2", audits)
	}
	// Alone it has them all, and waits for no company.
	for range 24 {
		took(q, fixed(1, 0))
	}
	mustPush(t, q, audit(one, 101))
	expect(t, took(q, fixed(8, time.Hour)), 101)
}

func TestRulesAreChecked(t *testing.T) {
	many := make([]Rule, MaxClasses+1)
	for i := range many {
		many[i] = Rule{Name: fmt.Sprint(i), Weight: 1, Limit: 1, Below: Class(i)}
	}
	// changed are the default rules, one of which is another.
	changed := func(change func(*Rule)) []Rule {
		rules := DefaultRules(0, 0)
		change(&rules[ClassShare])
		return rules
	}
	for _, tt := range []struct {
		name  string
		rules []Rule
		ok    bool
	}{
		{"defaults", DefaultRules(0, 0), true},
		{"defaults of the smallest queue", DefaultRules(1, 1), true},
		{"one more", audited(10, 1), true},
		{"as many as there may be", many[:MaxClasses], true},
		{"one too many", many, false},
		{"none", []Rule{}, false},
		{"gives way to a later class", changed(func(r *Rule) { r.Below = ClassUnproven }), true},
		{"gives way to an earlier class", changed(func(r *Rule) { r.Below = ClassCrowded }), false},
		{"gives way to nobody", changed(func(r *Rule) { r.Below = ClassUnproven + 1 }), false},
		{"no weight", changed(func(r *Rule) { r.Weight = 0 }), false},
		{"less than none", changed(func(r *Rule) { r.Weight = -1 }), false},
		{"weight without a number", changed(func(r *Rule) { r.Weight = math.NaN() }), false},
		{"weight without end", changed(func(r *Rule) { r.Weight = math.Inf(1) }), false},
		{"no room", changed(func(r *Rule) { r.Limit = 0 }), false},
		{"no name", changed(func(r *Rule) { r.Name = "" }), false},
		{"another's name", changed(func(r *Rule) { r.Name = "candidate" }), false},
	} {
		if err := checkRules(tt.rules); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for c, want := range []int{DefaultCandidates, DefaultCandidates, DefaultQueue, DefaultQueue, DefaultQueue} {
		if r := DefaultRules(0, 0)[c]; r.Limit != want {
			t.Errorf("class %s has room for %d, want %d", r.Name, r.Limit, want)
		}
	}
}

// TestGivingWayGoesDown: through as many classes as the rules say.
func TestGivingWayGoesDown(t *testing.T) {
	rules := make([]Rule, 4)
	for i := range rules {
		rules[i] = Rule{Name: fmt.Sprint(i), Weight: 1, Limit: 1, Below: Class(min(i+1, 3))}
	}
	q := newQueue(rules, time.Hour)
	at := func(nonce uint32) *Task {
		s := queued(seeded(1), nonce, 0)
		s.Class = 0
		return s
	}
	for n := range uint32(4) {
		s := at(n)
		mustPush(t, q, s)
		if s.Class != Class(n) {
			t.Errorf("task %d waits in class %d", n, s.Class)
		}
	}
	if out, _ := q.push(at(9)); out == nil || nonceOf(out) != 9 || out.Class != 3 {
		t.Errorf("with all classes full %v gave way", out)
	}
}
