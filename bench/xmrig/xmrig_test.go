package xmrig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/assay-pool/assay/native/algo"
)

const deadline = 60 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// job is a good job; edit changes pairs of old and new text in it.
func job(edit ...string) string {
	good := `{"blob":"` + strings.Repeat("0e", 39) + "00000000" + strings.Repeat("ab", 33) +
		`","job_id":"1","target":"37894100","algo":"rx/0","height":5,"seed_hash":"` + strings.Repeat("5e", 32) +
		`","next_seed_hash":"","id":"s"}`
	return strings.NewReplacer(edit...).Replace(good)
}

func loginResult(job, extensions string) string {
	return `{"id":1,"jsonrpc":"2.0","error":null,"result":{"id":"s","status":"OK","extensions":[` + extensions + `],"job":` + job + `}}` + "\n"
}

func push(job string) string { return `{"jsonrpc":"2.0","method":"job","params":` + job + "}\n" }

// fakePool sends answers[i] to the ith line of the first connection. "hang up"
// closes it. An answer may hold ID, which becomes the id of the request.
func fakePool(t *testing.T, answers ...string) (addr string, lines func() []string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got []string
	var wg sync.WaitGroup
	var conn net.Conn
	wg.Go(func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		mu.Lock()
		conn = c
		mu.Unlock()
		scanner := bufio.NewScanner(c)
		for i := 0; scanner.Scan(); i++ {
			mu.Lock()
			got = append(got, scanner.Text())
			mu.Unlock()
			if i >= len(answers) {
				continue
			}
			if answers[i] == "hang up" {
				return
			}
			var m struct{ ID json.RawMessage }
			if err := json.Unmarshal(scanner.Bytes(), &m); err != nil {
				m.ID = json.RawMessage("null")
			}
			fmt.Fprint(c, strings.ReplaceAll(answers[i], "ID", string(m.ID)))
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		if conn != nil {
			conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return listener.Addr().String(), func() []string { mu.Lock(); defer mu.Unlock(); return append([]string(nil), got...) }
}

func dial(t *testing.T, cfg Config) (*Client, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	c, err := Dial(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, ctx
}

func TestGoodPool(t *testing.T) {
	addr, lines := fakePool(t,
		loginResult(job(), `"algo","keepalive",7`)+push(job(`"1"`, `"2"`)),
		`{"id":ID,"jsonrpc":"2.0","error":null,"result":{"status":"OK"}}`+"\n"+push(job(`"1"`, `"3"`)),
		`{"id":ID,"jsonrpc":"2.0","error":{"code":-1,"message":"Low difficulty share"}}`+"\n",
		`{"id":ID,"jsonrpc":"2.0","error":null,"result":{"status":"KEEPALIVED"}}`+"\n",
		`{"id":ID,"jsonrpc":"2.0","error":{"code":-1,"message":"who are you"}}`+"\n",
		`{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"no JSON"}}`+"\n"+`{"jsonrpc":"2.0","method":"not known here","params":1}`+"\n",
	)
	c, ctx := dial(t, Config{Addr: addr, Login: "wallet", RigID: "rig", Algos: []algo.ID{algo.RX0, algo.CN1}})
	first, err := c.Login(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if first.ID != "1" || first.Height != 5 || first.Seed[0] != 0x5e || first.NiceHash || first.Difficulty() != 1000 || c.ID() != "s" || !c.Has("algo") || c.Has("nicehash") {
		t.Errorf("job %+v, id %s", first, c.ID())
	}
	second, err := c.NextJob(ctx)
	if err != nil || second.ID != "2" {
		t.Fatal(second, err)
	}
	if err := c.Submit(ctx, second, [4]byte{1, 2, 3, 4}, [32]byte{0xaa}); err != nil {
		t.Error(err)
	}
	if third, err := c.NextJob(ctx); err != nil || third.ID != "3" {
		t.Fatal(third, err)
	}
	var refusal *Refusal
	if err := c.Submit(ctx, second, [4]byte{}, [32]byte{}); !errors.As(err, &refusal) || refusal.Message != "Low difficulty share" || refusal.Code != -1 {
		t.Error(err)
	}
	if err := c.KeepAlive(ctx); err != nil {
		t.Error(err)
	}
	if r, err := c.Call(ctx, json.RawMessage(`"seven"`), "getjob", nil); err != nil || string(r.ID) != `"seven"` || r.Error == nil {
		t.Error(r, err)
	}
	if err := c.Send([]byte("noise\n")); err != nil {
		t.Error(err)
	}
	if stray, err := c.NextStray(ctx); err != nil || stray.Error.Message != "no JSON" {
		t.Error(stray, err)
	}
	if c.Err() != nil || c.Dropped() != 0 {
		t.Error(c.Err(), c.Dropped())
	}
	got := lines()
	for i, want := range []string{
		`{"id":1,"jsonrpc":"2.0","method":"login","params":{"login":"wallet","pass":"x","agent":"XMRig/6.22.2 (Linux x86_64) assay-contract","rigid":"rig","algo":["rx/0","cn/1"]}}`,
		`{"id":2,"jsonrpc":"2.0","method":"submit","params":{"algo":"rx/0","id":"s","job_id":"2","nonce":"01020304","result":"aa` + strings.Repeat("00", 31) + `"}}`,
	} {
		if got[i] != want {
			t.Errorf("sent %s\nwant %s", got[i], want)
		}
	}
	c.Close()
	if _, err := c.NextJob(ctx); err != ErrClosed {
		t.Errorf("after Close: %v", err)
	}
}

// Every rule of a job, seen to fail, with its neighbours that hold.
func TestParseJob(t *testing.T) {
	zeroNonce := strings.Repeat("0e", 39) + "00000000"
	blobOf := func(bytes int) []string {
		return []string{strings.Repeat("ab", 33), strings.Repeat("ab", bytes-43)}
	}
	for name, tc := range map[string]struct {
		raw  string
		rule Rule // "" = a good job
	}{
		"good":                    {raw: job()},
		"array":                   {raw: "[]", rule: RuleJobObject},
		"null":                    {raw: "null", rule: RuleJobObject},
		"missing":                 {raw: "", rule: RuleJobObject},
		"no job_id":               {raw: job(`"job_id":"1",`, ""), rule: RuleJobID},
		"empty job_id":            {raw: job(`"job_id":"1"`, `"job_id":""`), rule: RuleJobID},
		"numeric job_id":          {raw: job(`"job_id":"1"`, `"job_id":1`), rule: RuleJobID},
		"no blob":                 {raw: job(`"blob"`, `"blub"`), rule: RuleBlob},
		"odd blob":                {raw: job("0000ab", "0000b"), rule: RuleBlob},
		"blob not hex":            {raw: job("0000ab", "0000zz"), rule: RuleBlob},
		"short blob":              {raw: job(zeroNonce+strings.Repeat("ab", 33), strings.Repeat("00", 42)), rule: RuleBlob},
		"shortest blob":           {raw: job(blobOf(43)...)},
		"longest blob":            {raw: job(blobOf(407)...)},
		"long blob":               {raw: job(blobOf(408)...), rule: RuleBlob},
		"upper case blob":         {raw: job("abab", "ABAB")},
		"nonce in the blob":       {raw: job("00000000ab", "00000100ab"), rule: RuleNiceHash},
		"no target":               {raw: job(`"target"`, `"t"`), rule: RuleTarget},
		"numeric target":          {raw: job(`"37894100"`, `1000`), rule: RuleTarget},
		"zero target":             {raw: job("37894100", "00000000"), rule: RuleTarget},
		"zero long target":        {raw: job("37894100", "0000000000000000"), rule: RuleTarget},
		"odd target":              {raw: job("37894100", "378941000"), rule: RuleTarget},
		"six digits":              {raw: job("37894100", "378941"), rule: RuleTarget},
		"long target":             {raw: job("37894100", strings.Repeat("11", 32)), rule: RuleTarget},
		"16 digits":               {raw: job("37894100", "edb5a0f7c6100000")},
		"no algo":                 {raw: job(`"algo":"rx/0",`, ""), rule: RuleAlgo},
		"unlisted algo":           {raw: job("rx/0", "cn/2"), rule: RuleAlgo},
		"unknown algo":            {raw: job("rx/0", "rx/none"), rule: RuleAlgo},
		"alias":                   {raw: job("rx/0", "randomx/0")},
		"no height":               {raw: job(`"height":5,`, ""), rule: RuleHeight},
		"height in quotes":        {raw: job(`"height":5`, `"height":"5"`), rule: RuleHeight},
		"negative height":         {raw: job(`"height":5`, `"height":-5`), rule: RuleHeight},
		"no seed":                 {raw: job(`"seed_hash"`, `"seed"`), rule: RuleSeedHash},
		"short seed":              {raw: job(strings.Repeat("5e", 32), strings.Repeat("5e", 31)), rule: RuleSeedHash},
		"seed not hex":            {raw: job("5e5e", "5x5e"), rule: RuleSeedHash},
		"no seed for CryptoNight": {raw: job("rx/0", "cn/1", `"seed_hash"`, `"seed"`)},
		"next seed":               {raw: job(`"next_seed_hash":""`, `"next_seed_hash":"`+strings.Repeat("77", 32)+`"`)},
		"no next seed":            {raw: job(`"next_seed_hash":"",`, "")},
		"short next seed":         {raw: job(`"next_seed_hash":""`, `"next_seed_hash":"77"`), rule: RuleNextSeed},
		"null next seed":          {raw: job(`"next_seed_hash":""`, `"next_seed_hash":null`), rule: RuleNextSeed},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseJob(json.RawMessage(tc.raw), []algo.ID{algo.RX0, algo.CN1}, false)
			if tc.rule == "" {
				if err != nil || got.ID != "1" {
					t.Fatal(got, err)
				}
				return
			}
			var v *Violation
			if !errors.As(err, &v) || v.Rule != tc.rule {
				t.Fatalf("error %v, want rule %q", err, tc.rule)
			}
		})
	}
	nice, err := ParseJob(json.RawMessage(job("00000000ab", "00000100ab")), []algo.ID{algo.RX0}, true)
	if err != nil || !nice.NiceHash {
		t.Error("NiceHash by extension", nice, err)
	}
}

// The expansions are those of the difficulty table published with XMRig's
// formula: the rounding of 8 digits makes a share slightly harder.
func TestExpandTarget(t *testing.T) {
	for _, tc := range []struct {
		digits     string
		target     uint64
		difficulty uint64
	}{
		{"ffffffff", math.MaxUint64, 1},
		{"37894100", math.MaxUint64 / 1000, 1000},
		{"711b0d00", math.MaxUint64 / 5000, 5000},
		{"b88d0600", math.MaxUint64 / 10000, 10000},
		{"c6100000", math.MaxUint64 / 1000225, 1000225},
		{"01000000", math.MaxUint64 / math.MaxUint32, math.MaxUint32},
		{"edb5a0f7c6100000", math.MaxUint64 / 1000000, 1000000},
		{"ffffffff00000000", math.MaxUint32, 1<<32 + 1},
		{"0100000000000000", 1, math.MaxUint64},
	} {
		got, err := ExpandTarget(tc.digits)
		if err != nil || got != tc.target {
			t.Errorf("%s: %d, %v; want %d", tc.digits, got, err, tc.target)
			continue
		}
		j := Job{Target: got}
		if j.Difficulty() != tc.difficulty {
			t.Errorf("%s: difficulty %d, want %d", tc.digits, j.Difficulty(), tc.difficulty)
		}
	}
	j := Job{Target: 0x0100}
	below, at := make([]byte, 32), make([]byte, 32)
	below[24], at[25] = 0xff, 1
	if !j.Meets(below) || j.Meets(at) {
		t.Error("a hash meets a target when it is below, and not when it is equal")
	}
}

// Rules of a connection: what the pool sends after login, and the rule it breaks.
func TestConnectionRules(t *testing.T) {
	const ok = `{"id":ID,"jsonrpc":"2.0","error":null,"result":{"status":"OK"}}` + "\n"
	type step struct {
		login, answer string // answer is for the submit that follows
		rule          Rule
	}
	good := loginResult(job(), "")
	for name, tc := range map[string]step{
		"good":                           {good, ok, ""},
		"login refused":                  {`{"id":1,"error":{"code":-1,"message":"Invalid address used for login"}}` + "\n", "", RuleLoginRefused},
		"banned":                         {`{"id":1,"error":{"code":-1,"message":"Your IP is banned for now"}}` + "\n", "", RuleCritical},
		"login without id":               {strings.Replace(good, `"id":"s"`, `"no":"s"`, 1), "", RuleLoginID},
		"login with a number as id":      {strings.Replace(good, `"id":"s"`, `"id":5`, 1), "", RuleLoginID},
		"login result is a text":         {`{"id":1,"jsonrpc":"2.0","result":"welcome"}` + "\n", "", RuleLoginID},
		"login status":                   {strings.Replace(good, `"OK"`, `"KO"`, 1), "", RuleStatus},
		"login without job":              {strings.Replace(good, `"job":`, `"bob":`, 1), "", RuleJobObject},
		"login with a bad job":           {loginResult(job("37894100", "0"), ""), "", RuleTarget},
		"login answered by nothing":      {"", "", RuleAnswer},
		"login hung up":                  {"hang up", "", RuleOpen},
		"login id as text":               {strings.Replace(good, `"id":1,`, `"id":"1",`, 1), "", RuleID},
		"submit id as text":              {good, strings.Replace(ok, "ID", `"ID"`, 1), RuleID},
		"submit status":                  {good, strings.Replace(ok, "OK", "FINE", 1), RuleStatus},
		"submit result true":             {good, strings.Replace(ok, `{"status":"OK"}`, "true", 1), RuleStatus},
		"submit answered by nothing":     {good, "", RuleAnswer},
		"submit with another's id":       {good, strings.Replace(ok, "ID", "99", 1), RuleAnswer},
		"error without message":          {good, `{"id":ID,"jsonrpc":"2.0","error":{"code":-1}}` + "\n", RuleErrorMessage},
		"error as text":                  {good, `{"id":ID,"jsonrpc":"2.0","error":"Low difficulty"}` + "\n", RuleErrorMessage},
		"error code as text":             {good, `{"id":ID,"jsonrpc":"2.0","error":{"code":"x","message":"y"}}` + "\n", RuleErrorMessage},
		"unauthenticated":                {good, `{"id":ID,"jsonrpc":"2.0","error":{"code":-1,"message":"Unauthenticated"}}` + "\n", RuleCritical},
		"invalid job id":                 {good, `{"id":ID,"jsonrpc":"2.0","error":{"code":-1,"message":"invalid JOB id"}}` + "\n", RuleCritical},
		"ip address currently banned":    {good, `{"id":ID,"jsonrpc":"2.0","error":{"code":-1,"message":"IP Address currently banned"}}` + "\n", RuleCritical},
		"login's job again":              {good + push(job()), "", RuleDuplicateJob},
		"a pushed job twice":             {good, push(job(`"1"`, `"2"`)) + push(job(`"1"`, `"2"`)), RuleDuplicateJob},
		"jobs that differ in the id":     {good, push(job(`"1"`, `"2"`)) + push(job(`"1"`, `"3"`)) + ok, ""},
		"jobs that differ in the target": {good, push(job("37894100", "711b0d00")) + ok, ""},
		"jobs that differ in the seed":   {good, push(job("5e5e", "5f5e")) + ok, RuleDuplicateJob},
		"pushed job with an id":          {good, strings.Replace(push(job(`"1"`, `"2"`)), "{", `{"id":5,`, 1), RuleNotification},
		"pushed job with id null":        {good, strings.Replace(push(job(`"1"`, `"2"`)), "{", `{"id":null,"error":null,`, 1) + ok, ""},
		"pushed job with an error":       {good, strings.Replace(push(job(`"1"`, `"2"`)), "{", `{"error":{},`, 1), RuleNotification},
		"pushed job without nonce":       {good, push(job("00000000ab", "00000001ab", `"1"`, `"2"`)), RuleNiceHash},
		"pushed job without params":      {good, `{"jsonrpc":"2.0","method":"job","param":0}` + "\n", RuleJobObject},
		"reconnect":                      {good, `{"jsonrpc":"2.0","method":"client.reconnect","params":["h","1"]}` + "\n", RuleReconnect},
		"short line":                     {good, `{"id":2,"result":{}}` + "\n", RuleLine},
		"empty line":                     {good, "\n", RuleLine},
		"text":                           {good, "this is a line of text without JSON\n", RuleLine},
		"half an object":                 {good, `{"id":2,"jsonrpc":"2.0","result":{"status":"OK"` + "\n", RuleLine},
		"two objects on a line":          {good, strings.Replace(ok+ok, "\n", "", 1), RuleLine},
		"space before":                   {good, " " + ok, RuleLine},
		"long line":                      {good, `{"x":"` + strings.Repeat("x", maxLineBytes) + `"}` + "\n", RuleLine},
		"hang up":                        {good, "hang up", RuleOpen},
	} {
		t.Run(name, func(t *testing.T) {
			addr, _ := fakePool(t, tc.login, tc.answer)
			cfg := Config{Addr: addr, Login: "w"}
			if tc.rule == RuleAnswer {
				cfg.ResponseTimeout = 50 * time.Millisecond
			}
			c, ctx := dial(t, cfg)
			j, err := c.Login(ctx)
			if err == nil {
				err = c.Submit(ctx, j, [4]byte{}, [32]byte{})
			}
			if tc.rule == "" {
				if err != nil || c.Err() != nil {
					t.Fatal(err, c.Err())
				}
				return
			}
			select {
			case <-c.Done():
			case <-ctx.Done():
				t.Fatal("the client goes on")
			}
			var v *Violation
			if !errors.As(c.Err(), &v) || v.Rule != tc.rule {
				t.Fatalf("Err is %v, want rule %q", c.Err(), tc.rule)
			}
			// A critical answer to a submit is still the answer to it.
			var refusal *Refusal
			if answered := tc.rule == RuleCritical && tc.answer != ""; answered != errors.As(err, &refusal) || !answered && err != error(v) {
				t.Errorf("the call returned %v", err)
			}
		})
	}
}

func TestKeepAliveNeedsExtension(t *testing.T) {
	addr, _ := fakePool(t, loginResult(job(), `"algo"`))
	c, ctx := dial(t, Config{Addr: addr, Login: "w"})
	if _, err := c.Login(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.KeepAlive(ctx); err != ErrNoKeepAlive {
		t.Error(err)
	}
}

// Ids of every JSON type come back as they went.
func TestCallIDs(t *testing.T) {
	ids := []string{`0`, `-5`, `9223372036854775807`, `1.5`, `"text"`, `"\u0041"`, `null`, `true`, `[1,2]`, `{"a":1}`}
	answers := make([]string, len(ids))
	for i := range answers {
		answers[i] = `{"id":ID,"jsonrpc":"2.0","error":null,"result":{"status":"OK"}}` + "\n"
	}
	addr, _ := fakePool(t, answers...)
	c, ctx := dial(t, Config{Addr: addr, Login: "w"})
	for _, id := range ids {
		if _, err := c.Call(ctx, json.RawMessage(id), "getjob", map[string]string{}); err != nil {
			t.Errorf("id %s: %v", id, err)
		}
	}
}

// What nobody fetches is dropped, oldest first, and counted.
func TestQueuesAreBounded(t *testing.T) {
	const extra = 5
	var many strings.Builder
	for i := range queueJobs + extra {
		many.WriteString(push(job(`"job_id":"1"`, fmt.Sprintf(`"job_id":"n%d"`, i))))
	}
	addr, _ := fakePool(t, loginResult(job(), ""), many.String()+`{"id":ID,"jsonrpc":"2.0","error":null,"result":{"status":"OK"}}`+"\n")
	c, ctx := dial(t, Config{Addr: addr, Login: "w"})
	j, err := c.Login(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Submit(ctx, j, [4]byte{}, [32]byte{}); err != nil {
		t.Fatal(err)
	}
	if first, err := c.NextJob(ctx); err != nil || first.ID != fmt.Sprintf("n%d", extra) || c.Dropped() != extra {
		t.Error(first, err, c.Dropped())
	}
}

func FuzzLine(f *testing.F) {
	for _, seed := range []string{push(job()), loginResult(job(), `"algo"`), `{"id":1,"error":{"message":"x","code":1e99}}`, "{}", strings.Repeat("[", 40)} {
		f.Add([]byte(strings.TrimSpace(seed)))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		c := &Client{cfg: Config{Algos: []algo.ID{algo.RX0}}, jobs: make(chan *Job, 1), strays: make(chan *Response, 1),
			pending: map[string]*request{"1": {login: true, answer: make(chan *Response, 1)}}, extensions: map[string]bool{}}
		err := c.line(line)
		var v *Violation
		if err != nil && !errors.As(err, &v) {
			t.Fatalf("%v is no violation", err)
		}
	})
}
