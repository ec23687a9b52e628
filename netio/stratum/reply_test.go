package stratum

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/blob"
)

// answer is a reply as a client reads it; unknown fields are an error.
type answer struct {
	ID      json.RawMessage `json:"id"`
	JSONRPC string          `json:"jsonrpc"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func read(t *testing.T, line []byte, to any) {
	t.Helper()
	if !strings.HasSuffix(string(line), "\n") || strings.Count(string(line), "\n") != 1 {
		t.Fatalf("not one line: %q", line)
	}
	d := json.NewDecoder(strings.NewReader(string(line)))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
}

func requestID(t *testing.T, raw string) *ID {
	t.Helper()
	var p Parser
	var r Request
	if err := p.Parse([]byte(`{"method":"getjob","id":`+raw+`}`), &r); err != nil {
		t.Fatal(err)
	}
	return &r.ID
}

// TestVerdictTexts walks every verdict: which texts disconnect XMRig is the
// contract, and a new verdict without a text must not go out silently.
func TestVerdictTexts(t *testing.T) {
	disconnects := map[validator.Verdict]bool{validator.RejectUnauthenticated: true}
	exact := map[validator.Verdict]string{
		validator.RejectUnauthenticated: "Unauthenticated",
		validator.RejectNonce:           "Malformed nonce",
		validator.RejectUnknownJob:      "Unknown job",
		validator.RejectStale:           "Block expired",
		validator.RejectDuplicate:       "Duplicate share",
		validator.RejectLowDifficulty:   "Low difficulty share",
		validator.ShedQueueFull:         "Throttled down share submission (please increase difficulty)",
		validator.ShedSession:           "Throttled down share submission (please increase difficulty)",
		validator.ShedDeadline:          "Throttled down share submission (please increase difficulty)",
	}
	id := requestID(t, `"q"`)
	for v := validator.Accepted; v < validator.Verdicts; v++ {
		t.Run(v.String(), func(t *testing.T) {
			var a answer
			read(t, AppendVerdict(nil, id, v), &a)
			if string(a.ID) != `"q"` || a.JSONRPC != "2.0" {
				t.Fatalf("head %s %q", a.ID, a.JSONRPC)
			}
			if v == validator.Accepted {
				if a.Error != nil || string(a.Result) != `{"status":"OK"}` {
					t.Fatalf("accepted as %s, %v", a.Result, a.Error)
				}
				return
			}
			if a.Error == nil || a.Error.Code != -1 || a.Error.Message == "" || a.Result != nil {
				t.Fatalf("refused as %+v", a)
			}
			if want, ok := exact[v]; ok && a.Error.Message != want {
				t.Fatalf("text %q, want %q", a.Error.Message, want)
			}
			if got := isCritical(a.Error.Message); got != disconnects[v] {
				t.Fatalf("%q disconnects: %v, want %v", a.Error.Message, got, disconnects[v])
			}
		})
	}
}

// critical are the beginnings of errors at which XMRig disconnects
// (src/base/net/stratum/Client.cpp, isCriticalError). It ignores case.
func critical() []string {
	return []string{"Unauthenticated", "your IP is banned", "IP Address currently banned", "Invalid job id"}
}

// isCritical reports whether XMRig disconnects on an error of this text.
func isCritical(text string) bool {
	for _, prefix := range critical() {
		if len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

func TestOtherTextsKeepTheConnection(t *testing.T) {
	for _, text := range []string{
		TextInvalidMethod, TextBitcoin, TextInvalidAddress, TextLoggedIn, TextNoWork, TextWrongHashes, TextShutdown, TextLineTooLong, TextAlgoPrefix,
		ErrSyntax.Error(), ErrNesting.Error(), ErrMethod.Error(), ErrParams.Error(), ErrField.Error(), ErrTooLong.Error(),
		ErrNoLogin.Error(), ErrNoAddress.Error(), ErrDifficulty.Error(),
	} {
		if isCritical(text) {
			t.Errorf("%q disconnects XMRig", text)
		}
	}
	for _, text := range append(critical(), "unauthenticated, go away", TextNoWorkLeave) {
		if !isCritical(text) {
			t.Errorf("%q is not critical", text)
		}
	}
}

// TestNotice: an error nobody asked for has a number for its id, without which
// XMRig does not hold it against the texts at which it leaves, and none of its own.
func TestNotice(t *testing.T) {
	want := `{"id":0,"jsonrpc":"2.0","error":{"code":-1,"message":"a \"text\""}}` + "\n"
	if got := string(AppendNotice(nil, `a "text"`)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

type wireJob struct {
	Blob     string  `json:"blob"`
	JobID    string  `json:"job_id"`
	Target   string  `json:"target"`
	Algo     string  `json:"algo"`
	Height   uint64  `json:"height"`
	Seed     *string `json:"seed_hash"`
	NextSeed *string `json:"next_seed_hash"`
	ID       string  `json:"id"`
}

func TestJobFields(t *testing.T) {
	seed, next := [32]byte{1, 2, 3}, [32]byte{9}
	job := Job{
		Blob: []byte{0x10, 0x10, 0xab}, ID: []byte("0000002a00000001"), Target: blob.TargetFor(5000),
		Algo: algo.RX0, Height: 3196645, Seed: &seed, NextSeed: &[32]byte{},
	}
	session := []byte("0000002a")
	check := func(t *testing.T, w wireJob, wantSeed, wantNext string) {
		t.Helper()
		if w.Blob != "1010ab" || w.JobID != "0000002a00000001" || w.Height != 3196645 || w.ID != "0000002a" {
			t.Fatalf("job %+v", w)
		}
		for _, f := range []struct {
			got  *string
			want string
		}{{w.Seed, wantSeed}, {w.NextSeed, wantNext}} {
			if (f.got == nil) != (f.want == "") || f.got != nil && *f.got != f.want {
				t.Fatalf("seed %v, want %q", f.got, f.want)
			}
		}
	}
	seedHex, nextHex := hex.EncodeToString(seed[:]), hex.EncodeToString(next[:])

	t.Run("login", func(t *testing.T) {
		var a answer
		read(t, AppendLogin(nil, requestID(t, "1"), session, &job), &a)
		var result struct {
			ID         string   `json:"id"`
			Status     string   `json:"status"`
			Job        wireJob  `json:"job"`
			Extensions []string `json:"extensions"`
		}
		read(t, append([]byte(a.Result), '\n'), &result)
		if a.Error != nil || result.ID != "0000002a" || result.Status != "OK" || strings.Join(result.Extensions, " ") != "algo keepalive" {
			t.Fatalf("result %+v", result)
		}
		if result.Job.Target != "711b0d00" || result.Job.Algo != "rx/0" {
			t.Fatalf("job %+v", result.Job)
		}
		check(t, result.Job, seedHex, "")
	})
	t.Run("push with the next seed", func(t *testing.T) {
		pushed := job
		pushed.NextSeed, pushed.Target = &next, blob.TargetFor(1_000_000)
		var a answer
		read(t, AppendJobPush(nil, session, &pushed), &a)
		if a.Method != "job" || a.ID != nil || a.JSONRPC != "2.0" {
			t.Fatalf("push %+v", a)
		}
		var w wireJob
		read(t, append([]byte(a.Params), '\n'), &w)
		if w.Target != "edb5a0f7c6100000" {
			t.Fatalf("target %s", w.Target)
		}
		check(t, w, seedHex, nextHex)
	})
	t.Run("getjob of an algorithm without seeds", func(t *testing.T) {
		cn := job
		cn.Algo = algo.CNR
		var a answer
		read(t, AppendJobResult(nil, requestID(t, "null"), session, &cn), &a)
		var w wireJob
		read(t, append([]byte(a.Result), '\n'), &w)
		check(t, w, "", "")
	})
	t.Run("no allocation", func(t *testing.T) {
		buf := make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(100, func() { AppendJobPush(buf, session, &job) }); n != 0 {
			t.Fatalf("%v allocations", n)
		}
	})
}

func TestErrorTextIsQuoted(t *testing.T) {
	var a answer
	text := "a \"quoted\" \\ text\nwith\x01control"
	read(t, AppendError(nil, &ID{}, text), &a)
	if a.Error == nil || a.Error.Message != text || string(a.ID) != "null" {
		t.Fatalf("%+v", a)
	}
}
