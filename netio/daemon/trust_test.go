package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// daemonCert writes a server's certificate to a PEM file.
func daemonCert(t *testing.T, server *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(path, append([]byte("# a comment\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTrust(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"jsonrpc":"2.0","id":"0","result":{}}`))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what is tested
	server.StartTLS()
	defer server.Close()
	sum := sha256.Sum256(server.Certificate().Raw)
	pin := hex.EncodeToString(sum[:])
	var colons []string
	for i := 0; i < len(pin); i += 2 {
		colons = append(colons, strings.ToUpper(pin[i:i+2]))
	}
	other := strings.Repeat("ab", 32)
	ca := daemonCert(t, server)
	wrongName := strings.Replace(server.URL, "127.0.0.1", "localhost", 1) // the certificate names 127.0.0.1 and example.com
	for name, c := range map[string]struct {
		url   string
		trust func() (*Trust, error)
		want  string // in the error; "" = trusted
	}{
		"nothing known":               {server.URL, func() (*Trust, error) { return nil, nil }, "fingerprint=" + pin},
		"its fingerprint":             {server.URL, func() (*Trust, error) { return NewTrust("", []string{pin}) }, ""},
		"as openssl writes it":        {server.URL, func() (*Trust, error) { return NewTrust("", []string{strings.Join(colons, ":")}) }, ""},
		"one of two":                  {server.URL, func() (*Trust, error) { return NewTrust("", []string{other, pin}) }, ""},
		"another fingerprint":         {server.URL, func() (*Trust, error) { return NewTrust("", []string{other}) }, "none of the fingerprints"},
		"its authority":               {server.URL, func() (*Trust, error) { return NewTrust(ca, nil) }, ""},
		"itself, under another name":  {wrongName, func() (*Trust, error) { return NewTrust(ca, nil) }, ""},
		"authority and other pin":     {server.URL, func() (*Trust, error) { return NewTrust(ca, []string{other}) }, ""},
		"another name, nothing known": {wrongName, func() (*Trust, error) { return nil, nil }, "certificate not trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			trust, err := c.trust()
			if err != nil {
				t.Fatal(err)
			}
			call, err := newCaller(Endpoint{URL: c.url, Trust: trust}, DefaultMaxResponse)
			if err != nil {
				t.Fatal(err)
			}
			defer call.close()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_, err = call.call(ctx, time.Minute, "get_info", nil)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestTrustIsReadable(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct{ ca, fingerprint, want string }{
		"no such file":      {filepath.Join(dir, "none"), "", "no such file"},
		"no certificate":    {file("empty", "hello\n"), "", "holds no certificate"},
		"a key":             {file("key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "", "holds no certificate"},
		"damaged":           {file("bad", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "", "certificate 1"},
		"large":             {file("large", strings.Repeat("#", maxCAFile+1)), "", "larger than"},
		"short fingerprint": {"", "abcd", "64 hex digits"},
		"no hex":            {"", strings.Repeat("xy", 32), "64 hex digits"},
	} {
		t.Run(name, func(t *testing.T) {
			var fingerprints []string
			if c.fingerprint != "" {
				fingerprints = []string{c.fingerprint}
			}
			if _, err := NewTrust(c.ca, fingerprints); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
