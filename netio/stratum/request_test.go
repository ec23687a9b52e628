package stratum

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/assay-pool/assay/native/algo"
)

func TestParseRequest(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	tests := []struct {
		name, line string
		want       error
		check      func(*testing.T, *Request)
	}{
		{"xmrig login", `{"id":1,"jsonrpc":"2.0","method":"login","params":{"login":"4A","pass":"x","agent":"XMRig/6.22","rigid":"r1","algo":["rx/0","cn/r","nobody/knows"]}}`, nil, func(t *testing.T, r *Request) {
			if r.Method != Login || string(r.Login) != "4A" || string(r.Pass) != "x" || string(r.RigID) != "r1" || string(r.Agent) != "XMRig/6.22" {
				t.Errorf("read %+v", r)
			}
			if !r.HasAlgos || !r.Algos.Has(algo.RX0) || !r.Algos.Has(algo.CNR) || r.Algos.Has(algo.CN0) {
				t.Errorf("algos %b", r.Algos)
			}
		}},
		{"submit", `{"id":"a","method":"submit","params":{"id":"s","job_id":"j","nonce":"00000000","result":"` + hash + `"}}`, nil, func(t *testing.T, r *Request) {
			if r.Method != Submit || r.Malformed || string(r.Session) != "s" || string(r.JobID) != "j" || string(r.Nonce) != "00000000" || string(r.Result) != hash {
				t.Errorf("read %+v", r)
			}
		}},
		{"submit without id", `{"id":2,"method":"submit","params":{"job_id":"j","nonce":"n","result":"r"}}`, nil, func(t *testing.T, r *Request) {
			if r.Malformed || r.Session != nil {
				t.Errorf("read %+v", r)
			}
		}},
		{"escaped text", `{"id":2,"method":"sub\u006dit","params":{"job_id":"a\/b","nonce":"","result":"r"}}`, nil, func(t *testing.T, r *Request) {
			if r.Method != Submit || string(r.JobID) != "a/b" || r.Malformed {
				t.Errorf("read %+v", r)
			}
		}},
		{"first of two keys", `{"id":2,"method":"submit","method":"login","params":{"job_id":"a","job_id":"b","nonce":"n","result":"r"}}`, nil, func(t *testing.T, r *Request) {
			if r.Method != Submit || string(r.JobID) != "a" {
				t.Errorf("read %+v", r)
			}
		}},
		{"escaped key", `{"id":2,"method":"submit","params":{"job\u005fid":"a","nonce":"n","result":"r"}}`, nil, func(t *testing.T, r *Request) {
			if r.Malformed || string(r.JobID) != "a" {
				t.Errorf("read %+v", r)
			}
		}},
		{"nonce is a number", `{"id":2,"method":"submit","params":{"job_id":"a","nonce":1,"result":"r"}}`, nil, malformed},
		{"result missing", `{"id":2,"method":"submit","params":{"job_id":"a","nonce":"n"}}`, nil, malformed},
		{"result null", `{"id":2,"method":"submit","params":{"job_id":"a","nonce":"n","result":null}}`, nil, malformed},
		{"session is a list", `{"id":2,"method":"submit","params":{"id":["a"],"job_id":"a","nonce":"n","result":"r"}}`, nil, malformed},
		{"submit without params", `{"id":2,"method":"submit"}`, nil, malformed},
		{"submit with a list", `{"id":2,"method":"submit","params":["j","n","r"]}`, nil, malformed},
		{"keepalived", `{"id":3,"method":"keepalived","params":{"id":"s"}}`, nil, func(t *testing.T, r *Request) {
			if r.Method != Keepalive || string(r.Session) != "s" {
				t.Errorf("read %+v", r)
			}
		}},
		{"keepalived bare", `{"id":3,"method":"keepalived"}`, nil, nil},
		{"getjob", `{"id":3,"method":"getjob","params":{}}`, nil, nil},
		{"getjob by an empty list", `{"id":3,"method":"getjob","params":[]}`, nil, nil},
		{"submit by an empty list", `{"id":3,"method":"submit","params":[]}`, nil, malformed},
		{"getjob by a list", `{"id":3,"method":"getjob","params":[1]}`, ErrParams, nil},
		{"keepalived id number", `{"id":3,"method":"keepalived","params":{"id":7}}`, ErrField, nil},
		{"bitcoin", `{"id":1,"method":"mining.subscribe","params":["x",[1]]}`, nil, func(t *testing.T, r *Request) {
			if r.Method != Bitcoin {
				t.Errorf("method %v", r.Method)
			}
		}},
		{"unknown", `{"id":1,"method":"eth_submitLogin","params":[]}`, nil, func(t *testing.T, r *Request) {
			if r.Method != UnknownMethod {
				t.Errorf("method %v", r.Method)
			}
		}},
		{"no method", `{"id":1}`, ErrMethod, nil},
		{"method is a number", `{"id":1,"method":5}`, ErrMethod, nil},
		{"empty method", `{"id":1,"method":""}`, ErrMethod, nil},
		{"empty line", ``, ErrSyntax, nil},
		{"noise", "\x00\x01\x02\xff", ErrSyntax, nil},
		{"a list", `[{"id":1,"method":"login"}]`, ErrSyntax, nil},
		{"a string", `"login"`, ErrSyntax, nil},
		{"half", `{"id":1,"method":"lo`, ErrSyntax, nil},
		{"two objects", `{"id":1,"method":"getjob"}{"id":2}`, ErrSyntax, nil},
		{"deep", `{"id":1,"method":"getjob","params":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`, ErrNesting, nil},
		{"brackets in text are no nesting", `{"id":1,"method":"keepalived","params":{"id":"[[[[[[{{{{{\"{[[["}}`, nil, nil},
		{"many shallow lists", `{"id":1,"method":"keepalived","params":{"a":[],"b":[],"c":[],"d":[],"e":[]}}`, nil, nil},
		{"login missing", `{"id":1,"method":"login","params":{"pass":"x"}}`, ErrNoLogin, nil},
		{"login bare", `{"id":1,"method":"login"}`, ErrNoLogin, nil},
		{"login number", `{"id":1,"method":"login","params":{"login":5}}`, ErrField, nil},
		{"login long", `{"id":1,"method":"login","params":{"login":"` + strings.Repeat("4", MaxLogin+1) + `"}}`, ErrTooLong, nil},
		{"login longest", `{"id":1,"method":"login","params":{"login":"` + strings.Repeat("4", MaxLogin) + `"}}`, nil, nil},
		{"pass long", `{"id":1,"method":"login","params":{"login":"4","pass":"` + strings.Repeat("4", MaxPass+1) + `"}}`, ErrTooLong, nil},
		{"rigid long", `{"id":1,"method":"login","params":{"login":"4","rigid":"` + strings.Repeat("4", MaxRigID+1) + `"}}`, ErrTooLong, nil},
		{"algo empty", `{"id":1,"method":"login","params":{"login":"4","algo":[]}}`, nil, func(t *testing.T, r *Request) {
			if r.HasAlgos {
				t.Error("an empty list says something")
			}
		}},
	}
	var p Parser
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r Request
			err := p.Parse([]byte(tt.line), &r)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if tt.check != nil {
				tt.check(t, &r)
			}
		})
	}
}

