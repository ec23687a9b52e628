package options

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/pflag"

	"github.com/assay-pool/assay/internal/redact"
)

// Print writes the configuration as a config file: every name, its value, and
// after # its source. Secrets are shown as the paths they came from; passwords
// inside URLs are hidden.
func (s *Set) Print(w io.Writer) {
	printFlags(w, s.process)
	for _, f := range s.pools {
		if len(s.pools) > 1 || f.pool != DefaultPool {
			fmt.Fprintf(w, "\n[pool %s]", f.pool)
		}
		fmt.Fprintln(w)
		printFlags(w, f)
	}
}

// printColumn is where sources stand: most values are shorter.
const printColumn = 44

func printFlags(w io.Writer, f *Flags) {
	for _, name := range f.order {
		flag := f.infos[name]
		if flag.commandLineOnly {
			continue
		}
		source := flag.source
		if source == "" {
			source = "default"
		}
		mark := ""
		if flag.notInFile {
			mark = "# " // shown, but not part of a file that can be read again
		}
		for _, value := range values(f.fs.Lookup(name).Value) {
			fmt.Fprintf(w, "%-*s # %s\n", printColumn, mark+name+" = "+redact.Text(value), source)
		}
	}
}

// values is what would have to be written to get the value again.
func values(v pflag.Value) []string {
	if slice, ok := v.(pflag.SliceValue); ok {
		if all := slice.GetSlice(); len(all) > 0 {
			return all
		}
		return []string{""}
	}
	return []string{v.String()}
}

// BuildVersion is the module version, revision and Go version of the binary.
func BuildVersion() string {
	version := "(unknown)"
	revision := ""
	if build, ok := debug.ReadBuildInfo(); ok {
		version = build.Main.Version
		for _, setting := range build.Settings {
			switch {
			case setting.Key == "vcs.revision":
				revision = " " + setting.Value
			case setting.Key == "vcs.modified" && setting.Value == "true":
				revision += "+changes"
			}
		}
	}
	return fmt.Sprintf("%s%s %s %s/%s", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
