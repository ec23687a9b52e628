package e2e

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/assay-pool/assay/cluster/ledger"
	"github.com/assay-pool/assay/cluster/store/redistest"
)

// record is a line of journal inspect --json, as far as these tests read it.
type record struct {
	Journal, Kind, Wallet, Worker, ID string
	At, End                           uint64
	Difficulty                        json.Number // a block's is a string
	Verified, Accepted                bool
	SumHashes                         uint64 `json:"sum_hashes"`
	SumShares                         uint64 `json:"sum_shares"`
}

// verified is what journal verify --json prints.
type verified struct {
	Segments       int
	Records        map[string]uint64
	Hashes, Shares uint64
	Unsettled      []string `json:"unsettled_blocks"`
	Damage         []string
}

// history is what a node has done that has ended: shares of two wallets, some of
// them blocks, over several starts, each with a segment of its own.
type history struct {
	*site
	redis *redistest.Server
	b     *books
	who   []told
	chain []string // the accepted blocks
}

func newHistory(t *testing.T) *history {
	t.Helper()
	m, redis := startBoth(t, worth)
	h := &history{redis: redis, b: openBooks(t, redis.URL(), "default")}
	h.site = newSite(t, assayd, worth, "--redis", redis.URL(), "--daemon", m.URL+",zmq="+m.ZMQ)
	n := h.start(t)
	for _, r := range []rig{h.rig(walletA, "one"), h.rig(walletB, "two"), h.rig(walletA, "three")} {
		c := hire(t, r)
		c.mine(n, 4)
		h.who = append(h.who, c.rest()...)
		n.stop()
		n = h.start(t)
	}
	h.settled(t, n, h.b, m.Generate).stop()
	for _, block := range h.b.blocks() {
		h.chain = append(h.chain, hex.EncodeToString(block.ID[:]))
	}
	slices.Sort(h.chain)
	h.b.equal(h.who)
	return h
}

// total is what all miners were told.
func (h *history) total() (w work) {
	for _, who := range h.who {
		w = work{w.hashes + who.hashes, w.shares + who.shares}
	}
	return w
}

// runs expects an exit code and words in what the command prints.
func (h *history) runs(t *testing.T, code int, command string, flags []string, words ...string) (stdout string) {
	t.Helper()
	got, stdout, stderr := h.tool(t, command, flags...)
	if got != code {
		t.Errorf("%s %v: exit %d, want %d\n%s%s", command, flags, got, code, stdout, stderr)
	}
	for _, w := range words {
		if !strings.Contains(stdout+stderr, w) {
			t.Errorf("%s %v lacks %q:\n%s%s", command, flags, w, stdout, stderr)
		}
	}
	return stdout
}

