package options

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

type boolValue struct{ p *bool }

func (v *boolValue) Set(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return fmt.Errorf("%q is not true or false", s)
	}
	*v.p = b
	return nil
}
func (v *boolValue) String() string   { return strconv.FormatBool(*v.p) }
func (v *boolValue) Type() string     { return "bool" }
func (v *boolValue) IsBoolFlag() bool { return true }

// unlessValue is the opposite of a bool.
type unlessValue struct{ p *bool }

func (v *unlessValue) Set(s string) error {
	var on bool
	err := (&boolValue{&on}).Set(s)
	if err == nil {
		*v.p = !on
	}
	return err
}
func (v *unlessValue) String() string   { return strconv.FormatBool(!*v.p) }
func (v *unlessValue) Type() string     { return "bool" }
func (v *unlessValue) IsBoolFlag() bool { return true }

type textValue struct {
	p     TextValue
	words []string
}

func (v *textValue) Set(s string) error {
	if !slices.Contains(v.words, s) {
		return notOneOf(s, v.words)
	}
	return v.p.UnmarshalText([]byte(s))
}
func (v *textValue) String() string {
	text, err := v.p.MarshalText()
	if err != nil {
		return err.Error() // no default can be without a word
	}
	return strings.ToLower(string(text))
}
func (v *textValue) Type() string { return strings.Join(v.words, "|") }

func notOneOf(s string, words []string) error {
	return fmt.Errorf("%q is not one of %s", s, strings.Join(words, ", "))
}

type pathValue struct{ p *string }

func (v *pathValue) Set(s string) error { *v.p = s; return nil }
func (v *pathValue) String() string     { return *v.p }
func (v *pathValue) Type() string       { return "file" }

type intValue struct {
	p         *int
	low, high int
}

func (v *intValue) Set(s string) error {
	n, err := strconv.Atoi(strings.ReplaceAll(s, "_", ""))
	if err != nil {
		return fmt.Errorf("%q is not a whole number", s)
	}
	if n < v.low || n > v.high {
		return fmt.Errorf("%d is not between %d and %d", n, v.low, v.high)
	}
	*v.p = n
	return nil
}
func (v *intValue) String() string { return strconv.Itoa(*v.p) }
func (v *intValue) Type() string   { return "n" }

type floatValue struct {
	p         *float64
	low, high float64
}

func (v *floatValue) Set(s string) error {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return fmt.Errorf("%q is not a number", s)
	}
	if x < v.low || x > v.high {
		return fmt.Errorf("%v is not between %v and %v", x, v.low, v.high)
	}
	*v.p = x
	return nil
}
func (v *floatValue) String() string { return strconv.FormatFloat(*v.p, 'g', -1, 64) }
func (v *floatValue) Type() string   { return "number" }

type durationValue struct {
	p         *time.Duration
	low, high time.Duration
}

func (v *durationValue) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil {
		if _, bare := strconv.ParseFloat(s, 64); bare == nil {
			return fmt.Errorf("%q has no unit; write %sms, %ss or %sm", s, s, s, s)
		}
		return fmt.Errorf("%q is not a duration such as 500ms, 30s or 10m", s)
	}
	if d < v.low || d > v.high {
		return fmt.Errorf("%v is not between %v and %v", shortDuration(d), shortDuration(v.low), shortDuration(v.high))
	}
	*v.p = d
	return nil
}
func (v *durationValue) String() string { return shortDuration(*v.p) }
func (v *durationValue) Type() string   { return "duration" }

// shortDuration writes 10m for what time.Duration calls 10m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// unit is a suffix and what it multiplies by.
type unit struct {
	name string
	size uint64
}

// sizeUnits are tried in this order, for the longest suffix must go first.
func sizeUnits() []unit {
	return []unit{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
	}
}

func difficultyUnits() []unit { return []unit{{"T", 1e12}, {"G", 1e9}, {"M", 1e6}, {"k", 1e3}} }

var errOverflow = errors.New("is too large")

// scaled reads digits and one unit, both without sign; the unit may be left out.
func scaled(s string, units []unit) (uint64, error) {
	digits, size := strings.TrimSpace(s), uint64(1)
	for _, u := range units {
		if rest, ok := cutSuffixFold(digits, u.name); ok {
			digits, size = strings.TrimSpace(rest), u.size
			break
		}
	}
	if digits == "" || strings.Trim(digits, "0123456789_") != "" {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseUint(strings.ReplaceAll(digits, "_", ""), 10, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && n > math.MaxUint64/size {
		return 0, errOverflow
	}
	if err != nil {
		return 0, strconv.ErrSyntax
	}
	return n * size, nil
}

// cutSuffixFold is strings.CutSuffix without regard to case.
func cutSuffixFold(s, suffix string) (string, bool) {
	at := len(s) - len(suffix)
	if at < 0 || !strings.EqualFold(s[at:], suffix) {
		return s, false
	}
	return s[:at], true
}

type sizeValue[T int | int64] struct {
	p         *T
	low, high T
}

func (v *sizeValue[T]) Set(s string) error {
	n, err := scaled(s, sizeUnits())
	if err == strconv.ErrSyntax {
		return fmt.Errorf("%q is not a size such as 4096, 64KiB or 2GiB", s)
	}
	if err != nil || n > uint64(v.high) || T(n) < v.low {
		return fmt.Errorf("%s is not between %s and %s", s, formatSize(int64(v.low)), formatSize(int64(v.high)))
	}
	*v.p = T(n)
	return nil
}
func (v *sizeValue[T]) String() string { return formatSize(int64(*v.p)) }
func (v *sizeValue[T]) Type() string   { return "size" }

// formatSize uses the largest binary unit that leaves a whole number.
func formatSize(n int64) string {
	for _, u := range sizeUnits()[:4] {
		if n != 0 && n%int64(u.size) == 0 {
			return strconv.FormatInt(n/int64(u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

type difficultyValue struct {
	p   *uint64
	low uint64
}

func (v *difficultyValue) Set(s string) error {
	n, err := ParseDifficulty(s)
	if err != nil {
		return err
	}
	if n < v.low {
		return fmt.Errorf("%d is less than %d", n, v.low)
	}
	*v.p = n
	return nil
}

// ParseDifficulty reads a share difficulty as an operator writes it: 1000,
// 25k, 3M, 2G, 1_000. The letters are powers of 1000.
func ParseDifficulty(s string) (uint64, error) {
	n, err := scaled(s, difficultyUnits())
	if err == strconv.ErrSyntax {
		return 0, fmt.Errorf("%q is not a difficulty such as 1000, 25k or 3M", s)
	}
	if err != nil {
		return 0, fmt.Errorf("%s does not fit 64 bits", s)
	}
	return n, nil
}
func (v *difficultyValue) String() string { return strconv.FormatUint(*v.p, 10) }
func (v *difficultyValue) Type() string   { return "difficulty" }

type enumValue struct {
	p      *string
	values []string
}

func (v *enumValue) Set(s string) error {
	if !slices.Contains(v.values, s) {
		return notOneOf(s, v.values)
	}
	*v.p = s
	return nil
}
func (v *enumValue) String() string { return *v.p }
func (v *enumValue) Type() string   { return strings.Join(v.values, "|") }
