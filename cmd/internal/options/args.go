package options

import (
	"fmt"
	"strings"
)

// assignment is one mention of a flag.
type assignment struct {
	value  string
	source string // "flag", "env ASSAY_X", "pool.conf:12"
}

// layer is everything one source says, by flag name, in order.
type layer map[string][]assignment

// scanArgs reads a command line: --name value, --name=value, --switch. It does
// not use pflag's own Parse, which ends at the first error; --check-config has
// to show them all. Short flags do not exist, but for -h.
func scanArgs(s *Set, args []string) (layer, []error) {
	given := layer{}
	var errs []error
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "-h" {
			arg = "--help"
		}
		if !strings.HasPrefix(arg, "--") || arg == "--" {
			err, value := strayArg(s, arg)
			errs = append(errs, err)
			if value && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++ // the value of the flag with one dash: not an error of its own
			}
			continue
		}
		name, value, hasValue := strings.Cut(arg[2:], "=")
		flag := s.find(name)
		if flag == nil {
			errs = append(errs, fmt.Errorf("--%s: unknown flag%s", name, s.suggest(name, "--")))
			if !hasValue && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++
			}
			continue
		}
		if !hasValue {
			if isSwitch := s.lookup(flag).NoOptDefVal; isSwitch != "" {
				value = isSwitch
			} else if i+1 < len(args) {
				i++
				value = args[i]
			} else {
				errs = append(errs, fmt.Errorf("--%s: needs a value", name))
				continue
			}
		}
		given[name] = append(given[name], assignment{value, "flag"})
	}
	return given, errs
}

// strayArg explains a word that is no flag. value tells that the next word was
// probably meant as its value.
func strayArg(s *Set, arg string) (err error, value bool) {
	name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	if strings.HasPrefix(arg, "-") && name != "" {
		if flag := s.find(name); flag != nil {
			return fmt.Errorf("%s: flags begin with two dashes: write --%s", arg, strings.TrimLeft(arg, "-")),
				!hasValue && s.lookup(flag).NoOptDefVal == ""
		}
		return fmt.Errorf("%s: unknown flag; flags begin with two dashes%s", arg, s.suggest(name, "--")), false
	}
	if flag := s.find(name); flag != nil {
		return fmt.Errorf("%q: unexpected word; did you mean --%s", arg, name), false
	}
	return fmt.Errorf("%q: unexpected word; every setting is a --flag (a switch is set off by --name=false)", arg), false
}
