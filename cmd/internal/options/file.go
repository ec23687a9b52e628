package options

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// file is a config file as written, before any name is looked up.
type file struct {
	top      section
	sections []section
}

// section is the top of a file (no name) or one [pool NAME].
type section struct {
	name  string
	where string
	lines []line
}

// line is one name = value.
type line struct {
	name, value string
	where       string // path:number
}

// readFile reads a config file within its limits.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	defer f.Close()
	if stat, err := f.Stat(); err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	} else if !stat.Mode().IsRegular() {
		return nil, fmt.Errorf("--config: %s is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	return data, nil
}

// parseFile splits a file into sections and lines. It goes on after an error,
// except when the bytes are no text at all.
func parseFile(path string, data []byte) (*file, []error) {
	if len(data) > MaxFileBytes {
		return nil, []error{fmt.Errorf("%s: larger than %s; is this the right file?", path, formatSize(MaxFileBytes))}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	parsed := &file{}
	var errs []error
	current := &parsed.top
	for n := 1; len(data) > 0; n++ {
		var raw []byte
		raw, data, _ = bytes.Cut(data, []byte("\n"))
		where := fmt.Sprintf("%s:%d", path, n)
		if !isText(raw) {
			return nil, append(errs, fmt.Errorf("%s: not UTF-8 text; is this the right file?", where))
		}
		if len(raw) > MaxLineBytes {
			errs = append(errs, fmt.Errorf("%s: line longer than %d bytes", where, MaxLineBytes))
			continue
		}
		text := strings.TrimSpace(stripComment(string(raw)))
		switch {
		case text == "":
		case text[0] == '[':
			next, err := parsed.open(text, where)
			if err != nil {
				errs = append(errs, err)
			}
			current = next
		default:
			l, err := parseLine(text, where)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			current.lines = append(current.lines, l)
		}
	}
	return parsed, errs
}

// isText tells text from a binary read by mistake.
func isText(raw []byte) bool {
	if !utf8.Valid(raw) {
		return false
	}
	for _, b := range raw {
		if b < ' ' && b != '\t' && b != '\r' || b == 0x7f {
			return false
		}
	}
	return true
}

// stripComment cuts at a # that begins the line or follows white space, so
// that passwords and URLs may hold one.
func stripComment(s string) string {
	for i := range len(s) {
		if s[i] == '#' && (i == 0 || s[i-1] == ' ' || s[i-1] == '\t') {
			return s[:i]
		}
	}
	return s
}

var errQuotes = errors.New("quotes are not removed from values; write the value without them")

func parseLine(text, where string) (line, error) {
	name, value, ok := strings.Cut(text, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	switch {
	case !ok && !strings.ContainsAny(name, " \t"):
		return line{}, fmt.Errorf("%s: %q has no value; write %s = value (a switch: %s = true)", where, name, strings.TrimLeft(name, "-"), strings.TrimLeft(name, "-"))
	case !ok:
		return line{}, fmt.Errorf("%s: expected name = value, [pool NAME] or # comment", where)
	case name == "":
		return line{}, fmt.Errorf("%s: no name before the =", where)
	case strings.HasPrefix(name, "-"):
		return line{}, fmt.Errorf("%s: names have no dashes before them here; write %s", where, strings.TrimLeft(name, "-"))
	}
	if n := len(value); n >= 2 && value[0] == value[n-1] && (value[0] == '"' || value[0] == '\'') {
		return line{}, fmt.Errorf("%s: %s: %w", where, name, errQuotes)
	}
	return line{name, value, where}, nil
}

// open starts a section. After an error the lines that follow go to a section
// nobody reads, so that one wrong header is one error.
func (f *file) open(text, where string) (*section, error) {
	ignored := &section{}
	if !strings.HasSuffix(text, "]") {
		return ignored, fmt.Errorf("%s: section without its ]; write [pool NAME]", where)
	}
	words := strings.Fields(text[1 : len(text)-1])
	if len(words) != 2 || words[0] != "pool" {
		return ignored, fmt.Errorf("%s: unknown section %s; write [pool NAME]", where, text)
	}
	name := words[1]
	if !validPoolName(name) {
		return ignored, fmt.Errorf("%s: pool name %q: use 1 to 32 of a-z, 0-9, - and _, beginning with a letter or digit", where, name)
	}
	for _, other := range f.sections {
		if other.name == name {
			return ignored, fmt.Errorf("%s: pool %s is already at %s; join the two sections", where, name, other.where)
		}
	}
	if len(f.sections) == MaxPools {
		return ignored, fmt.Errorf("%s: more than %d pools; run a second process", where, MaxPools)
	}
	f.sections = append(f.sections, section{name: name, where: where})
	return &f.sections[len(f.sections)-1], nil
}

// validPoolName keeps names fit for Redis keys and metric labels.
func validPoolName(name string) bool {
	if len(name) == 0 || len(name) > 32 || name[0] == '-' || name[0] == '_' {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}