func malformed(t *testing.T, r *Request) {
	t.Helper()
	if r.Method != Submit || !r.Malformed {
		t.Errorf("not a malformed share: %+v", r)
	}
}

func TestIDEcho(t *testing.T) {
	tests := []struct{ name, id, want string }{
		{"number", `1`, `1`},
		{"negative", `-7`, `-7`},
		{"fraction", `1.50`, `1.50`},
		{"exponent", `2E+10`, `2E+10`},
		{"huge number", `123456789012345678901234567890`, `123456789012345678901234567890`},
		{"string", `"7"`, `"7"`},
		{"empty string", `""`, `""`},
		{"escapes", `"a\"\\\/\b\f\n\r\t\u00e9"`, `"a\"\\\/\b\f\n\r\t\u00e9"`},
		{"utf-8", `"é"`, `"é"`},
		{"null", `null`, `null`},
		{"true", `true`, `true`},
		{"false", `false`, `false`},
		{"longest", `"` + strings.Repeat("x", MaxID-2) + `"`, `"` + strings.Repeat("x", MaxID-2) + `"`},
		{"too long", `"` + strings.Repeat("x", MaxID-1) + `"`, `null`},
		{"long number", strings.Repeat("1", MaxID+1), `null`},
		{"object", `{"a":1}`, `null`},
		{"empty object", `{}`, `null`},
		{"list", `[1]`, `null`},
		{"empty list", `[]`, `null`},
		{"not a number", `nan`, `null`},
		{"infinity", `-Inf`, `null`},
		{"plus", `+1`, `null`},
		{"leading zero", `01`, `null`},
		{"two points", `1.2.3`, `null`},
		{"bare point", `1.`, `null`},
		{"bare exponent", `1e`, `null`},
		{"bad escape", `"\q"`, `null`},
		{"short escape", `"\u12"`, `null`},
		{"bad utf-8", "\"\xff\"", `null`},
		{"control", "\"\x01\"", `null`},
	}
	var p Parser
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r Request
			if err := p.Parse([]byte(`{"method":"keepalived","id":`+tt.id+`}`), &r); err != nil {
				t.Fatal(err)
			}
			if got := r.ID.String(); got != tt.want {
				t.Fatalf("echo %s, want %s", got, tt.want)
			}
			answer := AppendKeepalive(nil, &r.ID)
			if !json.Valid(answer) {
				t.Fatalf("answer is no JSON: %s", answer)
			}
		})
	}
	t.Run("absent", func(t *testing.T) {
		var r Request
		if err := p.Parse([]byte(`{"method":"keepalived"}`), &r); err != nil {
			t.Fatal(err)
		}
		if got := r.ID.String(); got != "null" {
			t.Fatalf("echo %s", got)
		}
	})
	t.Run("known although the request is faulty", func(t *testing.T) {
		var r Request
		if err := p.Parse([]byte(`{"id":"q","method":9}`), &r); err == nil || r.ID.String() != `"q"` {
			t.Fatalf("err %v, id %s", err, r.ID.String())
		}
	})
}

