package options

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"
)

// lookup is the pflag entry of a flag, of the prototype for pool flags.
func (s *Set) lookup(i *info) *pflag.Flag {
	if i.kind == "pool" {
		return s.protoPool.fs.Lookup(i.name)
	}
	return s.process.fs.Lookup(i.name)
}

// resolve brings the layers together, in the order doc.go promises.
func (s *Set) resolve(cli layer, environ []string, errs []error) error {
	env := scanEnv(s, environ)
	s.configPath = firstValue("config", cli, env)
	parsed := &file{}
	if s.configPath != "" {
		data, err := readFile(s.configPath)
		if err != nil {
			errs = append(errs, err)
		} else {
			var fileErrs []error
			parsed, fileErrs = parseFile(s.configPath, data)
			errs = append(errs, fileErrs...)
		}
	}
	if parsed == nil {
		parsed = &file{}
	}
	top, topErrs := s.fileLayer(&parsed.top, "")
	errs = append(errs, topErrs...)
	errs = append(errs, s.apply(s.process, cli, env, top)...)
	if s.addPool != nil {
		errs = append(errs, s.resolvePools(parsed, cli, env, top)...)
	} else if len(parsed.sections) > 0 {
		errs = append(errs, fmt.Errorf("%s: %s has no pools", parsed.sections[0].where, s.program))
	}
	if len(errs) == 0 {
		for _, check := range s.checks {
			errs = append(errs, check()...)
		}
	}
	return errors.Join(errs...)
}

// resolvePools makes the pools the file names, or the default one.
func (s *Set) resolvePools(parsed *file, cli, env, top layer) []error {
	if len(parsed.sections) == 0 {
		f := s.addPool(DefaultPool)
		s.pools = append(s.pools, f)
		return s.apply(f, cli, env, top)
	}
	var errs []error
	seen := map[string]bool{} // an error all pools share is told once
	for i := range parsed.sections {
		part := &parsed.sections[i]
		own, ownErrs := s.fileLayer(part, "pool")
		errs = append(errs, ownErrs...)
		f := s.addPool(part.name)
		s.pools = append(s.pools, f)
		for _, err := range s.apply(f, cli, env, own, top) {
			if !seen[err.Error()] {
				seen[err.Error()] = true
				errs = append(errs, err)
			}
		}
		for _, name := range f.order {
			for _, over := range []layer{cli, env} {
				if hidden := own[name]; hidden != nil && over[name] != nil {
					s.warn("pool %s: %s from %s hides %s", part.name, name, over[name][0].source, hidden[0].source)
					break
				}
			}
		}
	}
	return errs
}

// firstValue is the value of a scalar in the first layer that has it.
func firstValue(name string, layers ...layer) string {
	for _, l := range layers {
		if all := l[name]; len(all) > 0 {
			return all[len(all)-1].value
		}
	}
	return ""
}

// fileLayer checks the names of a part of the file. kind "" allows all flags,
// "pool" those of pools only.
func (s *Set) fileLayer(part *section, kind string) (layer, []error) {
	given := layer{}
	var errs []error
	for _, l := range part.lines {
		name := l.name
		flag := s.find(name)
		switch {
		case flag == nil:
			errs = append(errs, fmt.Errorf("%s: unknown name %q%s", l.where, name, s.suggest(name, "")))
		case flag.commandLineOnly || flag.notInFile:
			errs = append(errs, fmt.Errorf("%s: %s cannot be set in a file; give --%s on the command line", l.where, name, name))
		case kind != "" && flag.kind != kind:
			errs = append(errs, fmt.Errorf("%s: %s belongs to the whole process; move it above the first [pool NAME]", l.where, name))
		case !flag.list && given[name] != nil:
			errs = append(errs, fmt.Errorf("%s: %s is already set at %s; remove one of the two", l.where, name, given[name][0].source))
		default:
			given[name] = append(given[name], assignment{l.value, l.where})
		}
	}
	return given, errs
}

// apply sets every flag from the first layer that names it.
func (s *Set) apply(f *Flags, layers ...layer) []error {
	var errs []error
	for _, name := range f.order {
		flag := f.infos[name]
		for _, l := range layers {
			all := l[name]
			if all == nil {
				continue
			}
			if !flag.list {
				all = all[len(all)-1:]
			}
			errs = append(errs, s.assign(f, flag, all)...)
			break
		}
		if flag.secret == nil {
			continue
		}
		if err := s.readSecret(f, flag); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// assign sets one flag from one layer.
func (s *Set) assign(f *Flags, flag *info, all []assignment) []error {
	var errs []error
	value := f.fs.Lookup(flag.name).Value
	flag.source = all[0].source
	if slice, ok := value.(pflag.SliceValue); ok && len(all) == 1 && all[0].value == "" {
		if err := slice.Replace(nil); err != nil {
			errs = append(errs, err)
		}
		return errs
	}
	for _, a := range all {
		if err := value.Set(a.value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.place(flag.name, a.source), err))
		}
	}
	return errs
}

// place names a value for an error text: what to change, and where.
func (s *Set) place(name, source string) string {
	switch {
	case source == "flag":
		return "--" + name
	case source == "env "+s.env(name):
		return "environment: " + s.env(name)
	default:
		return source + ": " + name
	}
}
