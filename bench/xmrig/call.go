package xmrig

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// message is a line from the pool, its fields unread.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method json.RawMessage `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// Response is an answer: a result or an error, and the id as it was written.
type Response struct {
	ID     json.RawMessage
	Result json.RawMessage // nil when there was an error
	Error  *Refusal        // nil when there was none

	job *Job // the first job, in the answer to a login
}

// request is a call that waits for its answer.
type request struct {
	login  bool
	answer chan *Response // room for one
}

// Call sends a request with any JSON id and any parameters, and waits for its
// answer. A pool's error is in the Response; err is a [*Violation], the
// context's error, or [ErrClosed]. After a critical error text the client has
// ended, as XMRig would have: the call has its answer, [Client.Err] the rule.
func (c *Client) Call(ctx context.Context, id json.RawMessage, method string, params any) (*Response, error) {
	envelope := struct {
		ID      json.RawMessage `json:"id"`
		Version string          `json:"jsonrpc"`
		Method  string          `json:"method"`
		Params  any             `json:"params"`
	}{id, "2.0", method, params}
	line, err := json.Marshal(envelope)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", method, err)
	}
	key := canonical(id)
	waiting := &request{login: method == "login", answer: make(chan *Response, 1)}
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return nil, c.err
	}
	if c.pending[key] != nil {
		c.mu.Unlock()
		return nil, fmt.Errorf("call %s: a request with id %s is waiting already", method, id)
	}
	c.pending[key] = waiting
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.pending, key)
		c.mu.Unlock()
	}()
	if err := c.Send(append(line, '\n')); err != nil {
		return nil, err
	}
	timeout := time.NewTimer(c.cfg.ResponseTimeout)
	defer timeout.Stop()
	select {
	case r := <-waiting.answer:
		return r, nil
	case <-timeout.C:
		c.fail(broken(RuleAnswer, "%s with id %s was not answered within %v", method, id, c.cfg.ResponseTimeout))
		return nil, c.Err()
	case <-c.done:
		select {
		case r := <-waiting.answer: // the answer came just before the end
			return r, nil
		default:
			return nil, c.Err()
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// call is Call with the next id of XMRig's sequence.
func (c *Client) call(ctx context.Context, method string, params any) (*Response, error) {
	c.mu.Lock()
	id := c.sequence
	c.sequence++
	c.mu.Unlock()
	return c.Call(ctx, json.RawMessage(fmt.Sprint(id)), method, params)
}

// answer hands an answer to whoever waits for its id.
func (c *Client) answer(m *message) error {
	r := &Response{ID: bytes.Clone(m.ID), Result: bytes.Clone(m.Result)}
	if refusal, err := parseError(m.Error); err != nil {
		return err
	} else if refusal != nil {
		r.Error, r.Result = refusal, nil
	}
	key := canonical(m.ID)
	c.mu.Lock()
	waiting := c.pending[key]
	var near string
	if waiting == nil {
		for other := range c.pending {
			if strings.Trim(other, `"`) == strings.Trim(key, `"`) {
				near = other
			}
		}
	}
	c.mu.Unlock()
	if near != "" {
		return broken(RuleID, "sent %s, answered %s", near, key)
	}
	var critical error
	if r.Error != nil && Critical(r.Error.Message) {
		critical = broken(RuleCritical, "%s", r.Error.Message)
	}
	if waiting == nil {
		offer(c, c.strays, r)
		return critical
	}
	if waiting.login && r.Error == nil {
		// Here and not in Login: the next line may be a job that must be
		// compared with this one.
		job, err := c.loggedIn(r.Result)
		if err != nil {
			return err
		}
		r.job = job
	}
	select {
	case waiting.answer <- r:
	default: // a second answer to one request; the first is what counts
		offer(c, c.strays, r)
	}
	return critical
}

// parseError reads an error object; null and none are no error.
func parseError(raw json.RawMessage) (*Refusal, error) {
	if raw == nil || string(raw) == "null" {
		return nil, nil
	}
	var fields struct {
		Code    json.RawMessage `json:"code"`
		Message json.RawMessage `json:"message"`
	}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, broken(RuleErrorMessage, "error %s is no object", show(raw))
	}
	message, ok := text(fields.Message)
	if !ok {
		return nil, broken(RuleErrorMessage, "error %s has no message", show(raw))
	}
	refusal := &Refusal{Message: message}
	if fields.Code != nil {
		if err := json.Unmarshal(fields.Code, &refusal.Code); err != nil {
			return nil, broken(RuleErrorMessage, "error code %s is no number", show(fields.Code))
		}
	}
	return refusal, nil
}

// canonical makes ids comparable: strings by content, the rest as written.
func canonical(id json.RawMessage) string {
	if s, ok := text(id); ok {
		quoted, err := json.Marshal(s)
		if err == nil {
			return string(quoted)
		}
	}
	if len(id) == 0 {
		return "null"
	}
	return string(bytes.TrimSpace(id))
}

// loginParams is XMRig's login.
type loginParams struct {
	Login string   `json:"login"`
	Pass  string   `json:"pass"`
	Agent string   `json:"agent"`
	RigID string   `json:"rigid,omitempty"`
	Algo  []string `json:"algo"`
}

// Login logs in and returns the first job. A refused login is a [*Violation]
// of RuleLoginRefused (or RuleCritical) that wraps nothing: XMRig cannot mine.
func (c *Client) Login(ctx context.Context) (*Job, error) {
	params := loginParams{Login: c.cfg.Login, Pass: c.cfg.Pass, Agent: c.cfg.Agent, RigID: c.cfg.RigID}
	for _, id := range c.cfg.Algos {
		params.Algo = append(params.Algo, id.String())
	}
	r, err := c.call(ctx, "login", params)
	if err != nil {
		return nil, err
	}
	if r.Error != nil {
		if Critical(r.Error.Message) {
			<-c.done // the reader hands the answer over and then ends the client
			return nil, c.Err()
		}
		c.fail(broken(RuleLoginRefused, "%s (%d)", r.Error.Message, r.Error.Code))
		return nil, c.Err()
	}
	return r.job, nil
}

// loggedIn reads a login result.
func (c *Client) loggedIn(raw json.RawMessage) (*Job, error) {
	var result struct {
		ID         json.RawMessage   `json:"id"`
		Status     json.RawMessage   `json:"status"`
		Job        json.RawMessage   `json:"job"`
		Extensions []json.RawMessage `json:"extensions"`
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		return nil, broken(RuleLoginID, "login result %s: %v", show(raw), err)
	}
	id, ok := text(result.ID)
	if !ok || id == "" {
		return nil, broken(RuleLoginID, "login error code: 1: id %s", show(result.ID))
	}
	if status, _ := text(result.Status); status != "OK" {
		return nil, broken(RuleStatus, "login result status %s", show(result.Status))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rpcID = id
	for _, extension := range result.Extensions {
		if name, ok := text(extension); ok {
			c.extensions[name] = true
		}
	}
	job, err := ParseJob(result.Job, c.cfg.Algos, c.extensions["nicehash"])
	if err != nil {
		return nil, err
	}
	c.last = job
	return job, nil
}

// Submit sends a share as XMRig does: nil is accepted, a [*Refusal] is what
// the pool said against it.
func (c *Client) Submit(ctx context.Context, job *Job, nonce [4]byte, result [32]byte) error {
	params := map[string]string{
		"id": c.ID(), "job_id": job.ID,
		"nonce": hex.EncodeToString(nonce[:]), "result": hex.EncodeToString(result[:]),
	}
	if c.Has("algo") {
		params["algo"] = job.Algo.String()
	}
	r, err := c.call(ctx, "submit", params)
	if err != nil {
		return err
	}
	return c.statusOK("submit", r)
}

// ErrNoKeepAlive tells that the pool did not offer the extension.
var ErrNoKeepAlive = errors.New("the pool's login result has no keepalive extension")

// KeepAlive sends keepalived, as XMRig does after a minute without a line.
func (c *Client) KeepAlive(ctx context.Context) error {
	if !c.Has("keepalive") {
		return ErrNoKeepAlive
	}
	r, err := c.call(ctx, "keepalived", map[string]string{"id": c.ID()})
	if err != nil {
		return err
	}
	if r.Error != nil {
		return r.Error
	}
	return nil
}

// statusOK reads the result of a submit.
func (c *Client) statusOK(method string, r *Response) error {
	if r.Error != nil {
		return r.Error
	}
	var result struct {
		Status json.RawMessage `json:"status"`
	}
	if err := json.Unmarshal(r.Result, &result); err == nil {
		if status, _ := text(result.Status); status == "OK" {
			return nil
		}
	}
	err := broken(RuleStatus, "%s result %s", method, show(r.Result))
	c.fail(err)
	return err
}
