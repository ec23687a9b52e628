package hashline

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/assay-pool/assay/native/cryptonight"
)

// Limits.
const (
	// MaxLine is the longest line in bytes: an input of 128 KiB less a little,
	// where a hashing blob has less than 200 bytes and the longest public vector
	// 10,000.
	MaxLine = 256 << 10
	// MaxBatch is the most lines held before they are hashed: what the widest
	// kernel runs in lockstep.
	MaxBatch = cryptonight.MaxWidth

	hashBytes = cryptonight.HashSize
)

// Hasher hashes a batch: len(lens) inputs of one key, one behind the other in in,
// to 32 bytes each of out.
type Hasher interface {
	Hash(key Key, in []byte, lens []uint32, out []byte) error
}

// LineError is what is wrong with a line, or with the lines of a batch.
type LineError struct {
	First, Last uint64 // counted from 1; equal for one line
	Err         error
}

// Error names the line.
func (e *LineError) Error() string {
	if e.First == e.Last {
		return fmt.Sprintf("line %d: %v", e.First, e.Err)
	}
	return fmt.Sprintf("lines %d to %d: %v", e.First, e.Last, e.Err)
}

// Unwrap is the fault without its place.
func (e *LineError) Unwrap() error { return e.Err }

// stream is one Run.
type stream struct {
	in   *bufio.Reader
	out  *bufio.Writer
	hash Hasher
	line uint64 // number of the line last read

	key         Key
	first, last uint64 // lines of the batch
	inputs      []byte
	lens        []uint32
	digests     [MaxBatch * hashBytes]byte
	text        [2*hashBytes + 1]byte
}

// Run hashes the lines of in and writes a hash a line to out: 64 lower-case hex
// digits. Blank lines and lines that begin with # give none. It ends at the
// first line that cannot be hashed, with a *LineError, and has then written the
// hashes of all lines before it: going on would leave answers that no longer
// stand beside their lines. Memory is bounded by MaxBatch lines of MaxLine.
func Run(ctx context.Context, in io.Reader, out io.Writer, hash Hasher) error {
	s := &stream{in: bufio.NewReaderSize(in, MaxLine), out: bufio.NewWriter(out), hash: hash}
	err := s.run(ctx)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	// What was good is answered, whatever ended the loop.
	if flushErr := s.flush(); flushErr != nil {
		return flushErr
	}
	return err
}

// run reads until the end, an error, or a line that is none.
func (s *stream) run(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stopped after line %d: %w", s.line, err)
		}
		if len(s.lens) > 0 && !s.waiting() {
			if err := s.flush(); err != nil {
				return err
			}
		}
		line, err := s.read()
		if err != nil {
			return err
		}
		if line == "" || line[0] == '#' {
			continue
		}
		r, err := Parse(line)
		if err != nil {
			return &LineError{s.line, s.line, err}
		}
		if err := s.add(r); err != nil {
			return err
		}
	}
}

// waiting tells whether a whole line can be read without waiting for one.
func (s *stream) waiting() bool {
	held, err := s.in.Peek(s.in.Buffered())
	return err == nil && bytes.IndexByte(held, '\n') >= 0
}

// read gives the next line without its white space.
func (s *stream) read() (string, error) {
	raw, err := s.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", &LineError{s.line + 1, s.line + 1, fmt.Errorf("longer than %d bytes", MaxLine)}
	case errors.Is(err, io.EOF) && len(raw) > 0: // the last line has no end; the next read is the file's
	case errors.Is(err, io.EOF):
		return "", io.EOF
	case err != nil:
		return "", fmt.Errorf("read after line %d: %w", s.line, err)
	}
	s.line++
	return string(bytes.TrimSpace(raw)), nil
}

// add puts a request into the batch, after hashing the one it does not fit.
func (s *stream) add(r Request) error {
	if len(s.lens) == MaxBatch || len(s.lens) > 0 && r.Key != s.key {
		if err := s.flush(); err != nil {
			return err
		}
	}
	if len(s.lens) == 0 {
		s.key, s.first = r.Key, s.line
	}
	s.last = s.line
	s.inputs = append(s.inputs, r.Input...)
	s.lens = append(s.lens, uint32(len(r.Input)))
	return nil
}

// flush hashes the batch and writes it out.
func (s *stream) flush() error {
	if n := len(s.lens); n > 0 {
		inputs, lens, out := s.inputs, s.lens, s.digests[:n*hashBytes]
		s.inputs, s.lens = s.inputs[:0], s.lens[:0]
		if err := s.hash.Hash(s.key, inputs, lens, out); err != nil {
			return &LineError{s.first, s.last, err}
		}
		for ; len(out) > 0; out = out[hashBytes:] {
			hex.Encode(s.text[:], out[:hashBytes])
			s.text[2*hashBytes] = '\n'
			s.out.Write(s.text[:]) // its error comes with Flush
		}
	}
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("write hashes: %w", err)
	}
	return nil
}
