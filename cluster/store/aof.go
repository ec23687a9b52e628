package store

import (
	"bytes"
	"errors"
	"io"
)

// The append-only file of Redis is a row of commands, each
//
//	*<arguments>\r\n  ($<bytes>\r\n<bytes>\r\n) × arguments
//
// of which the first argument is the name, with "#…\r\n" annotations between
// them. What must happen together stands between MULTI and EXEC.
//
// redis-server's own reader takes more than it writes: it does not look at the
// CRLF behind an argument, nor at what stands behind a number. This one takes
// what redis-server writes, as redis-check-aof does.
const (
	// aofArgs and aofBytes bound what a header may claim. Redis' own default is
	// 512 MiB for a string, and no script passes more arguments.
	aofArgs  = 1 << 20
	aofBytes = 512 << 20
	// aofHeader bounds "*<digits>\r\n" within these.
	aofHeader = 16
	// aofNote bounds an annotation, as in redis-server.
	aofNote = 1024
	// aofWindow is how much of the file is in memory.
	aofWindow = 64 << 10
)

// verdict on the bytes at one offset.
type verdict uint8

const (
	whole verdict = iota
	torn          // the file ends in it, and could go on as a command
	bad           // no continuation makes it a command
)

// aofName is what matters of a command's name.
type aofName uint8

const (
	otherName aofName = iota
	multiName
	execName
)

// aofShape is what walkAOF found. 0 ≤ end ≤ bad ≤ size.
type aofShape struct {
	size int64
	// end is behind the last command that is complete and outside of an unfinished
	// MULTI: what may be kept.
	end int64
	// bad is where the first command starts that is not complete; size if all are.
	bad int64
	// torn: the command at bad is a beginning that the file's end cut short.
	torn bool
}

// openMulti: complete commands of a MULTI without an EXEC stand between end and bad.
func (s aofShape) openMulti() bool { return s.end < s.bad }

// errAOFUnclear: so much of the damaged part looks like commands that looking at
// all of it would cost more than linear work.
var errAOFUnclear = errors.New("much of what follows looks like commands")

// walkAOF reads commands from the start to the first one that is not complete.
// MULTI within MULTI and EXEC outside of it are damage: redis-server writes
// neither, but what it appended behind a MULTI that it left open reads so.
func walkAOF(r *aofReader) (aofShape, error) {
	s := aofShape{size: r.size}
	open := false
	for s.bad < s.size {
		name, next, v, err := r.command(s.bad)
		if err != nil {
			return s, err
		}
		if v == whole && (name == multiName && open || name == execName && !open) {
			v = bad
		}
		if v != whole {
			s.torn = v == torn
			return s, nil
		}
		switch name {
		case multiName:
			open = true
		case execName:
			open = false
		}
		s.bad = next
		if !open {
			s.end = next
		}
	}
	return s, nil
}

// aofReader reads an append-only file through a window.
type aofReader struct {
	src  io.ReaderAt
	size int64
	buf  []byte
	at   int64 // offset of buf[0]
	work int64 // headers looked at, and bytes read / 16
}

func newAOFReader(src io.ReaderAt, size int64) *aofReader {
	return &aofReader{src: src, size: size, buf: make([]byte, 0, aofWindow)}
}