// TestLiberal: what real miners and their configurations send, and what is
// read. Each of these logins was refused once.
func TestLiberal(t *testing.T) {
	login := func(more string) string {
		return `{"id":1,"method":"login","params":{"login":"4A"` + more + `}}`
	}
	algos := func(n int, last string) string { return `,"algo":[` + strings.Repeat(`"cn/unknown",`, n) + last + `]` }
	tests := []struct {
		name, line string
		want       Request // the fields of a login
	}{
		{"password is a number", login(`,"pass":1234`), Request{Pass: []byte("1234")}},
		{"password is a fraction", login(`,"pass":0.50`), Request{Pass: []byte("0.50")}},
		{"rig is a number", login(`,"rigid":7,"pass":-1e3`), Request{RigID: []byte("7"), Pass: []byte("-1e3")}},
		{"agent is a number", login(`,"agent":6.22,"pass":1,"rigid":2`), Request{Agent: []byte("6.22"), Pass: []byte("1"), RigID: []byte("2")}},
		{"rig is null", login(`,"rigid":null`), Request{}},
		{"agent of 400 bytes", login(`,"agent":"` + strings.Repeat("a", 400) + `"`), Request{Agent: bytes.Repeat([]byte("a"), MaxAgent)}},
		{"agent is cut between characters", login(`,"agent":"a` + strings.Repeat("\u00e9", MaxAgent) + `"`), Request{Agent: []byte("a" + strings.Repeat("é", (MaxAgent-1)/2))}},
		{"81 algorithms", login(algos(80, `"rx/0"`)), Request{HasAlgos: true, Algos: 1 << algo.RX0}},
		{"the most algorithms", login(algos(MaxAlgos-1, `"rx/0"`)), Request{HasAlgos: true, Algos: 1 << algo.RX0}},
		{"one algorithm too many", login(algos(MaxAlgos, `"rx/0"`)), Request{HasAlgos: true}},
		{"long name of an algorithm", login(`,"algo":["` + strings.Repeat("a", 300) + `","rx/0"]`), Request{HasAlgos: true, Algos: 1 << algo.RX0}},
		{"one algorithm, no list", login(`,"algo":"rx/0"`), Request{HasAlgos: true, Algos: 1 << algo.RX0}},
		{"algorithms among other things", login(`,"algo":[1,null,"rx/0",{}]`), Request{HasAlgos: true, Algos: 1 << algo.RX0}},
		{"nothing but other things", login(`,"algo":[1,null]`), Request{}},
		{"algo is an object", login(`,"algo":{"rx/0":1}`), Request{}},
		{"byte order mark", bom + login(``), Request{}},
		{"byte order marks and blanks", " " + bom + "\t" + bom + "\r\n " + login(``) + " \t\r", Request{}},
	}
	var p Parser
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r Request
			if err := p.Parse([]byte(tt.line), &r); err != nil {
				t.Fatal(err)
			}
			if r.Method != Login || string(r.Login) != "4A" || r.ID.String() != "1" {
				t.Errorf("read %v of %q, id %v", r.Method, r.Login, r.ID.String())
			}
			if string(r.Pass) != string(tt.want.Pass) || string(r.RigID) != string(tt.want.RigID) || string(r.Agent) != string(tt.want.Agent) {
				t.Errorf("read pass %q, rig %q, agent %q", r.Pass, r.RigID, r.Agent)
			}
			if r.HasAlgos != tt.want.HasAlgos || r.Algos != tt.want.Algos {
				t.Errorf("read algorithms %v %b", r.HasAlgos, r.Algos)
			}
		})
	}
	// Numbers of one login do not show through in the next.
	var first, second Request
	if p.Parse([]byte(login(`,"pass":11,"rigid":22`)), &first) != nil || p.Parse([]byte(login(`,"rigid":3`)), &second) != nil {
		t.Fatal("refused")
	}
	if second.Pass != nil || string(second.RigID) != "3" {
		t.Errorf("second login: pass %q, rig %q", second.Pass, second.RigID)
	}
}

