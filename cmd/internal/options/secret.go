package options

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
)

// MaxSecretBytes bounds the content of a secret's file; passwords and tokens
// are far shorter, so a longer file is the wrong file.
const MaxSecretBytes = 4096

// worldReadable is the permission bit that lets any user read a file.
const worldReadable = 0o004

// readSecret loads the file a secret flag names, if it names one.
func (s *Set) readSecret(f *Flags, flag *info) error {
	path := f.fs.Lookup(flag.name).Value.String()
	if path == "" {
		return nil
	}
	fail := func(err error) error { return fmt.Errorf("%s: %w", s.place(flag.name, flag.source), err) }
	file, err := os.Open(path)
	if err != nil {
		return fail(err)
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return fail(err)
	}
	if !stat.Mode().IsRegular() {
		return fail(fmt.Errorf("%s is not a regular file", path))
	}
	data, err := io.ReadAll(io.LimitReader(file, MaxSecretBytes+1))
	switch {
	case err != nil:
		return fail(err)
	case len(data) > MaxSecretBytes:
		return fail(fmt.Errorf("%s is longer than %d bytes; is this the right file?", path, MaxSecretBytes))
	case bytes.IndexByte(data, 0) >= 0:
		return fail(fmt.Errorf("%s holds a zero byte; it must be text", path))
	}
	text, odd := firstLine(string(data))
	if text == "" {
		return fail(fmt.Errorf("the first line of %s is empty", path))
	}
	if odd != "" {
		s.warn("%s: %s %s", s.place(flag.name, flag.source), path, odd)
	}
	if stat.Mode().Perm()&worldReadable != 0 {
		s.warn("%s: %s can be read by every user; run: chmod o-r %s", s.place(flag.name, flag.source), path, path)
	}
	*flag.secret = text
	return nil
}

// firstLine is a secret as editors write it: what they put around a line (a byte
// order mark, line ends of either kind) is no part of it. Anything else may be
// meant, so it is kept; odd then says what most likely is not.
func firstLine(content string) (text, odd string) {
	text, rest, _ := strings.Cut(strings.TrimPrefix(content, "\ufeff"), "\n")
	text = strings.TrimSuffix(text, "\r")
	switch {
	case strings.TrimSpace(rest) != "":
		odd = "has more than one line, and the first alone is the secret"
	case strings.TrimSpace(text) != text:
		odd = "has a blank at an end of its line, which is taken as it stands"
	}
	return text, odd
}