// peek gives n ≤ aofWindow bytes at off, fewer at the file's end. They are valid
// until the next call.
func (r *aofReader) peek(off int64, n int) ([]byte, error) {
	n = int(min(int64(n), r.size-off))
	if n <= 0 {
		return nil, nil
	}
	if off < r.at || off+int64(n) > r.at+int64(len(r.buf)) {
		r.buf = r.buf[:min(aofWindow, r.size-off)]
		r.at = off
		r.work += int64(len(r.buf)) / 16
		if got, err := r.src.ReadAt(r.buf, off); got < len(r.buf) {
			r.buf = r.buf[:0]
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return r.buf[off-r.at:][:n], nil
}

// command judges the command or annotation at off; next is behind it if it is whole.
func (r *aofReader) command(off int64) (name aofName, next int64, v verdict, err error) {
	b, err := r.peek(off, 1)
	if err != nil {
		return 0, off, bad, err
	}
	if len(b) == 1 && b[0] == '#' {
		next, v, err = r.annotation(off)
		return otherName, next, v, err
	}
	args, next, v, err := r.header(off, '*', aofArgs)
	if err != nil || v != whole {
		return 0, off, v, err
	}
	if args == 0 {
		return 0, off, bad, nil
	}
	for i := range args {
		var length int64
		if length, next, v, err = r.header(next, '$', aofBytes); err != nil || v != whole {
			return 0, off, v, err
		}
		if i == 0 && (length == 4 || length == 5) {
			b, err := r.peek(next, int(length))
			if err != nil {
				return 0, off, bad, err
			}
			name = nameOf(b)
		}
		next += length
		if next >= r.size {
			return 0, off, torn, nil
		}
		b, err := r.peek(next, 2)
		if err != nil {
			return 0, off, bad, err
		}
		if v = lineEnd(b); v != whole {
			return 0, off, v, nil
		}
		next += 2
	}
	return name, next, whole, nil
}

func nameOf(b []byte) aofName {
	switch {
	case bytes.EqualFold(b, []byte("multi")):
		return multiName
	case bytes.EqualFold(b, []byte("exec")):
		return execName
	}
	return otherName
}

// header reads mark, a number of at most limit, and CRLF.
func (r *aofReader) header(off int64, mark byte, limit int64) (n, next int64, v verdict, err error) {
	r.work++
	b, err := r.peek(off, aofHeader)
	if err != nil {
		return 0, off, bad, err
	}
	if len(b) == 0 {
		return 0, off, torn, nil
	}
	if b[0] != mark {
		return 0, off, bad, nil
	}
	i := 1
	for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
		if i > 1 && n == 0 {
			return 0, off, bad, nil // "01"
		}
		if n = 10*n + int64(b[i]-'0'); n > limit {
			return 0, off, bad, nil
		}
	}
	if i == 1 && i < len(b) {
		return 0, off, bad, nil // no digit
	}
	return n, off + int64(i) + 2, lineEnd(b[i:]), nil
}

// lineEnd tells whether b, which is short at the file's end only, starts with CRLF.
func lineEnd(b []byte) verdict {
	switch {
	case len(b) >= 2 && b[0] == '\r' && b[1] == '\n':
		return whole
	case len(b) == 0 || len(b) == 1 && b[0] == '\r':
		return torn
	}
	return bad
}

// annotation reads "#" and printable text up to CRLF. One without its end is bad,
// not torn: redis-server would take it and append the next command to its line.
func (r *aofReader) annotation(off int64) (next int64, v verdict, err error) {
	b, err := r.peek(off, aofNote)
	if err != nil {
		return off, bad, err
	}
	for i, c := range b {
		if c == '\r' {
			if lineEnd(b[i:]) == whole {
				return off + int64(i) + 2, whole, nil
			}
			break
		}
		if c < ' ' || c > '~' {
			break
		}
	}
	return off, bad, nil
}

// follows gives the first offset from `from` on at which a whole command starts,
// -1 if there is none: then the damage reaches to the file's end. A value that
// looks like a command counts as one, so what a miner chose can keep the file
// from being cut and never the reverse.
//
// Commands that overlap could make it read every byte many times: it gives up
// with errAOFUnclear after work that is linear in what it looks through.
func (r *aofReader) follows(from int64) (int64, error) {
	limit := r.work + 2*(r.size-from) + aofWindow
	for off := from; off < r.size; off++ {
		b, err := r.peek(off, 1)
		if err != nil {
			return -1, err
		}
		if b[0] != '*' {
			// On to the window's next candidate.
			rest := r.buf[off-r.at:]
			if i := bytes.IndexByte(rest, '*'); i >= 0 {
				off += int64(i)
			} else {
				off += int64(len(rest)) - 1
				continue
			}
		}
		_, _, v, err := r.command(off)
		if err != nil {
			return -1, err
		}
		if v == whole {
			return off, nil
		}
		if r.work > limit {
			return off, errAOFUnclear
		}
	}
	return -1, nil
}
