package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// windowBytes is what a reader has of a file in memory; a record that is longer,
// which only a block can be, gets memory of its own.
const windowBytes = 64 << 10

// window reads frames from a file. Nothing a file says makes it take memory
// before a checksum has agreed.
type window struct {
	f     io.ReaderAt
	salt  uint64
	delta uint64   // turns an offset into a position, modulo 2^64
	limit Position // bytes from here on are not read
	at    Position // of buf[0]
	buf   []byte
	long  []byte // the payload of a record that is longer than the window
}

// offset is where a position is in the file.
func (w *window) offset(at Position) int64 { return int64(uint64(at) - w.delta) }

// bytes are the n bytes from a position on; fewer if the file ends, n is at most
// windowBytes and within the limit. They are valid until the next call.
func (w *window) bytes(at Position, n int) ([]byte, error) {
	if at < w.at || at+Position(n) > w.at+Position(len(w.buf)) {
		if err := w.fill(at); err != nil {
			return nil, err
		}
	}
	i := int(at - w.at)
	return w.buf[i:min(i+n, len(w.buf))], nil
}

// fill reads the window that begins at a position.
func (w *window) fill(at Position) error {
	if w.buf == nil {
		w.buf = make([]byte, 0, windowBytes)
	}
	w.at = at
	n, err := w.f.ReadAt(w.buf[:min(windowBytes, uint64(w.limit-at))], w.offset(at))
	w.buf = w.buf[:n]
	if isEOF(err) {
		err = nil
	}
	return err
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// frame reads the record at a position: its payload, valid until the next call,
// and where it ends. ok is false if there is no record there. The error is the
// disk's.
func (w *window) frame(at Position) (payload []byte, end Position, ok bool, err error) {
	room := uint64(w.limit - at)
	if room <= frameHead {
		return nil, 0, false, nil
	}
	head, err := w.bytes(at, frameHead)
	if err != nil || len(head) < frameHead {
		return nil, 0, false, err
	}
	mix := mixed(w.salt, at)
	n := lengthAt(mix, head)
	sum := binary.LittleEndian.Uint32(head[4:])
	size := uint64(headOf(n)) + uint64(n)
	if n == 0 || n > maxRecord || size > room {
		return nil, 0, false, nil
	}
	if n > shortRecord {
		return w.longFrame(at, mix, n, sum)
	}
	b, err := w.bytes(at, int(size))
	if err != nil || uint64(len(b)) < size {
		return nil, 0, false, err
	}
	payload = b[frameHead:]
	if crc32.Update(sumBegin(mix, n), castagnoli, payload) != sum {
		return nil, 0, false, nil
	}
	return payload, at + Position(size), true, nil
}

// longFrame reads a record whose length has a check of its own.
func (w *window) longFrame(at Position, mix uint64, n, sum uint32) (payload []byte, end Position, ok bool, err error) {
	head, err := w.bytes(at, longFrameHead)
	if err != nil || len(head) < longFrameHead || binary.LittleEndian.Uint32(head[frameHead:]) != lengthCheck(mix, n) {
		return nil, 0, false, err
	}
	begin := at + longFrameHead
	end = begin + Position(n)
	has := sumBegin(mix, n)
	for p := begin; p < end; {
		b, err := w.bytes(p, int(min(windowBytes, end-p)))
		if err != nil || len(b) == 0 {
			return nil, 0, false, err
		}
		has = crc32.Update(has, castagnoli, b)
		p += Position(len(b))
	}
	if has != sum {
		return nil, 0, false, nil
	}
	if n <= windowBytes {
		payload, err = w.bytes(begin, int(n))
		return payload, end, err == nil && len(payload) == int(n), err
	}
	if uint32(cap(w.long)) < n {
		w.long = make([]byte, n)
	}
	w.long = w.long[:n]
	if _, err := w.f.ReadAt(w.long, w.offset(begin)); err != nil && !isEOF(err) {
		return nil, 0, false, err
	}
	return w.long, end, true, nil
}

// search finds the first record at or behind a position; ok is false if there is
// none up to the limit.
func (w *window) search(from Position) (at Position, ok bool, err error) {
	for at = from; at+frameHead < w.limit; at++ {
		b, err := w.bytes(at, frameHead)
		if err != nil {
			return 0, false, err
		}
		if len(b) < frameHead {
			break
		}
		if n := lengthAt(mixed(w.salt, at), b); n == 0 || n > maxRecord {
			continue
		}
		if _, _, ok, err := w.frame(at); ok || err != nil {
			return at, ok, err
		}
	}
	return 0, false, nil
}
