package e2e

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/bench/xmrig"
	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/native/algo"
)

// call sends a request and returns its answer.
func (c *client) call(id, method string, params any) *xmrig.Response {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := c.Call(ctx, json.RawMessage(id), method, params)
	if err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
	return r
}

// TestLoginResult: the fields of a login result and of a job, as XMRig and its
// kin read them; the client itself checks their form.
func TestLoginResult(t *testing.T) {
	fake := newFake(t, noBlocks)
	n := startNode(t, "--daemon", fake.URL, "--listen", "127.0.0.1:0,diff=2", "--listen", "127.0.0.1:0,diff=2500000,hidden")
	fields := func(raw json.RawMessage) (m map[string]any) {
		t.Helper()
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		return m
	}
	c := connect(t, xmrig.Config{Addr: n.ports[0]})
	r := c.call("1", "login", map[string]any{"login": walletA, "pass": "x", "agent": "XMRig/6.22.2", "algo": []string{"cn/0", "rx/0"}})
	result := fields(r.Result)
	if keys := slices.Sorted(maps.Keys(result)); !slices.Equal(keys, []string{"extensions", "id", "job", "status"}) {
		t.Errorf("a login result has the fields %v", keys)
	}
	if got := fmt.Sprintln(result["extensions"], result["status"]); got != "[algo keepalive] OK\n" {
		t.Errorf("extensions and status are %s", got)
	}
	job := result["job"].(map[string]any)
	want := map[string]any{"target": "ffffff7f", "algo": "rx/0", "height": 100.0, "seed_hash": genesis, "id": result["id"]}
	for name, value := range want {
		if job[name] != value {
			t.Errorf("the job's %s is %v, want %v", name, job[name], value)
		}
	}
	if keys := slices.Sorted(maps.Keys(job)); !slices.Equal(keys, []string{"algo", "blob", "height", "id", "job_id", "seed_hash", "target"}) {
		t.Errorf("a job has the fields %v", keys)
	}
	// The next epoch's seed, the block at height 2048, goes out once the daemon
	// tells it, and a getjob is answered with a job of its own.
	fake.SetHeight(2049)
	next := fake.Tip()
	fake.SetSeeds(seedOf(t, genesis), next, 0)
	fake.Extend(1)
	pushed := c.nextJob()
	for pushed.Height != 2050 {
		pushed = c.nextJob()
	}
	if pushed.NextSeed != next {
		t.Errorf("the pushed job has next seed %x, want %x", pushed.NextSeed, next)
	}
	asked := fields(c.call("2", "getjob", map[string]any{"id": result["id"]}).Result)
	if asked["next_seed_hash"] != hex.EncodeToString(next[:]) || asked["height"] != 2050.0 {
		t.Errorf("getjob was answered by %v", asked)
	}
	if r := c.call("3", "keepalived", map[string]any{"id": result["id"]}); string(r.Result) != `{"status":"KEEPALIVED"}` {
		t.Errorf("keepalived was answered by %s", r.Result)
	}

	for suffix, digits := range map[string]int{"": 16, "+999999": 8, "+1000000": 16, "+2": 8} {
		_, job := login(t, n.ports[1], walletA+suffix)
		if len(job.TargetHex) != digits {
			t.Errorf("suffix %q: the target %s has not %d digits", suffix, job.TargetHex, digits)
		}
		if want := map[string]uint64{"": 2500000, "+999999": 999999, "+1000000": 1000000, "+2": 2}[suffix]; digits == 16 && job.Difficulty() != want {
			t.Errorf("suffix %q: XMRig shows difficulty %d, want %d", suffix, job.Difficulty(), want)
		}
	}
	n.stop()
}

