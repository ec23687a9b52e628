package options

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

// helpColumns is the width of --help: it fits the narrowest usual terminal.
const helpColumns = 80

// HelpOnly makes --help show these flags alone, for a program that takes the
// configuration of another one and looks at a few things in it.
func (s *Set) HelpOnly(names ...string) {
	s.shown = map[string]bool{}
	for _, name := range names {
		if s.find(name) == nil {
			panic("options: HelpOnly of an unknown flag: " + name)
		}
		s.shown[name] = true
	}
}

// Help writes the grouped help: process flags, then those of pools.
func (s *Set) Help(w io.Writer) {
	fmt.Fprintf(w, "Usage: %s [--flag value]...\n", s.program)
	if s.synopsis != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(s.synopsis))
	}
	precedence := fmt.Sprintf("Each flag can also be an environment variable (%s, one value per line for lists) "+
		"or a line of the config file (name = value). The command line beats the environment, the environment "+
		"beats the file, the file beats the default. Flags begin with two dashes: --workers 3, never -workers 3.",
		s.env("name"))
	fmt.Fprintf(w, "\n%s", wrap(precedence, "", helpColumns))
	s.helpFlags(w, s.process)
	if s.protoPool == nil || s.shown != nil {
		return
	}
	pools := "The flags below belong to a pool. Without sections in the file they describe its one pool, " +
		"named \"" + DefaultPool + "\". For several pools give each a section [pool NAME] in the file: lines above the first " +
		"section are defaults for all pools, a section's own lines beat them, and the command line and the " +
		"environment beat both, for every pool."
	fmt.Fprintf(w, "\n%s", wrap(pools, "", helpColumns))
	s.helpFlags(w, s.protoPool)
}

func (s *Set) helpFlags(w io.Writer, f *Flags) {
	group := ""
	for _, name := range f.order {
		if s.shown != nil && !s.shown[name] {
			continue
		}
		if g := f.infos[name].group; g != group {
			group = g
			fmt.Fprintf(w, "\n%s:\n", group)
		}
		flag := f.fs.Lookup(name)
		kind, text := pflag.UnquoteUsage(flag)
		if kind == "stringArray" || kind == "strings" {
			kind = "string"
		}
		head := "  --" + name
		if flag.NoOptDefVal == "" {
			head += " " + kind
		}
		var notes []string
		if f.infos[name].list {
			notes = append(notes, "may be given several times")
		}
		if def := strings.Join(printedDefault(flag), ", "); def != "" {
			notes = append(notes, "default "+def)
		}
		if len(notes) > 0 {
			head += "  (" + strings.Join(notes, "; ") + ")"
		}
		fmt.Fprintf(w, "%s\n%s", head, wrap(text, "        ", helpColumns))
	}
}

// printedDefault is empty for switches that are off and lists with nothing.
func printedDefault(flag *pflag.Flag) []string {
	switch {
	case flag.NoOptDefVal != "" && flag.DefValue == "false", flag.DefValue == "", flag.DefValue == "[]":
		return nil
	}
	if _, ok := flag.Value.(pflag.SliceValue); ok {
		return []string{strings.Trim(flag.DefValue, "[]")}
	}
	return []string{flag.DefValue}
}

// wrap breaks a text at spaces into lines of at most columns, each behind indent.
func wrap(text, indent string, columns int) string {
	var out strings.Builder
	width := 0
	for _, word := range strings.Fields(text) {
		switch {
		case width == 0:
			out.WriteString(indent)
			width = len(indent)
		case width+1+len(word) > columns:
			out.WriteString("\n" + indent)
			width = len(indent)
		default:
			out.WriteByte(' ')
			width++
		}
		out.WriteString(word)
		width += len(word)
	}
	if width > 0 {
		out.WriteByte('\n')
	}
	return out.String()
}
