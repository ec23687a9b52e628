package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/edwards25519"
	"golang.org/x/crypto/sha3"

	"github.com/assay-pool/assay/bench/xmrig"
	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// fault is an error answer as it stands on the wire.
func fault(id, text string) string {
	return fmt.Sprintf(`{"id":%s,"jsonrpc":"2.0","error":{"code":-1,"message":%q}}`+"\n", id, text)
}

// noise is something no miner sends.
type noise struct {
	name string
	send []string // in separate writes
	want string   // the whole answer
	open bool     // the node keeps the connection
}

const (
	notJSON = "Parse error: not a JSON object on one line"
	tooDeep = "Parse error: nested too deeply"
	tooLong = "Parse error: line too long"
	bitcoin = "This is a CryptoNote pool: Bitcoin's mining.* methods are not understood, use a miner with login and submit"
)

// allNoise has every kind of bad input that needs no session.
func allNoise() []noise {
	random := make([]byte, 3000)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(random) // never fails
	random[0] = 0xfe
	hello := append([]byte{0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3}, random[:194]...)
	one := func(line string) []string { return []string{line + "\n"} }
	method := func(name, params string) []string {
		return one(fmt.Sprintf(`{"id":1,"method":%q,"params":%s}`, name, params))
	}
	health := "Assay: this is a mining port and it is up. Connect a miner by stratum+tcp.\n"
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", len(health))
	list := []noise{
		{"binary noise", []string{string(random)}, fault("null", notJSON), false},
		{"TLS", []string{string(hello)}, "\x15\x03\x01\x00\x02\x02\x28", false},
		{"HTTP GET", []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n"}, head + health, false},
		{"HTTP GET in pieces", []string{"G", "ET / HT", "TP/1.1\r\nHost: x\r\n\r\n"}, head + health, false},
		{"HTTP HEAD", []string{"HEAD / HTTP/1.1\r\n\r\n"}, head, false},
		{"HTTP POST", []string{"POST / HTTP/1.1\r\n\r\n"}, fault("null", notJSON), false},
		{"half lines", []string{`{"id":1,"met`, `hod":"x"`, "}\n"}, fault("1", "Invalid method"), true},
		{"half a line and gone", []string{`{"id":1,"method":"log`}, "", false},
		{"empty lines", []string{"\n\r\n\n"}, "", true},
		{"blank lines and byte order marks", []string{" \t\r\n", "\xef", "\xbb\xbf\r\n\n"}, "", true},
		{"half a byte order mark", []string{"\xef\xbb", "{}\n"}, fault("null", notJSON), false},
		{"a line of 1 MB", []string{`{"id":1,"x":"` + strings.Repeat("a", 1<<20)}, fault("null", tooLong), false},
		{"1 MB without a line", []string{strings.Repeat(" ", 1<<20)}, fault("null", tooLong), false},
		{"deep lists", one(`{"id":1,"method":"login","params":` + strings.Repeat("[", 1500) + strings.Repeat("]", 1500) + `}`), fault("null", tooDeep), false},
		{"deep objects", one(strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500)), fault("null", tooDeep), false},
		{"broken JSON", one(`{"id":1,"method":"login",`), fault("null", notJSON), false},
		{"two objects", one(`{"id":1}{"id":2}`), fault("null", notJSON), false},
		{"a NUL", one("{\x00}"), fault("null", notJSON), false},
		{"a space and a list", one(` [1,2,3]`), fault("null", notJSON), false},
		{"no method", one(`{"id":1}`), fault("1", "Invalid request: no method"), true},
		{"method a number", one(`{"id":1,"method":5}`), fault("1", "Invalid request: no method"), true},
		{"unknown method", method("eth_submitLogin", `[]`), fault("1", "Invalid method"), true},
		{"mining.subscribe", method("mining.subscribe", `["cgminer"]`), fault("1", bitcoin), true},
		{"mining.authorize", method("mining.authorize", `["a","b"]`), fault("1", bitcoin), true},
		{"params a list", method("login", `["x"]`), fault("1", "Invalid request: params must be an object"), true},
		{"login without params", one(`{"id":1,"method":"login"}`), fault("1", "Invalid request: login is missing"), true},
		{"login a number", method("login", `{"login":5}`), fault("1", "Invalid request: a parameter has the wrong type"), true},
		{"login an object", method("login", `{"login":{"a":1}}`), fault("1", "Invalid request: a parameter has the wrong type"), true},
		{"login too long", method("login", `{"login":"`+strings.Repeat("4", 300)+`"}`), fault("1", "Invalid request: a parameter is too long"), true},
		{"password too long", method("login", `{"login":"`+walletA+`","pass":"`+strings.Repeat("4", 300)+`"}`), fault("1", "Invalid request: a parameter is too long"), true},
		{"password an object", method("login", `{"login":"`+walletA+`","pass":{}}`), fault("1", "Invalid request: a parameter has the wrong type"), true},
		{"rig a list", method("login", `{"login":"`+walletA+`","rigid":[7]}`), fault("1", "Invalid request: a parameter has the wrong type"), true},
		{"submit before login", method("submit", `{"id":"1","job_id":"1","nonce":"00000000","result":"00"}`), fault("1", "Unauthenticated"), true},
		{"submit of nothing", one(`{"id":1,"method":"submit"}`), fault("1", "Unauthenticated"), true},
		{"getjob before login", method("getjob", `{"id":"1"}`), fault("1", "Unauthenticated"), true},
		{"keepalived before login", method("keepalived", `{"id":"1"}`), fault("1", "Unauthenticated"), true},
		{"four faults", []string{strings.Repeat(`{"id":1,"method":"x"}`+"\n", 6)}, strings.Repeat(fault("1", "Invalid method"), 4), false},
	}
	for _, a := range badAddresses() {
		list = append(list, noise{"address: " + a.name, method("login", fmt.Sprintf(`{"login":%q}`, a.text)), fault("1", "Invalid address used for login"), true})
	}
	return list
}

