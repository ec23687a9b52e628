package verify

import (
	"cmp"
	"fmt"
	"math"
)

// Class is the number of a rule: how a task is served. Lower is served first
// where two have the same right to it.
type Class uint8

// The classes of DefaultRules.
const (
	ClassCandidate         Class = iota // claims to be a block
	ClassUnprovenCandidate              // likewise, of a session that has proven nothing
	ClassCrowded                        // claims that found no place in their class
	ClassShare                          // must be verified before the reply
	ClassUnproven                       // likewise, of a session that has proven nothing
)

// MaxClasses bounds the rules: every batch looks at each class.
const MaxClasses = 32

// Rule is how a class is served.
type Rule struct {
	Name string // metric label
	// Weight is how many batches the class has for one of a class of weight 1
	// while both wait; above 0.
	Weight float64
	Limit  int // tasks waiting at most, at least 1
	// Late: its tasks are shed once they are older than the deadline. Those of
	// a class without it wait as long as they must.
	Late bool
	// Company: a batch that is not full may wait for more tasks to come.
	Company bool
	// Below is the class of a task that has to give way in this one: a later one,
	// or this one, of which it is then shed.
	Below Class
}

// DefaultRules are the rules for shares that must be verified before they are
// answered, with so many shares and block candidates waiting at most; 0 is the
// default of either. Rules for more classes are appended to them.
//
// A claim to be a block is cheap to forge, so candidates have no more than every
// second batch while plain shares wait. One that finds no place among them,
// because as many hosts claim blocks as there are places, waits its host's turn
// in a class of little weight, but is never late: it may be the block that the
// others only claim to be. A session that has had no share accepted yet may be
// anybody: such sessions have a fifth of the batches, a third if they claim
// blocks too, while proven ones wait, whoever and however many they are. That is
// enough for a first share to be answered soon, and an idle node, or one that has
// just started, gives them all.
func DefaultRules(shares, candidates int) []Rule {
	shares, candidates = cmp.Or(max(shares, 0), DefaultQueue), cmp.Or(max(candidates, 0), DefaultCandidates)
	return []Rule{
		ClassCandidate:         {Name: "candidate", Weight: 4, Limit: candidates, Below: ClassCrowded},
		ClassUnprovenCandidate: {Name: "unproven_candidate", Weight: 1, Limit: candidates, Below: ClassCrowded},
		ClassCrowded:           {Name: "crowded_candidate", Weight: 1, Limit: shares, Below: ClassCrowded},
		ClassShare:             {Name: "share", Weight: 4, Limit: shares, Late: true, Company: true, Below: ClassShare},
		ClassUnproven:          {Name: "unproven", Weight: 1, Limit: shares, Late: true, Company: true, Below: ClassUnproven},
	}
}

// checkRules refuses rules that cannot be served. That Below never points back is
// what makes giving way end.
func checkRules(rules []Rule) error {
	if len(rules) == 0 || len(rules) > MaxClasses {
		return fmt.Errorf("verify: %d classes, they must be from 1 to %d", len(rules), MaxClasses)
	}
	names := make(map[string]bool)
	for i, r := range rules {
		switch {
		case r.Name == "" || names[r.Name]:
			return fmt.Errorf("verify: class %d is called %q: it must have a name of its own", i, r.Name)
		case !(r.Weight > 0) || math.IsInf(r.Weight, 1): // nor NaN
			return fmt.Errorf("verify: class %s has weight %v, it must be above 0 and finite", r.Name, r.Weight)
		case r.Limit < 1:
			return fmt.Errorf("verify: class %s has room for %d tasks, it must be 1 at least", r.Name, r.Limit)
		case int(r.Below) < i || int(r.Below) >= len(rules):
			return fmt.Errorf("verify: class %s gives way to class %d, it must be from %d to %d", r.Name, r.Below, i, len(rules)-1)
		}
		names[r.Name] = true
	}
	return nil
}