// TestRequestIDs: every JSON scalar comes back as it was sent; what is none, or
// too long to remember, comes back as null.
func TestRequestIDs(t *testing.T) {
	n := startNode(t, "--daemon", newFake(t, noBlocks).URL, "--listen", "127.0.0.1:0,diff=2")
	c, _ := login(t, n.ports[0], walletA)
	long := `"` + strings.Repeat("x", 63) + `"`
	for _, tt := range []struct{ sent, back string }{
		{`7`, `7`}, {`-1`, `-1`}, {`123456789012345678901234567890`, `123456789012345678901234567890`},
		{`1.5`, `1.5`}, {`1e3`, `1e3`}, {`true`, `true`}, {`false`, `false`}, {`null`, `null`}, {``, `null`},
		{`"a"`, `"a"`}, {`""`, `""`}, {`"a\"b\\"`, `"a\"b\\"`}, {`"ä€"`, `"ä€"`}, {long, `null`},
		{`[]`, `null`}, {`[1]`, `null`}, {`{}`, `null`}, {`{"a":1}`, `null`},
	} {
		id := ""
		if tt.sent != "" {
			id = `"id":` + tt.sent + `,`
		}
		line := fmt.Sprintf(`{%s"jsonrpc":"2.0","method":"keepalived","params":{"id":%q}}`+"\n", id, c.ID())
		if err := c.Send([]byte(line)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		r, err := c.NextStray(ctx)
		cancel()
		if err != nil {
			t.Fatalf("id %s: %v", tt.sent, err)
		}
		got := string(r.ID)
		if got == "" {
			got = "null" // as the decoder leaves it
		}
		if got != tt.back || r.Error != nil {
			t.Errorf("id %s came back as %s with error %v, want %s", tt.sent, got, r.Error, tt.back)
		}
	}
	n.stop()
}

// TestRefusals: each cause has its own text, and none but the first two makes
// XMRig disconnect.
func TestRefusals(t *testing.T) {
	fake := newFake(t, noBlocks)
	n := startNode(t, "--daemon", fake.URL, "--stale-grace", "0s", "--jobs", "1", "--job-shares", "16",
		"--listen", "127.0.0.1:0,diff=2", "--listen", "127.0.0.1:0,diff=1")
	const fresh = "00000099"
	zero := strings.Repeat("0", 64)
	share := func(c *client, job *xmrig.Job) map[string]any {
		return map[string]any{"id": c.ID(), "job_id": job.ID, "nonce": fresh, "result": zero}
	}
	bare := connect(t, xmrig.Config{Addr: n.ports[0]})
	if r := bare.call("1", "submit", map[string]any{"id": "0", "job_id": "0", "nonce": fresh, "result": zero}); r.Error == nil || r.Error.Message != "Unauthenticated" {
		t.Errorf("a share before the login: %+v", r)
	}
	c, job := login(t, n.ports[0], walletA)
	other, _ := login(t, n.ports[0], walletA)
	stolen := share(other, job)
	stolen["id"] = c.ID()
	if r := other.call("9", "submit", stolen); r.Error == nil || r.Error.Message != "Unauthenticated" {
		t.Errorf("a share under another session's id: %+v", r)
	}

	const nonceText, resultText = "Malformed nonce", "Malformed result"
	for _, tt := range []struct {
		name, field string
		value       any
		text        string
	}{
		{"nonce of 7 digits", "nonce", "0000001", nonceText},
		{"nonce of 9 digits", "nonce", "000000001", nonceText},
		{"nonce of no digits", "nonce", "", nonceText},
		{"nonce not hex", "nonce", "0000000g", nonceText},
		{"nonce with 0x", "nonce", "0x000001", nonceText},
		{"result of 63 digits", "result", zero[1:], resultText},
		{"result of 65 digits", "result", zero + "0", resultText},
		{"result not hex", "result", zero[1:] + "z", resultText},
		{"job id empty", "job_id", "", "Unknown job"},
		{"job never issued", "job_id", job.ID[:15] + "7", "Unknown job"},
		{"another session's job", "job_id", "0000ffff" + job.ID[8:], "Unknown job"},
		{"result too high", "result", strings.Repeat("f", 64), "Low difficulty share"},
		{"wrong hash", "result", strings.Repeat("0", 62) + "01", "Invalid share: the result is not the hash of this job and nonce"},
		{"wrong hash again", "result", strings.Repeat("0", 62) + "01", "Duplicate share"},
		{"claims a block", "nonce", "00000098", "Invalid share: the result is not the hash of this job and nonce"},
		{"nonce a number", "nonce", 1, "Malformed share"},
		{"no result", "result", nil, "Malformed share"},
	} {
		params := share(c, job)
		params[tt.field] = tt.value
		r := c.call(`"`+tt.name+`"`, "submit", params)
		if r.Error == nil || r.Error.Message != tt.text || r.Error.Code != -1 {
			t.Errorf("%s: answered %+v %s, want %q", tt.name, r.Error, r.Result, tt.text)
		}
	}
	nonce, result := c.find(job, false)
	if text := c.submit(job, nonce, result); text != "Low difficulty share" {
		t.Errorf("a right hash above the target: %q", text)
	}
	nonce, result = c.share(job)
	if text := c.submit(job, nonce, result); text != "Duplicate share" {
		t.Errorf("a share sent twice: %q", text)
	}
	fake.Extend(1)
	late := job
	job = c.nextJob()
	nonce, result = c.find(late, true)
	if text := c.submit(late, nonce, result); text != "Block expired" {
		t.Errorf("a share for the block before, without grace: %q", text)
	}
	c.share(job)

	full, job := login(t, n.ports[1], walletB)
	for range 16 {
		full.share(job)
	}
	nonce, result = full.find(job, true)
	if text := full.submit(job, nonce, result); text != "Too many shares for the current job, wait for a new one" {
		t.Errorf("a share beyond the job's limit: %q", text)
	}
	for _, c := range []*client{c, full} {
		if err := c.Err(); err != nil {
			t.Errorf("XMRig would have gone: %v", err)
		}
	}
	n.checkI1()
	n.stop()
}

// TestHexInUpperCase: a share's hex may be in either case, and is one share.
func TestHexInUpperCase(t *testing.T) {
	n := startNode(t, "--daemon", newFake(t, noBlocks).URL, "--listen", "127.0.0.1:0,diff=1")
	c, job := login(t, n.ports[0], walletA)
	c.next = 0xabcdef
	nonce, result := c.find(job, true)
	params := map[string]any{"id": c.ID(), "job_id": job.ID,
		"nonce": strings.ToUpper(hex.EncodeToString(nonce[:])), "result": strings.ToUpper(hex.EncodeToString(result[:]))}
	if r := c.call("5", "submit", params); r.Error != nil {
		t.Errorf("a share in upper case: %v", r.Error)
	}
	if text := c.submit(job, nonce, result); text != "Duplicate share" {
		t.Errorf("the same share in lower case: %q", text)
	}
	n.stop()
}

// TestThrottle fills a session's share of the queue. What is shed was never
// judged, so it may be sent again.
func TestThrottle(t *testing.T) {
	n := startNode(t, "--daemon", newFake(t, noBlocks).URL, "--session-inflight", "2", "--listen", "127.0.0.1:0,diff=1")
	c, job := login(t, n.ports[0], walletA)
	type share struct {
		nonce  [4]byte
		result [32]byte
	}
	var shares []share
	var lines bytes.Buffer
	for i := range 8 {
		nonce, result := c.find(job, true)
		shares = append(shares, share{nonce, result})
		fmt.Fprintf(&lines, `{"id":"s%d","jsonrpc":"2.0","method":"submit","params":{"id":%q,"job_id":%q,"nonce":"%x","result":"%x"}}`+"\n",
			i, c.ID(), job.ID, nonce, result)
	}
	if err := c.Send(lines.Bytes()); err != nil {
		t.Fatal(err)
	}
	var again []share
	for range shares {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		r, err := c.NextStray(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		var i int
		if _, err := fmt.Sscanf(string(r.ID), `"s%d"`, &i); err != nil {
			t.Fatalf("answer to %s: %v", r.ID, err)
		}
		switch {
		case r.Error == nil:
		case r.Error.Message == "Throttled down share submission (please increase difficulty)":
			again = append(again, shares[i])
		default:
			t.Errorf("share %d: %v", i, r.Error)
		}
	}
	if len(again) == 0 || len(again) == len(shares) {
		t.Errorf("%d of %d shares were shed", len(again), len(shares))
	}
	for _, s := range again {
		if text := c.submit(job, s.nonce, s.result); text != "" {
			t.Errorf("a share that was shed, sent again: %q", text)
		}
	}
	n.checkI1()
	n.stop()
}

// TestLoginForms: who is paid, for which rig, at which difficulty.
func TestLoginForms(t *testing.T) {
	redis := redistest.Start(t)
	n := startNode(t, "--redis", redis.URL(), "--daemon", newFake(t, noBlocks).URL,
		"--listen", "127.0.0.1:0,diff=2,max=4")
	var who []told
	for _, tt := range []struct {
		login, pass, rig string
		wallet, worker   string
		difficulty       uint64
	}{
		{walletA, "", "", walletA, "default", 2},
		{walletA + ".rig1", "", "", walletA, "rig1", 2},
		{walletA + "+3", "", "", walletA, "default", 3},
		{walletA + ".rig2+3", "", "", walletA, "rig2", 3},
		{walletA + "+3.rig3", "", "", walletA, "rig3", 3},
		{walletA + "+9999", "", "", walletA, "default", 4},
		{walletA, "", "by-rigid", walletA, "by-rigid", 2},
		{walletA, "by-pass:me@example.org", "", walletA, "by-pass", 2},
		{walletA + ".first", "third", "second", walletA, "first", 2},
		{walletA + ".a b/c", "", "", walletA, "a_b_c~570e31cc", 2},
		{walletA + ".ферма+3", "", "", walletA, "ферма", 3},
		{walletA, "", "矿机", walletA, "矿机", 2},
		{integrated, "", "", integrated, "default", 2},
		{subaddress + ".s", "", "", subaddress, "s", 2},
	} {
		c := connect(t, xmrig.Config{Addr: n.ports[0], Login: tt.login, Pass: tt.pass, RigID: tt.rig})
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		job, err := c.Login(ctx)
		cancel()
		if err != nil {
			t.Errorf("login %q: %v", tt.login, err)
			continue
		}
		if job.Difficulty() != tt.difficulty {
			t.Errorf("login %q: difficulty %d, want %d", tt.login, job.Difficulty(), tt.difficulty)
		}
		c.share(job)
		who = append(who, told{tt.wallet, tt.worker, tt.difficulty, 1})
	}
	for login, text := range map[string]string{
		walletA + "+":    "Invalid difficulty in login: a whole number from 1 must follow the +",
		walletA + "+0":   "Invalid difficulty in login: a whole number from 1 must follow the +",
		walletA + "+1.5": "", // difficulty 1, worker 5
		walletA + "+-1":  "Invalid difficulty in login: a whole number from 1 must follow the +",
		".rig":           "Invalid address used for login",
	} {
		if got := refusedLogin(t, n.ports[0], xmrig.Config{Login: login}); got != text {
			t.Errorf("login %q: %q, want %q", login, got, text)
		}
	}
	const wrong = "No compatible algorithm found, change the algo option of your miner: this pool mines rx/0"
	if got := refusedLogin(t, n.ports[0], xmrig.Config{Algos: []algo.ID{algo.CN0, algo.CN1}}); got != wrong {
		t.Errorf("a miner without rx/0: %q", got)
	}
	n.checkI1()
	n.stop()
	openBooks(t, redis.URL(), "default").equal(who)
}

// refusedLogin returns the text a login is refused with, "" when it is not.
func refusedLogin(t *testing.T, addr string, cfg xmrig.Config) string {
	t.Helper()
	cfg.Addr = addr
	c := connect(t, cfg)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := c.Login(ctx)
	var v *xmrig.Violation
	if errors.As(err, &v) && v.Rule == xmrig.RuleLoginRefused {
		return strings.TrimSuffix(v.Detail, " (-1)")
	}
	if err != nil {
		t.Errorf("login %q: %v", cfg.Login, err)
	}
	return ""
}

// TestJobsAreFresh: over new blocks, new transactions, retargets and requests,
// no job comes twice, and each share is credited by the difficulty of the job
// it names.
func TestJobsAreFresh(t *testing.T) {
	redis := redistest.Start(t)
	fake := newFake(t, noBlocks)
	n := startNode(t, "--redis", redis.URL(), "--daemon", fake.URL, "--template-refresh", "1s", "--vardiff=true",
		"--vardiff-target", "1s", "--vardiff-retarget", "1s", "--listen", "127.0.0.1:0,diff=1,max=50")
	c, job := login(t, n.ports[0], walletA)
	seen := map[string]bool{string(job.Blob): true}
	var credited, shares uint64
	mine := func(job *xmrig.Job) {
		t.Helper()
		c.share(job)
		credited, shares = credited+job.Difficulty(), shares+1
	}
	// until takes pushed jobs until one is as wanted, with a share of each.
	until := func(what string, wanted func(next *xmrig.Job) bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; {
			next := c.newest(job)
			if next != job {
				if seen[string(next.Blob)] {
					t.Errorf("the blob of job %s was sent before", next.ID)
				}
				seen[string(next.Blob)] = true
				older := job
				job = next
				if older.Height == next.Height {
					mine(older) // at its own difficulty
				}
			}
			mine(job)
			if wanted(job) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("no job for %s within %v", what, patience)
			}
		}
	}
	start := job.Difficulty()
	until("a retarget", func(next *xmrig.Job) bool { return next.Difficulty() != start })
	fake.SetTxs(3)
	// A hashing blob ends with the number of transactions, the coinbase included.
	until("new transactions", func(next *xmrig.Job) bool { return next.Blob[len(next.Blob)-1] == 4 })
	fake.Extend(1)
	until("a new block", func(next *xmrig.Job) bool { return next.Height == 101 })
	if n.metric("assay_retargets_total", "", "") == 0 {
		t.Error("the node counted no retarget")
	}
	if err := c.Err(); err != nil {
		t.Errorf("XMRig would have gone: %v", err)
	}
	n.checkI1()
	n.stop()
	openBooks(t, redis.URL(), "default").equal([]told{{walletA, "default", credited, shares}})
}
