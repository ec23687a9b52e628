package daemon

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

const (
	// maxCalls to one daemon at a time. A pool makes one poll a second and a few calls per block; more
	// than this means the daemon has stopped answering, and piling up helps nobody.
	maxCalls = 8
	// keepAlive finds a connection whose other end vanished; quarter of a minute is what a feed that
	// is silent between blocks costs in packets.
	keepAlive = 15 * time.Second
	// idleConn outlives the longest time between two polls, so that a poll needs no new connection;
	// links that a burst of calls opened are closed by it.
	idleConn = 90 * time.Second
	// maxHeader bounds the bytes of an answer's header, of which a digest challenge is the longest
	// line; net/http by itself takes 10 MB.
	maxHeader = 16 << 10
	// maxAttempts at one call: a fresh connection gets a digest challenge, and one that the daemon
	// had closed in between gets another.
	maxAttempts = 3
)

// caller makes JSON-RPC calls to one daemon.
//
// Each call runs on a link: an HTTP client with one connection of its own. monerod's digest nonces
// are bound to the connection that got them, so a shared connection pool would answer 401 whenever
// two calls overlap. Links are reused, newest first.
type caller struct {
	url         *url.URL
	name        string // host:port
	user, pass  string // empty = no login
	maxResponse int64
	tls         *tls.Config   // nil unless the URL is https
	links       chan *link    // idle ones
	slots       chan struct{} // taken by running calls, maxCalls of them
}

type link struct {
	http      *http.Client
	transport *http.Transport
	digest    digest
}

func newCaller(e Endpoint, maxResponse int64) (*caller, error) {
	u, err := e.rpcURL()
	if err != nil {
		return nil, err
	}
	c := &caller{url: u, name: u.Host, maxResponse: maxResponse,
		links: make(chan *link, maxCalls), slots: make(chan struct{}, maxCalls)}
	if u.Scheme == "https" {
		c.tls = e.Trust.config(u.Hostname())
	}
	if e.Login != "" {
		if c.user, c.pass, err = splitLogin(e.Login); err != nil {
			return nil, fmt.Errorf("daemon %s: login: %w", c.name, err)
		}
	}
	return c, nil
}

func (c *caller) newLink() *link {
	t := &http.Transport{
		Proxy:                  nil, // a daemon is never behind the machine's web proxy
		DialContext:            (&net.Dialer{KeepAlive: keepAlive}).DialContext,
		TLSClientConfig:        c.tls,
		MaxConnsPerHost:        1,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        idleConn,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // a small compressed answer must not unfold into a large one
	}
	return &link{transport: t, http: &http.Client{
		Transport: t,
		// A daemon does not redirect; whoever answers so is not one.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// close drops idle connections. Calls still running end with their contexts.
func (c *caller) close() {
	for {
		select {
		case l := <-c.links:
			l.transport.CloseIdleConnections()
		default:
			return
		}
	}
}

// call makes one JSON-RPC 2.0 call and returns its raw result. params may be nil. The error, if
// any, is an *Error with the daemon's name.
func (c *caller) call(ctx context.Context, timeout time.Duration, method string, params any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	result, err := c.try(ctx, method, params)
	if err != nil {
		err.Daemon, err.Method = c.name, method
		return nil, err
	}
	return result, nil
}

// named puts the daemon and method into a decoder's error.
func (c *caller) named(method string, err *Error) error {
	if err == nil {
		return nil
	}
	err.Daemon, err.Method = c.name, method
	return err
}

func (c *caller) try(ctx context.Context, method string, params any) (json.RawMessage, *Error) {
	body, err := json.Marshal(struct {
		Version string `json:"jsonrpc"`
		ID      string `json:"id"`
		Method  string `json:"method"`
		Params  any    `json:"params,omitempty"`
	}{"2.0", "0", method, params})
	if err != nil {
		return nil, fault(KindMalformed, "encode request: %w", err)
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, fault(KindTimeout, "%d calls already waiting for this daemon", maxCalls)
	}
	var l *link
	select {
	case l = <-c.links:
	default:
		l = c.newLink()
	}
	defer func() {
		select {
		case c.links <- l:
		default: // cannot be full: as many links as slots
			l.transport.CloseIdleConnections()
		}
	}()
	return c.exchange(ctx, l, body)
}

// exchange posts body, answering a digest challenge when there is one: a new connection costs one
// extra round trip, and a connection that the daemon closed between calls one more.
func (c *caller) exchange(ctx context.Context, l *link, body []byte) (json.RawMessage, *Error) {
	for attempt := 1; ; attempt++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url.String(), bytes.NewReader(body))
		if err != nil {
			return nil, fault(KindUnreachable, "%w", err)
		}
		req.Header.Set("Content-Type", "application/json")
		if c.user != "" && l.digest.ready() {
			req.Header.Set("Authorization", l.digest.authorize(c.user, c.pass, req.Method, c.url.RequestURI()))
		}
		resp, err := l.http.Do(req)
		if err != nil {
			return nil, c.transportFault(err)
		}
		answer, ferr := c.read(resp)
		switch {
		case ferr != nil:
			return nil, ferr
		case resp.StatusCode == http.StatusUnauthorized:
			if c.user == "" {
				return nil, httpFault(KindAuth, resp.StatusCode, "the daemon wants a login (its --rpc-login)")
			}
			if !l.digest.challenge(resp.Header.Values("Www-Authenticate")) {
				return nil, httpFault(KindAuth, resp.StatusCode, "no digest challenge with MD5 and qop=auth offered")
			}
			if attempt == maxAttempts {
				l.digest.reset()
				return nil, httpFault(KindAuth, resp.StatusCode, "login refused")
			}
		case resp.StatusCode != http.StatusOK:
			return nil, httpFault(KindHTTP, resp.StatusCode, resp.Status)
		default:
			return decodeEnvelope(answer)
		}
	}
}

// read takes the whole body, so that the connection can be used again, up to the limit.
func (c *caller) read(resp *http.Response) ([]byte, *Error) {
	defer resp.Body.Close()
	if resp.ContentLength > c.maxResponse {
		return nil, fault(KindTooLarge, "answer of %d bytes, limit %d", resp.ContentLength, c.maxResponse)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, c.maxResponse+1))
	if err != nil {
		return nil, c.transportFault(err)
	}
	if int64(len(b)) > c.maxResponse {
		return nil, fault(KindTooLarge, "answer exceeds %d bytes", c.maxResponse)
	}
	return b, nil
}

