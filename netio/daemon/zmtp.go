package daemon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// A ZMTP 3.0 subscriber (rfc.zeromq.org/spec/23), as much of it as a notice needs: NULL security,
// SUB socket, receive only. What a message says is not kept: only the topic at its start is looked
// at, the rest is skipped, so that a message of any length costs no memory.
//
//	greeting, 64 bytes:  FF 00×8 7F | major minor | mechanism[20] | as-server | 00×31
//	frame:               flags | length: 1 byte, or 8 big-endian if flags&LONG | body
//	READY command body:  05 "READY" then (name length[1] name value length[4] value)…
//	subscription:        a message 01 topic
const (
	zmtpGreeting = 64
	flagMore     = 1
	flagLong     = 2
	flagCommand  = 4

	// maxFrame a publisher may announce; a notice of a block or a transaction is below 1 KiB.
	// Beyond this the stream is taken for garbage.
	maxFrame = 4 << 20
	// maxReady bounds the peer's READY command, the only frame that is kept.
	maxReady = 1024
	// maxTopic is how much of a message's start is looked at: more than the longest topic.
	maxTopic = 64
	// zmtpHandshake is the time a publisher gets to shake hands. A live one needs milliseconds; a
	// port that takes the connection and says nothing is found out by it.
	zmtpHandshake = 10 * time.Second
)

type zmtpConn struct {
	net.Conn
	r *bufio.Reader
}

// dialZMTP connects, shakes hands and subscribes.
func dialZMTP(ctx context.Context, addr string, topics ...string) (*zmtpConn, error) {
	// Keep-alive finds a publisher whose machine vanished; an idle feed is normal.
	conn, err := (&net.Dialer{Timeout: zmtpHandshake, KeepAlive: keepAlive}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	z := &zmtpConn{Conn: conn, r: bufio.NewReaderSize(conn, 4096)}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := z.handshake(topics); err != nil {
		conn.Close()
		return nil, fmt.Errorf("zmtp handshake: %w", err)
	}
	return z, nil
}

func (z *zmtpConn) handshake(topics []string) error {
	if err := z.SetDeadline(time.Now().Add(zmtpHandshake)); err != nil {
		return err
	}
	var out bytes.Buffer
	greeting := [zmtpGreeting]byte{0: 0xff, 9: 0x7f, 10: 3}
	copy(greeting[12:32], "NULL")
	out.Write(greeting[:])
	ready := []byte("\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB")
	out.Write([]byte{flagCommand, byte(len(ready))})
	out.Write(ready)
	if _, err := z.Write(out.Bytes()); err != nil {
		return err
	}
	var peer [zmtpGreeting]byte
	if _, err := io.ReadFull(z.r, peer[:]); err != nil {
		return err
	}
	mechanism := string(bytes.TrimRight(peer[12:32], "\x00"))
	if peer[0] != 0xff || peer[9]&1 != 1 || peer[10] < 3 || mechanism != "NULL" {
		return fmt.Errorf("not a ZMTP 3 publisher without security (version %d, mechanism %q); is this the daemon's --zmq-pub address?", peer[10], mechanism)
	}
	flags, size, err := z.frame()
	if err != nil {
		return err
	}
	if flags&flagCommand == 0 || size > maxReady {
		return errors.New("no READY command")
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(z.r, body); err != nil {
		return err
	}
	if !bytes.HasPrefix(body, []byte("\x05READY")) {
		return fmt.Errorf("command %.40q instead of READY", body)
	}
	// A daemon's other ZMQ port (--zmq-rpc-bind-port) shakes hands as well, and then never says a word.
	if kind := socketType(body[len("\x05READY"):]); kind != "PUB" && kind != "XPUB" {
		return fmt.Errorf("a %q socket, not a publisher; is this the daemon's --zmq-pub address?", kind)
	}
	out.Reset()
	for _, t := range topics {
		out.Write([]byte{0, byte(1 + len(t)), 1})
		out.WriteString(t)
	}
	if _, err := z.Write(out.Bytes()); err != nil {
		return err
	}
	return z.SetDeadline(time.Time{})
}

// socketType finds the property of that name in a READY command; "" when there is none.
func socketType(properties []byte) string {
	for len(properties) > 0 {
		n := int(properties[0])
		if len(properties) < 1+n+4 {
			return ""
		}
		name, rest := string(properties[1:1+n]), properties[1+n:]
		size := binary.BigEndian.Uint32(rest)
		if rest = rest[4:]; uint64(size) > uint64(len(rest)) {
			return ""
		}
		if strings.EqualFold(name, "Socket-Type") {
			return string(rest[:size])
		}
		properties = rest[size:]
	}
	return ""
}

// frame reads one frame's header.
func (z *zmtpConn) frame() (flags byte, size uint64, err error) {
	if flags, err = z.r.ReadByte(); err != nil {
		return 0, 0, err
	}
	if flags&flagLong == 0 {
		b, err := z.r.ReadByte()
		return flags, uint64(b), err
	}
	var long [8]byte
	if _, err := io.ReadFull(z.r, long[:]); err != nil {
		return 0, 0, err
	}
	size = binary.BigEndian.Uint64(long[:])
	if size > maxFrame {
		return 0, 0, fmt.Errorf("frame of %d bytes, limit %d", size, maxFrame)
	}
	return flags, size, nil
}

// next waits for one message and returns the start of its first frame, valid until the next call.
func (z *zmtpConn) next() ([]byte, error) {
	var start [maxTopic]byte
	got := -1
	for {
		flags, size, err := z.frame()
		if err != nil {
			return nil, err
		}
		if flags&flagCommand != 0 {
			if err := z.skip(size); err != nil {
				return nil, err
			}
			continue
		}
		if got < 0 {
			got = int(min(size, maxTopic))
			if _, err := io.ReadFull(z.r, start[:got]); err != nil {
				return nil, err
			}
			size -= uint64(got)
		}
		if err := z.skip(size); err != nil {
			return nil, err
		}
		if flags&flagMore == 0 {
			return start[:got], nil
		}
	}
}

func (z *zmtpConn) skip(n uint64) error {
	_, err := io.CopyN(io.Discard, z.r, int64(n))
	return err
}
