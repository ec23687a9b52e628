package daemon

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"
)

// A publisher that sends what the library of the reference client would crash on.
func TestZMTPGarbage(t *testing.T) {
	greeting := "\xff" + strings.Repeat("\x00", 8) + "\x7f\x03\x00NULL" + strings.Repeat("\x00", 48)
	ready := "\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB"
	ready = "\x04" + string(rune(len(ready)-2)) + ready[2:]
	for name, c := range map[string]struct{ send, want string }{
		"message":        {greeting + ready + "\x00\x05hello", ""},
		"long message":   {greeting + ready + "\x02\x00\x00\x00\x00\x00\x00\x01\x00hello" + strings.Repeat("x", 251), ""},
		"two frames":     {greeting + ready + "\x01\x05hello\x00\x03abc", ""},
		"command first":  {greeting + ready + "\x04\x05\x04PING\x00\x05hello", ""},
		"frame of 2^63":  {greeting + ready + "\x02\xff\xff\xff\xff\xff\xff\xff\xff", "limit"},
		"truncated":      {greeting + ready + "\x00\x05he", "EOF"},
		"router":         {greeting + "\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER", `a "ROUTER" socket`},
		"no socket type": {greeting + "\x04\x06\x05READY", "not a publisher"},
		"http":           {"HTTP/1.1 400 Bad Request\r\n\r\n" + strings.Repeat("x", 64), "not a ZMTP 3"},
		"old version":    {strings.Replace(greeting, "\x7f\x03", "\x7f\x01", 1), "not a ZMTP 3"},
		"curve":          {strings.Replace(greeting, "NULL\x00", "CURVE", 1), "CURVE"},
		"half greeting":  {greeting[:20], "EOF"},
		"no ready":       {greeting + "\x00\x01x", "no READY"},
		"error":          {greeting + "\x04\x07\x05ERROR\x00", "instead of READY"},
		"ready too long": {greeting + "\x06\x00\x00\x00\x00\x00\x01\x00\x00", "no READY"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			served := make(chan struct{})
			go func() {
				defer close(served)
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				conn.Write([]byte(c.send))
				conn.(*net.TCPConn).CloseWrite()
				buf := make([]byte, 512)
				for { // until the client closes
					if _, err := conn.Read(buf); err != nil {
						return
					}
				}
			}()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			z, err := dialZMTP(ctx, l.Addr().String(), topicBlock)
			var msg []byte
			if err == nil {
				msg, err = z.next()
				z.Close()
			}
			<-served
			if c.want == "" {
				if err != nil || !strings.HasPrefix(string(msg), "hello") {
					t.Fatalf("message %q, error %v", msg, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
		})
	}
}