func httpFault(k Kind, code int, text string) *Error {
	e := fault(k, "http %d: %s", code, text)
	e.Code = code
	return e
}

// transportFault says what kept the answer away, with the way to the flag where Go's words have none.
func (c *caller) transportFault(err error) *Error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // the address is already in Error.Daemon
	}
	var ne net.Error
	var cert *untrusted
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &cert):
		return &Error{Kind: KindTLS, Err: err}
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return fault(KindTLS, "it does not speak TLS there (%w): write http:// in --daemon, or start it with --rpc-ssl enabled", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return &Error{Kind: KindTimeout, Err: err}
	case errors.Is(err, io.EOF) && c.url.Scheme == "http":
		return fault(KindUnreachable, "it hung up without an answer (%w); a daemon with --rpc-ssl enabled wants https:// in --daemon", err)
	}
	return &Error{Kind: KindUnreachable, Err: err}
}

// codeBusy is monerod's CORE_RPC_ERROR_CODE_CORE_BUSY: it is starting or syncing.
const codeBusy = -9

// decodeEnvelope takes the JSON-RPC frame off.
func decodeEnvelope(answer []byte) (json.RawMessage, *Error) {
	var e struct {
		Version string          `json:"jsonrpc"`
		Result  json.RawMessage `json:"result"`
		Error   *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := strictUnmarshal(answer, &e); err != nil {
		return nil, err
	}
	switch {
	case e.Error != nil:
		f := fault(KindRPC, "%.200q (code %d)", e.Error.Message, e.Error.Code)
		f.Code = e.Error.Code
		if e.Error.Code == codeBusy {
			f.Kind = KindBusy
		}
		return nil, f
	case e.Version != "2.0":
		return nil, fault(KindMalformed, "not JSON-RPC 2.0 (jsonrpc %.20q)", e.Version)
	case len(e.Result) == 0 || string(e.Result) == "null":
		return nil, fault(KindMalformed, "neither result nor error")
	}
	return e.Result, nil
}

// strictUnmarshal refuses wrong types, fractions and overflow for integers, and trailing bytes.
// Fields that are not asked for are let through: daemons gain fields with every release.
func strictUnmarshal(b []byte, to any) *Error {
	if err := json.Unmarshal(b, to); err != nil {
		return fault(KindMalformed, "%w", err)
	}
	return nil
}

// answerStatus is part of every monerod result.
type answerStatus struct {
	Status    *string `json:"status"`
	Untrusted bool    `json:"untrusted"`
}

// check accepts "OK" from the daemon itself only: untrusted answers are relayed from another
// daemon (--bootstrap-daemon-address) while this one is not synchronised.
func (a *answerStatus) check() *Error {
	switch {
	case a.Status == nil:
		return fault(KindMalformed, "status is missing")
	case *a.Status == "BUSY":
		return fault(KindBusy, "status BUSY")
	case *a.Status != "OK":
		return fault(KindRPC, "status %.100q", *a.Status)
	case a.Untrusted:
		return fault(KindNotSynced, "answer relayed from a bootstrap daemon")
	}
	return nil
}
