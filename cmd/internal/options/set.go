package options

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/assay-pool/assay/internal/redact"
)

// Limits of the input, each far above what an honest operator writes.
const (
	// MaxFileBytes bounds a config file: a hundred pools fit many times.
	MaxFileBytes = 1 << 20
	// MaxLineBytes bounds one line of it: addresses and URLs are below 300.
	MaxLineBytes = 4096
	// MaxPools bounds the sections: each pool costs templates, jobs and ports.
	MaxPools = 64
	// MaxErrors bounds the errors printed for one configuration.
	MaxErrors = 50
)

// DefaultPool is the name of the pool of a configuration without sections.
const DefaultPool = "default"

// Exit codes of [Set.Load].
const (
	ExitOK    = 0
	ExitUsage = 2 // any error in flags, environment or file
)

// Set is the configuration of one program. It is used by one goroutine.
type Set struct {
	program   string
	synopsis  string
	version   string
	envPrefix string

	process   *Flags
	protoPool *Flags // for names and help; its values are thrown away
	addPool   func(name string) *Flags
	pools     []*Flags
	checks    []func() []error
	warnings  []string        // remarks on what was parsed, for stderr
	shown     map[string]bool // flags in --help; nil = all

	configPath  string
	printConfig bool
	checkConfig bool
	showVersion bool
	showHelp    bool
}

// New starts the configuration of program. envPrefix is what its environment
// variables begin with, without the underscore: "ASSAY".
func New(program, envPrefix string) *Set {
	s := &Set{program: program, envPrefix: envPrefix, version: BuildVersion()}
	s.process = newFlags("process")
	s.process.Group("Configuration")
	s.process.String(&s.configPath, "config", "",
		"Config `file`: lines of name = value, [pool NAME] sections for several pools.")
	s.process.Bool(&s.checkConfig, "check-config", false,
		"Read everything, report every error, and exit: 0 when all is well, else 2. Run it before a restart.")
	s.process.Bool(&s.printConfig, "print-config", false,
		"Print every value with its source, as a config file, and exit. Secrets are not printed.")
	s.process.Bool(&s.showVersion, "version", false, "Print the version and exit.")
	s.process.Bool(&s.showHelp, "help", false, "Print this text and exit.")
	for _, name := range []string{"check-config", "print-config", "version", "help"} {
		s.process.infos[name].commandLineOnly = true
	}
	s.process.infos["config"].notInFile = true
	return s
}

// Synopsis sets the lines --help prints under the usage line.
func (s *Set) Synopsis(text string) { s.synopsis = text }

// Version replaces the build's version in --version.
func (s *Set) Version(v string) { s.version = v }

// Process is where flags that exist once are registered.
func (s *Set) Process() *Flags { return s.process }

// Check adds a test across flags. It runs once all values are set and none was
// in error; its errors are reported like any other, and by --check-config.
func (s *Set) Check(check func() []error) { s.checks = append(s.checks, check) }

// Pool is one pool of the configuration.
type Pool[T any] struct {
	Name   string // from [pool NAME], or DefaultPool
	Config *T
}

// PoolList is filled by [Set.Parse].
type PoolList[T any] struct{ pools []Pool[T] }

// All are the pools in the order of the file.
func (l *PoolList[T]) All() []Pool[T] { return l.pools }

// Pools registers the flags of a pool. register is called once for the help
// and once per pool, each time with a fresh T, and must bind every flag to it.
// A Set has at most one kind of pool: calling Pools twice panics.
func Pools[T any](s *Set, register func(f *Flags, pool *T)) *PoolList[T] {
	if s.addPool != nil {
		panic("options: Pools called twice")
	}
	list := &PoolList[T]{}
	build := func(config *T) *Flags {
		f := newFlags("pool")
		register(f, config)
		return f
	}
	s.protoPool = build(new(T))
	for _, name := range s.protoPool.order {
		if s.process.infos[name] != nil {
			panic(fmt.Sprintf("options: --%s is a process flag and a pool flag", name))
		}
	}
	s.addPool = func(name string) *Flags {
		config := new(T)
		list.pools = append(list.pools, Pool[T]{Name: name, Config: config})
		f := build(config)
		f.pool = name
		return f
	}
	return list
}

// Parse reads everything and fills the registered variables. The error joins
// all that is wrong ([errors.Join]). args has no program name; environ is like
// [os.Environ]. A Set is parsed once.
func (s *Set) Parse(args, environ []string) error {
	given, err := scanArgs(s, args)
	if s.asked(given, "help") || s.asked(given, "version") {
		return nil
	}
	return s.resolve(given, environ, err)
}

// asked sets a command-line-only switch before anything else is looked at:
// --help must work beside an error.
func (s *Set) asked(given layer, name string) bool {
	for _, a := range given[name] {
		if err := s.process.fs.Lookup(name).Value.Set(a.value); err != nil {
			return false // reported by resolve
		}
	}
	return s.process.fs.Lookup(name).Value.String() == "true"
}

// Load parses and does what --help, --version, --print-config and
// --check-config ask. run tells that the program should go on; otherwise it
// should exit with code. Warnings and errors go to stderr.
func (s *Set) Load(args, environ []string, stdout, stderr io.Writer) (code int, run bool) {
	err := s.Parse(args, environ)
	switch {
	case s.showHelp:
		s.Help(stdout)
		return ExitOK, false
	case s.showVersion:
		fmt.Fprintf(stdout, "%s %s\n", s.program, s.version)
		return ExitOK, false
	}
	for _, w := range s.warnings {
		fmt.Fprintf(stderr, "%s: warning: %s\n", s.program, redact.Text(w))
	}
	if err != nil {
		s.report(stderr, err)
		return ExitUsage, false
	}
	switch {
	case s.printConfig:
		s.Print(stdout)
		return ExitOK, false
	case s.checkConfig:
		fmt.Fprintf(stdout, "%s: configuration is good\n", s.program)
		return ExitOK, false
	}
	return ExitOK, true
}

// Main is Load with the process's own arguments, environment and streams.
func (s *Set) Main() (code int, run bool) {
	return s.Load(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
}

// report prints a joined error, a line each.
func (s *Set) report(w io.Writer, err error) {
	all := Errors(err)
	for i, e := range all {
		if i == MaxErrors {
			fmt.Fprintf(w, "%s: and %d more errors\n", s.program, len(all)-i)
			break
		}
		fmt.Fprintf(w, "%s: %s\n", s.program, redact.Text(e.Error()))
	}
	fmt.Fprintf(w, "%s: see %s --help\n", s.program, s.program)
}

// Errors lists what [Set.Parse]'s error joins.
func Errors(err error) []error {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}

// env is the environment variable of a flag.
func (s *Set) env(name string) string {
	return s.envPrefix + "_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// find looks a name up in both kinds of flags.
func (s *Set) find(name string) *info {
	if i := s.process.infos[name]; i != nil {
		return i
	}
	if s.protoPool != nil {
		return s.protoPool.infos[name]
	}
	return nil
}

// names lists every flag, for suggestions.
func (s *Set) names() []string {
	names := append([]string(nil), s.process.order...)
	if s.protoPool != nil {
		names = append(names, s.protoPool.order...)
	}
	return names
}
