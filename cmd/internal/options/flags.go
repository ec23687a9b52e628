package options

import (
	"encoding"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Flags registers the flags of the process or of one pool, in the order in
// which --help prints them. A help text says what the flag does and when to
// turn it; a word in `back quotes` is the name of the value.
//
// Registering a name twice panics, as pflag does: it is a programming error.
type Flags struct {
	fs    *pflag.FlagSet
	group string
	order []string
	infos map[string]*info
	pool  string
}

// info is what the program said of a flag beyond pflag's own fields.
type info struct {
	name            string
	group           string
	kind            string // "process" or "pool"
	list            bool
	commandLineOnly bool
	notInFile       bool
	secret          *string // where the file's content goes
	source          string
}

// newFlags makes an empty registry; kind names it in error texts.
func newFlags(kind string) *Flags {
	fs := pflag.NewFlagSet(kind, pflag.ContinueOnError)
	fs.SortFlags = false
	return &Flags{fs: fs, infos: map[string]*info{}}
}

// Group starts a group: the heading of the flags that follow in --help.
func (f *Flags) Group(heading string) { f.group = heading }

// note remembers the flag just registered.
func (f *Flags) note(name string, list bool) *info {
	i := &info{name: name, group: f.group, kind: f.fs.Name(), list: list}
	f.infos[name] = i
	f.order = append(f.order, name)
	return i
}

// Var registers any [pflag.Value]. Its Type is the value's name in --help.
func (f *Flags) Var(v pflag.Value, name, help string) {
	f.fs.Var(v, name, help)
	_, list := v.(pflag.SliceValue)
	f.note(name, list)
}

// String registers a text.
func (f *Flags) String(p *string, name, def, help string) {
	f.fs.StringVar(p, name, def, help)
	f.note(name, false)
}

// Bool registers a switch: --name, --name=false, NAME=true.
func (f *Flags) Bool(p *bool, name string, def bool, help string) {
	*p = def
	v := &boolValue{p}
	f.fs.VarPF(v, name, "", help).NoOptDefVal = "true"
	f.note(name, false)
}

// Unless registers a switch that is on: --name=false makes *p true. It is for
// a field whose zero value stands for the usual, NoSomething.
func (f *Flags) Unless(p *bool, name, help string) {
	*p = false
	f.fs.VarPF(&unlessValue{p}, name, "", help).NoOptDefVal = "true"
	f.note(name, false)
}

// Int registers a whole number between low and high, both allowed.
func (f *Flags) Int(p *int, name string, def, low, high int, help string) {
	*p = def
	f.Var(&intValue{p, low, high}, name, help)
}

// Float registers a number between low and high, both allowed.
func (f *Flags) Float(p *float64, name string, def, low, high float64, help string) {
	*p = def
	f.Var(&floatValue{p, low, high}, name, help)
}

// Duration registers a time between low and high: 500ms, 30s, 10m, 24h. A bare
// number has no unit and is refused, except 0.
func (f *Flags) Duration(p *time.Duration, name string, def, low, high time.Duration, help string) {
	*p = def
	f.Var(&durationValue{p, low, high}, name, help)
}

// Size registers a number of bytes between low and high: 4096, 64KiB, 2GB.
// KiB, MiB, GiB, TiB are powers of 1024; kB, MB, GB, TB of 1000.
func (f *Flags) Size(p *int, name string, def, low, high int, help string) {
	*p = def
	f.Var(&sizeValue[int]{p, low, high}, name, help)
}

// Size64 is Size for what may be larger than an address space of 32 bits.
func (f *Flags) Size64(p *int64, name string, def, low, high int64, help string) {
	*p = def
	f.Var(&sizeValue[int64]{p, low, high}, name, help)
}

// Difficulty registers a difficulty, at least low: 1000, 25k, 3M, 2G, or with
// underscores between the digits. The letters are powers of 1000.
func (f *Flags) Difficulty(p *uint64, name string, def, low uint64, help string) {
	*p = def
	f.Var(&difficultyValue{p, low}, name, help)
}

// Enum registers one of a few words; any other value's error lists them.
func (f *Flags) Enum(p *string, name, def string, values []string, help string) {
	v := &enumValue{p: p, values: values}
	if err := v.Set(def); err != nil {
		panic(fmt.Sprintf("options: default of --%s: %v", name, err))
	}
	f.Var(v, name, help)
}

// TextValue is a type that reads and writes itself as one word.
type TextValue interface {
	encoding.TextMarshaler
	encoding.TextUnmarshaler
}

// Text registers a value of such a type that takes a few words, as Enum does;
// what it holds is the default.
func (f *Flags) Text(p TextValue, name string, words []string, help string) {
	v := &textValue{p, words}
	if !slices.Contains(words, v.String()) {
		panic(fmt.Sprintf("options: default %q of --%s is none of its words", v, name))
	}
	f.Var(v, name, help)
}

// Strings registers a list, one value per mention; commas do not split.
func (f *Flags) Strings(p *[]string, name string, def []string, help string) {
	f.fs.StringArrayVar(p, name, slices.Clone(def), help)
	f.note(name, true)
}

// Secret registers --NAME-file: a path whose first line, less a byte order mark and
// the line's end, goes to p. There is no flag for the secret itself, since any user of
// the machine can read a command line.
func (f *Flags) Secret(p *string, name, help string) {
	if strings.HasSuffix(name, "-file") {
		panic("options: Secret adds -file to the name by itself: " + name)
	}
	file := name + "-file"
	f.fs.Var(&pathValue{new(string)}, file, help)
	f.note(file, false).secret = p
}