// TestTools: the commands that look at a node's journal and its books say what
// miners were told, for people and for programs.
func TestTools(t *testing.T) {
	h := newHistory(t)
	total := h.total()

	text := h.runs(t, 0, "journal inspect", nil, "SEGMENT", "coin monero-regtest", walletA, `"three"`, "accepted by 127.0.0.1:")
	if lines := strings.Count(text, "  credit  "); uint64(lines) != total.shares {
		t.Errorf("journal inspect shows %d credits, the miners were told %d", lines, total.shares)
	}
	var sum work
	var last record
	accepted := []string{}
	for line := range strings.Lines(h.runs(t, 0, "journal inspect", []string{"--json"})) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if r.At != last.End || r.End <= r.At {
			t.Errorf("a record from %d to %d behind one that ends at %d", r.At, r.End, last.End)
		}
		last = r
		if r.Kind == "credit" {
			difficulty, err := strconv.ParseUint(r.Difficulty.String(), 10, 64)
			if err != nil {
				t.Errorf("%s: %v", line, err)
			}
			sum = work{sum.hashes + difficulty, sum.shares + 1}
			if !r.Verified {
				t.Errorf("not verified: %s", line)
			}
		}
		if r.Kind == "settled" && r.Accepted {
			accepted = append(accepted, r.ID)
		}
	}
	if slices.Sort(accepted); sum != total || (work{last.SumHashes, last.SumShares}) != total || !slices.Equal(accepted, h.chain) {
		t.Errorf("journal inspect --json adds up to %+v, the miners were told %+v; its last record says %d in %d; blocks %v, the books have %v",
			sum, total, last.SumHashes, last.SumShares, accepted, h.chain)
	}
	some := h.runs(t, 0, "journal inspect", []string{"--json", "--kind", "found", "--limit", "2"})
	if strings.Count(some, "\n") != 2 || strings.Count(some, `"kind":"found"`) != 2 {
		t.Errorf("two found blocks are\n%s", some)
	}

	h.runs(t, 0, "journal verify", nil, "all of it can be read", fmt.Sprintf("%d hashes in %d shares", total.hashes, total.shares))
	var v verified
	if err := json.Unmarshal([]byte(h.runs(t, 0, "journal verify", []string{"--json"})), &v); err != nil {
		t.Fatal(err)
	}
	if (work{v.Hashes, v.Shares}) != total || len(v.Damage)+len(v.Unsettled) != 0 || v.Segments < 2 || v.Records["credit"] != total.shares {
		t.Errorf("journal verify --json: %+v", v)
	}

	var report ledger.Report
	if err := json.Unmarshal([]byte(h.runs(t, 0, "ledger audit", []string{"--json"})), &report); err != nil {
		t.Fatal(err)
	}
	if (work{report.Hashes, report.Shares}) != total || report.Rounds != len(h.chain) || len(report.Differences)+len(report.Unchecked) != 0 {
		t.Errorf("ledger audit --json: %+v", report)
	}
	h.redis.CLI("HINCRBY", "{default}:chunk:1", "#shares", "1")
	h.runs(t, 1, "ledger audit", nil, "chunk 1", "shares")
	h.redis.CLI("HINCRBY", "{default}:chunk:1", "#shares", "-1")
	h.audit(t)

	t.Run("running", func(t *testing.T) {
		n := h.start(t)
		h.runs(t, 0, "journal verify", nil, "all of it can be read")
		h.runs(t, 0, "journal inspect", []string{"--limit", "1"}, "SEGMENT")
		h.audit(t)
		h.runs(t, 1, "ledger rebuild", nil, "is in use by another node")
		n.stop()
	})
	t.Run("mistakes", func(t *testing.T) {
		for command, words := range map[string]string{
			"journal":                        "there are journal inspect, journal verify, ledger audit, ledger rebuild",
			"journal mend":                   `no command "journal mend"`,
			"ledger":                         "there are journal inspect",
			"journal verify --wrong":         "--wrong: unknown flag",
			"ledger audit --limit 3":         "--limit: unknown flag",
			"journal inspect --kind penalty": "--kind penalty",
			"journal inspect --from x":       "--from",
			"journal inspect --pool other":   "--pool other",
			"journal verify --pool other":    "--pool other",
			"ledger audit --pool other":      "--pool other",
			"ledger rebuild --pool other":    "--pool other",
		} {
			code, stdout, stderr := runOnce(t, nil, append(strings.Fields(command), "--data-dir", h.dir, "--redis", h.redis.URL())...)
			if code != 2 || stdout != "" || !strings.Contains(stderr, words) {
				t.Errorf("assayd %s: exit %d, want 2 with %q\n%s%s", command, code, words, stdout, stderr)
			}
		}
		for _, command := range []string{"journal inspect", "journal verify", "ledger audit", "ledger rebuild"} {
			h.runs(t, 0, command, []string{"--help"}, "assayd "+command, "--journal", "--data-dir")
			code, _, stderr := runOnce(t, nil, append(strings.Fields(command), "--data-dir", shortDir(t), "--redis", h.redis.URL())...)
			if code != 1 || !strings.Contains(stderr, "there is no journal in ") {
				t.Errorf("assayd %s of nothing: exit %d\n%s", command, code, stderr)
			}
		}
	})
}

// TestRebuild: books that are gone are written anew from the journal; those that
// are there are left alone, but for --replace.
func TestRebuild(t *testing.T) {
	h := newHistory(t)
	same := func() {
		t.Helper()
		h.b.equal(h.who)
		h.audit(t)
		var chain []string
		for _, block := range h.b.blocks() {
			chain = append(chain, hex.EncodeToString(block.ID[:]))
		}
		if slices.Sort(chain); !slices.Equal(chain, h.chain) {
			t.Errorf("the books have the blocks %v, had %v", chain, h.chain)
		}
	}
	before := fmt.Sprint(h.b.rounds())
	h.runs(t, 1, "ledger rebuild", nil, "there are books of this pool in redis already", "--replace")
	same()
	h.redis.CLI("FLUSHALL")
	h.runs(t, 0, "ledger rebuild", nil, "the books of pool default are written")
	same()
	if after := fmt.Sprint(h.b.rounds()); sums(after) != sums(before) {
		t.Errorf("the rounds are\n%s\nwere\n%s", after, before)
	}
	h.redis.CLI("HINCRBY", "{default}:chunk:1", walletA, "5")
	h.runs(t, 1, "ledger audit", nil, "chunk 1")
	h.runs(t, 0, "ledger rebuild", []string{"--replace"}, "keys of pool default deleted", "are written")
	same()
	n := h.start(t) // goes on where the books are
	c := hire(t, h.rig(walletB, "two"))
	c.mine(n, 2)
	more := c.rest()[0]
	n.stop()
	for i := range h.who {
		if h.who[i].worker == more.worker {
			h.who[i].hashes, h.who[i].shares = h.who[i].hashes+more.hashes, h.who[i].shares+more.shares
		}
	}
	h.b.equal(h.who)
	h.audit(t)
}