// address is one that must be refused.
type address struct{ name, text string }

// badAddresses has one of every kind. All but the named flaw is right in each.
func badAddresses() []address {
	good := walletKeys()
	bad := func(change func(b []byte) []byte) string {
		return encodeAddress(change(bytes.Clone(good)))
	}
	var noPoint [32]byte
	for noPoint[0] = 2; ; noPoint[0]++ {
		if _, err := new(edwards25519.Point).SetBytes(noPoint[:]); err != nil {
			break
		}
	}
	last := walletA[:94]
	other := byte('2')
	if walletA[94] == other {
		other = '3'
	}
	return []address{
		{"one digit", "4"},
		{"words", "not an address"},
		{"a digit base58 has not", strings.Replace(walletA, "p", "0", 1)},
		{"checksum", last + string(other)},
		{"a digit short", last},
		{"a digit long", walletA + "1"},
		{"a block that overflows", strings.Repeat("z", 95)},
		{"testnet", daemontest.WalletTestnet},
		{"stagenet", daemontest.WalletStagenet},
		{"another coin's prefix", bad(func(b []byte) []byte { b[0] = 24; return b })},
		{"keys one byte short", bad(func(b []byte) []byte { return b[:64] })},
		{"spend key no point", bad(func(b []byte) []byte { copy(b[1:], noPoint[:]); return b })},
		{"view key no point", bad(func(b []byte) []byte { copy(b[33:], noPoint[:]); return b })},
		{"Bitcoin", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"},
		{"e-mail", "me@example.org"},
	}
}

// walletKeys is walletA without its checksum: prefix and two keys.
func walletKeys() []byte {
	keys := []byte{18}
	for _, digits := range []string{
		"6ef32b11189dc4aa4343a91fc52ad3547e57d861b707db65d6ada5b83c6c795d",
		"b75a42780f1043ca6db37ce7de894a6585fa6427bd0824941bed935788df009b",
	} {
		key, err := hex.DecodeString(digits)
		if err != nil {
			panic(err) // the digits are above
		}
		keys = append(keys, key...)
	}
	return keys
}

// encodeAddress appends the checksum and writes CryptoNote's base58: blocks of
// 8 bytes as 11 digits, big-endian, the rest as few digits as hold it.
func encodeAddress(b []byte) string {
	const digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	widths := [9]int{0, 2, 3, 5, 6, 7, 9, 10, 11}
	k := sha3.NewLegacyKeccak256()
	k.Write(b)
	b = append(b, k.Sum(nil)[:4]...)
	var text []byte
	for len(b) > 0 {
		n := min(8, len(b))
		var raw [8]byte
		copy(raw[8-n:], b[:n])
		b = b[n:]
		v := binary.BigEndian.Uint64(raw[:])
		block := make([]byte, widths[n])
		for i := len(block) - 1; i >= 0; i-- {
			block[i] = digits[v%58]
			v /= 58
		}
		text = append(text, block...)
	}
	return string(text)
}

// make sends the noise and returns what is wrong with the answer.
func (z noise) make(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var sent sync.WaitGroup
	defer sent.Wait()
	sent.Go(func() {
		for _, part := range z.send {
			if _, err := io.WriteString(conn, part); err != nil {
				return // the node may hang up in the middle
			}
		}
	})
	got := make([]byte, len(z.want))
	if n, err := io.ReadFull(conn, got); err != nil {
		return fmt.Errorf("answer %.200q, then %v; want %.200q", got[:n], err, z.want)
	}
	if string(got) != z.want {
		return fmt.Errorf("answer %.200q, want %.200q", got, z.want)
	}
	if z.want == "" && !z.open {
		return nil // nothing was asked: the test hangs up
	}
	if z.open {
		// Still there: it understands what comes next, to the end of the line.
		sent.Wait()
		if _, err := io.WriteString(conn, "\n"+`{"id":"still","method":"x"}`+"\n"); err != nil {
			return fmt.Errorf("the connection should live: %v", err)
		}
		all := make([]byte, 0, 4096)
		for want := fault(`"still"`, "Invalid method"); !bytes.Contains(all, []byte(want)); {
			n, err := conn.Read(all[len(all):cap(all)])
			if all = all[:len(all)+n]; err != nil {
				return fmt.Errorf("the connection should live: %v after %.200q", err, all)
			}
		}
		return nil
	}
	// Closed: an end, or a reset when bytes of ours were still unread.
	if n, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("after its answer the connection has %d more bytes, error %v; it should be closed", n, err)
	}
	return nil
}

