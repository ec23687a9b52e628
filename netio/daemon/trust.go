package daemon

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxCAFile bounds a CA file: the whole of Debian's ca-certificates is a fifth of it.
const maxCAFile = 1 << 20

// Trust is whose certificates an https daemon may show. nil is the system's certificate
// authorities. monerod's own default is a certificate that it signs itself and that names no host:
// rpc_ssl.crt in its data folder, which can be given as CA file or by its fingerprint.
type Trust struct {
	roots *x509.CertPool
	exact [][]byte   // DER of the certificates of the CA file: one of them may be the daemon's own
	pins  [][32]byte // SHA-256 of certificates
}

// NewTrust reads a PEM file of certificates ("" = none) and SHA-256 fingerprints in hex, with or
// without colons. A daemon that shows a certificate of either kind, or one signed by one of the
// file's for its host name, is trusted, and no other one: the system's authorities do not count.
func NewTrust(caFile string, fingerprints []string) (*Trust, error) {
	t := &Trust{}
	for _, f := range fingerprints {
		raw, err := hex.DecodeString(strings.ReplaceAll(f, ":", ""))
		if err != nil || len(raw) != sha256.Size {
			return nil, fmt.Errorf("fingerprint %q is not the 64 hex digits of a SHA-256", f)
		}
		t.pins = append(t.pins, [32]byte(raw))
	}
	if caFile == "" {
		return t, nil
	}
	file, err := os.Open(caFile)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxCAFile+1))
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if len(text) > maxCAFile {
		return nil, fmt.Errorf("ca: %s is larger than %d bytes", caFile, maxCAFile)
	}
	t.roots = x509.NewCertPool()
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("ca: %s: certificate %d: %w", caFile, len(t.exact)+1, err)
		}
		t.roots.AddCert(cert)
		t.exact = append(t.exact, cert.Raw)
	}
	if len(t.exact) == 0 {
		return nil, fmt.Errorf("ca: %s holds no certificate (PEM)", caFile)
	}
	return t, nil
}

// config is TLS towards a host. The library's own check is replaced, not left out, because its error
// does not tell the fingerprint of what was shown.
func (t *Trust) config(host string) *tls.Config {
	return &tls.Config{
		ServerName:         host,
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 {
				return errors.New("the daemon shows no certificate")
			}
			if err := t.verify(host, cs.PeerCertificates); err != nil {
				return &untrusted{err, sha256.Sum256(cs.PeerCertificates[0].Raw)}
			}
			return nil
		},
	}
}

// untrusted is a certificate that was shown and refused.
type untrusted struct {
	err         error
	fingerprint [sha256.Size]byte
}

func (u *untrusted) Error() string {
	return fmt.Sprintf("certificate not trusted: %v; its SHA-256 is %x: if that is the daemon's own (monerod's is rpc_ssl.crt in its data folder; openssl x509 -noout -fingerprint -sha256 -in FILE), add fingerprint=%[2]x to --daemon",
		u.err, u.fingerprint)
}

func (u *untrusted) Unwrap() error { return u.err }

func (t *Trust) verify(host string, shown []*x509.Certificate) error {
	leaf := shown[0]
	options := x509.VerifyOptions{DNSName: host, Intermediates: x509.NewCertPool()}
	if t != nil {
		sum := sha256.Sum256(leaf.Raw)
		for _, pin := range t.pins {
			if pin == sum {
				return nil
			}
		}
		for _, raw := range t.exact {
			if bytes.Equal(raw, leaf.Raw) {
				return nil
			}
		}
		if t.roots == nil {
			return errors.New("it is none of the fingerprints given")
		}
		options.Roots = t.roots
	}
	for _, c := range shown[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := leaf.Verify(options)
	return err
}