func TestTrim(t *testing.T) {
	for line, want := range map[string]string{
		"": "", " \t\r": "", bom: "", bom + bom + " ": "", "{}": "{}", "{}\r": "{}", " {} ": "{}", bom + "{}": "{}",
		bom[:2] + "{}": bom[:2] + "{}", "{}" + bom: "{}" + bom, "\u00a0{}": "\u00a0{}",
	} {
		if got := string(Trim([]byte(line))); got != want {
			t.Errorf("%q became %q, want %q", line, got, want)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	lines := map[string][]byte{
		"submit":     []byte(`{"id":123,"jsonrpc":"2.0","method":"submit","params":{"id":"0000002a","job_id":"0000002a00000001","nonce":"0a0b0c0d","result":"` + strings.Repeat("ab", 32) + `","algo":"rx/0"}}`),
		"keepalived": []byte(`{"id":124,"jsonrpc":"2.0","method":"keepalived","params":{"id":"0000002a"}}`),
		"string id":  []byte(`{"id":"124","method":"keepalived"}`),
		"nesting":    []byte(`{"id":1,"method":"keepalived","params":[[[[[[[[]]]]]]]]}`),
		"unknown":    []byte(`{"id":1,"method":"what"}`),
		"mark":       []byte(bom + `{"id":124,"method":"keepalived","params":[]}` + "\r"),
	}
	var p Parser
	var r Request
	var hash [32]byte
	for name, line := range lines {
		t.Run(name, func(t *testing.T) {
			if n := testing.AllocsPerRun(200, func() {
				_ = p.Parse(line, &r)
				ParseNonce(r.Nonce)
				ParseResult(r.Result, &hash)
			}); n != 0 {
				t.Fatalf("%v allocations", n)
			}
		})
	}
}

func TestParseShare(t *testing.T) {
	nonces := []struct {
		text string
		want uint32
		ok   bool
	}{
		{"01000000", 1, true}, {"0a0b0c0d", 0x0d0c0b0a, true}, {"0A0B0C0D", 0x0d0c0b0a, true},
		{"ffffffff", 0xffffffff, true},
		{"", 0, false}, {"0000000", 0, false}, {"000000000", 0, false}, {"0x000000", 0, false}, {"0000000g", 0, false}, {"      01", 0, false}, {"+0000001", 0, false},
	}
	for _, tt := range nonces {
		t.Run("nonce "+tt.text, func(t *testing.T) {
			if n, ok := ParseNonce([]byte(tt.text)); ok != tt.ok || n != tt.want {
				t.Fatalf("%08x %v", n, ok)
			}
		})
	}
	var hash [32]byte
	for text, want := range map[string]bool{
		strings.Repeat("0f", 32): true, strings.Repeat("0F", 32): true,
		strings.Repeat("0f", 31): false, strings.Repeat("0f", 33): false, strings.Repeat("0g", 32): false, "": false,
	} {
		t.Run("result "+text, func(t *testing.T) {
			if ok := ParseResult([]byte(text), &hash); ok != want {
				t.Fatalf("ok %v", ok)
			}
			if want && hash != [32]byte(bytes.Repeat([]byte{0x0f}, 32)) {
				t.Fatalf("read %x", hash)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"id":1,"method":"login","params":{"login":"4A.w+5","algo":["rx/0"]}}`))
	f.Add([]byte(`{"id":"x","method":"submit","params":{"id":"s","job_id":"j","nonce":"00000000","result":"00"}}`))
	f.Add([]byte(`{"id":{"a":[]},"method":"keepalived"}`))
	f.Add([]byte(`{"id":nan,"method":"getjob","params":[[[[[[`))
	f.Add([]byte("\x16\x03\x01\x02\x00\x01"))
	f.Add([]byte(bom + ` {"id":1,"method":"login","params":{"login":"4A","pass":12,"rigid":-7.5e3,"agent":1e999,"algo":"rx/0"}}` + "\r"))
	f.Add([]byte(`{"id":1,"method":"login","params":{"login":"4A.\u0301\ud83d\ude00","rigid":nan,"algo":[1,"cn/r",null,[]]}}`))
	f.Add([]byte(`{"id":1,"method":"keepalived","params":[]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var p Parser
		var r Request
		err := p.Parse(line, &r)
		for _, answer := range [][]byte{
			AppendError(nil, &r.ID, fmt.Sprint(err)), AppendKeepalive(nil, &r.ID),
		} {
			if !json.Valid(answer) || bytes.IndexByte(answer, '\n') != len(answer)-1 {
				t.Fatalf("no line of JSON: %q", answer)
			}
		}
		var marked Request
		again := p.Parse(append([]byte("\r\n"+bom+" "), line...), &marked)
		if err2 := p.Parse(line, &r); err2 != err || again != err || marked.Method != r.Method || marked.ID != r.ID {
			t.Fatalf("%v, again %v, with a byte order mark %v", err, err2, again)
		}
		if err == nil && r.Method == NoMethod {
			t.Fatal("no error and no method")
		}
		if err == nil && r.Method == Submit && !r.Malformed && (r.JobID == nil || r.Nonce == nil || r.Result == nil) {
			t.Fatal("a share without fields is not malformed")
		}
		if r.Method == Login && err == nil {
			if len(r.Login) > MaxLogin || len(r.Pass) > MaxPass || len(r.RigID) > MaxRigID || len(r.Agent) > MaxAgent {
				t.Fatalf("a field is too long: %+v", r)
			}
			if c, err := ParseLogin(r.Login, r.Pass, r.RigID); err == nil {
				checkCredentials(t, r.Login, c)
			}
		}
	})
}

func BenchmarkParseSubmit(b *testing.B) {
	line := []byte(`{"id":123,"jsonrpc":"2.0","method":"submit","params":{"id":"0000002a","job_id":"0000002a00000001","nonce":"0a0b0c0d","result":"` + strings.Repeat("ab", 32) + `","algo":"rx/0"}}`)
	var p Parser
	var r Request
	b.ReportAllocs()
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if err := p.Parse(line, &r); err != nil {
			b.Fatal(err)
		}
	}
}