// TestNoise: each bad input gets its documented answer, many rounds of all of
// them leave the node's memory flat, and an honest miner beside them sees
// nothing.
func TestNoise(t *testing.T) {
	if text := encodeAddress(walletKeys()); text != walletA {
		t.Fatalf("the test's own encoder writes %s for %s", text, walletA)
	}
	redis := redistest.Start(t)
	n := startNode(t, "--redis", redis.URL(), "--daemon", newFake(t, noBlocks).URL, "--listen", "127.0.0.1:0,diff=2")
	c, job := login(t, n.ports[0], walletA)
	c.share(job)
	list := allNoise()
	for _, z := range list {
		t.Run(z.name, func(t *testing.T) {
			if err := z.make(n.ports[0]); err != nil {
				t.Error(err)
			}
		})
	}
	// A session that sends what is bad only behind a login.
	for name, text := range map[string]string{"login again": "Already logged in: open another connection for another login"} {
		if r := c.call("50", "login", map[string]any{"login": walletB}); r.Error == nil || r.Error.Message != text {
			t.Errorf("%s: %+v", name, r.Error)
		}
	}
	guesser, theirs := login(t, n.ports[0], walletB)
	for i := range 5 { // the fifth job never issued ends the session
		r := guesser.call(fmt.Sprint(60+i), "submit", map[string]any{"id": guesser.ID(), "job_id": theirs.ID[:8] + "0000ffff", "nonce": "00000000", "result": strings.Repeat("0", 64)})
		if r.Error == nil || r.Error.Message != "Unknown job" {
			t.Errorf("a job never issued: %+v", r.Error)
		}
	}
	<-guesser.Done()
	var v *xmrig.Violation
	if err := guesser.Err(); !errors.As(err, &v) || v.Rule != xmrig.RuleOpen {
		t.Errorf("the session that guessed job ids ended with %v", err)
	}

	round := func(rounds int) {
		t.Helper()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range rounds {
					for _, z := range list {
						if err := z.make(n.ports[0]); err != nil {
							t.Errorf("%s: %v", z.name, err)
						}
					}
				}
			})
		}
		wg.Wait()
	}
	round(3) // buffers and pools grow to their size
	before := n.metrics().Sum("process_resident_memory_bytes", "", "")
	round(12)
	after := n.metrics().Sum("process_resident_memory_bytes", "", "")
	// 12 rounds of 4 send 96 MB in lines that are too long alone, over 2,400
	// connections; what any of them left behind would show.
	if grown := (after - before) / (1 << 20); before == 0 || grown > 48 {
		t.Errorf("resident memory grew by %.0f MiB, from %.0f MiB", grown, before/(1<<20))
	} else {
		t.Logf("resident memory %.0f MiB, then %+.1f MiB", before/(1<<20), grown)
	}
	c.share(job)
	n.wait("all other connections to be gone", func() error {
		if open := n.metric("assay_connections", "", ""); open != 1 {
			return fmt.Errorf("%v connections", open)
		}
		return nil
	})
	n.checkI1()
	n.stop()
	openBooks(t, redis.URL(), "default").equal([]told{{walletA, "default", 4, 2}})
}