// sums takes the times out of printed rounds: those of a rebuild are its own.
func sums(text string) string {
	return regexp.MustCompile(`\{wall:[^}]*\}|\d{4}-\d\d-\d\d [^{}]*? UTC( m=\S+)?`).ReplaceAllString(text, "")
}

// inRecord is how far behind a credit's first byte oldCredit points: credits have 20
// bytes and more.
const inRecord = 10

// oldCredit is a place in the middle of a credit's record, in a segment that is not
// the last. A segment's records end with its file, and the next begins there.
func (h *history) oldCredit(t *testing.T) (file string, offset int) {
	t.Helper()
	var credits []record
	for line := range strings.Lines(h.runs(t, 0, "journal inspect", []string{"--json", "--kind", "credit"})) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		credits = append(credits, r)
	}
	at := credits[len(credits)/2].At
	files, err := filepath.Glob(filepath.Join(h.dir, "journal", "default", "*.journal"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	base := func(file string) uint64 {
		n, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(file), ".journal"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i, file := range files[:len(files)-1] {
		if next := base(files[i+1]); base(file) <= at && at < next {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			return file, int(info.Size()) - int(next-at) + inRecord
		}
	}
	t.Fatalf("no old segment has the credit at %d: %v", at, files)
	return "", 0
}

// TestDamage flips a byte in the middle of an old segment. Verify says where, a node
// starts, and where it needs what is lost, because Redis has lost it too, it is an
// alarm and all the rest is in the books.
func TestDamage(t *testing.T) {
	h := newHistory(t)
	total := h.total()
	file, offset := h.oldCredit(t)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	raw[offset] ^= 0x10
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(file)
	text := h.runs(t, 1, "journal verify", nil, "cannot be read: ", "in "+name+" at byte ")
	m := regexp.MustCompile(regexp.QuoteMeta(name) + ` at byte (\d+), with (\d+) hashes in (\d+) shares`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("journal verify says\n%s", text)
	}
	var at int
	var lost work
	if _, err := fmt.Sscan(strings.Join(m[1:], " "), &at, &lost.hashes, &lost.shares); err != nil || at > offset || at < offset-inRecord {
		t.Errorf("the byte at %d was flipped: %s %v", offset, m[0], err)
	}
	h.runs(t, 1, "journal verify", []string{"--json"}, `"damage":[`, name)
	h.runs(t, 1, "ledger audit", nil)

	n := h.start(t) // Redis has it all: nothing is missing
	if gaps := n.metric("assay_ledger_gaps_total", "", ""); gaps != 0 {
		t.Errorf("%v gaps of what Redis has", gaps)
	}
	n.stop()
	h.b.equal(h.who)

	h.redis.CLI("FLUSHALL")
	n = h.start(t)
	n.logs("a part of the journal is gone before it was applied: its shares are missing in the books")
	n.wait("the rest in Redis", func() error {
		if waits := n.metric("assay_ledger_pending_bytes", "", ""); waits != 0 {
			return fmt.Errorf("%v bytes wait", waits)
		}
		return nil
	})
	s := n.metrics()
	if gaps, hashes, shares := s.Sum("assay_ledger_gaps_total", "", ""), s.Sum("assay_ledger_lost_hashes_total", "", ""), s.Sum("assay_ledger_lost_shares_total", "", ""); gaps == 0 ||
		hashes != float64(lost.hashes) || shares != float64(lost.shares) {
		t.Errorf("the metrics have %v gaps with %v hashes in %v shares, verify %+v", gaps, hashes, shares, lost)
	}
	if _, body, err := n.get("/readyz"); err != nil || !strings.Contains(body, "parts of the journal are missing in the books") {
		t.Errorf("/readyz: %s %v", body, err)
	}
	n.stop()
	if got := h.b.sum()[""]; got != (work{total.hashes - lost.hashes, total.shares - lost.shares}) {
		t.Errorf("the books have %+v, %+v were told and %+v are lost", got, total, lost)
	}
	h.runs(t, 1, "ledger audit", nil, "never applied", "cannot be read")
}
