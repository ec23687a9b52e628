package daemon

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
)

// digest is the client side of HTTP digest authentication (RFC 7616) as monerod's --rpc-login asks
// for it: algorithm MD5, qop auth. MD5 is what the daemon offers, no choice of ours; on anything
// but loopback use https. Owned by its link.
type digest struct {
	realm, nonce, opaque string
	count                uint32 // requests made with this nonce
}

func (d *digest) ready() bool { return d.nonce != "" }
func (d *digest) reset()      { *d = digest{} }

// challenge takes the first usable one of the Www-Authenticate headers; monerod sends MD5 and
// MD5-sess side by side. False if there is none.
func (d *digest) challenge(headers []string) bool {
	for _, h := range headers {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(h), " ")
		if !strings.EqualFold(scheme, "Digest") {
			continue
		}
		p := digestParams(rest)
		if a := p["algorithm"]; a != "" && !strings.EqualFold(a, "MD5") {
			continue
		}
		if p["nonce"] == "" || !offersAuth(p["qop"]) || !quotable(p["realm"]) || !quotable(p["nonce"]) || !quotable(p["opaque"]) {
			continue
		}
		*d = digest{realm: p["realm"], nonce: p["nonce"], opaque: p["opaque"]}
		return true
	}
	return false
}

// authorize gives the header value for one request. Each use of a nonce counts up.
func (d *digest) authorize(user, pass, method, uri string) string {
	d.count++
	var c [8]byte
	rand.Read(c[:]) // never fails since Go 1.24
	return d.header(user, pass, method, uri, hex.EncodeToString(c[:]))
}

func (d *digest) header(user, pass, method, uri, cnonce string) string {
	nc := fmt.Sprintf("%08x", d.count)
	ha1 := md5Hex(user + ":" + d.realm + ":" + pass)
	ha2 := md5Hex(method + ":" + uri)
	response := md5Hex(strings.Join([]string{ha1, d.nonce, nc, cnonce, "auth", ha2}, ":"))
	h := fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", algorithm=MD5, response="%s", qop=auth, nc=%s, cnonce="%s"`,
		user, d.realm, d.nonce, uri, response, nc, cnonce)
	if d.opaque != "" {
		h += `, opaque="` + d.opaque + `"`
	}
	return h
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// quotable refuses what would break out of a quoted string of the header we send back, or make it
// a header that may not be sent.
func quotable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '"' || r == '\\' })
}

func offersAuth(qop string) bool {
	for _, q := range strings.Split(qop, ",") {
		if strings.EqualFold(strings.TrimSpace(q), "auth") {
			return true
		}
	}
	return false
}

// digestParams reads key=value and key="value" pairs separated by commas; keys lower case.
func digestParams(s string) map[string]string {
	p := make(map[string]string)
	for s != "" {
		key, rest, ok := strings.Cut(s, "=")
		if !ok {
			return p
		}
		var val string
		if strings.HasPrefix(rest, `"`) {
			if val, rest, ok = strings.Cut(rest[1:], `"`); !ok {
				return p
			}
			_, s, _ = strings.Cut(rest, ",")
		} else {
			val, s, _ = strings.Cut(rest, ",")
			val = strings.TrimSpace(val)
		}
		p[strings.ToLower(strings.Trim(key, " \t,"))] = val
	}
	return p
}
