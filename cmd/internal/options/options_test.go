package options

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type testPool struct {
	wallet, secret string
	listen         []string
	diff           uint64
}

// testConfig is one of every kind of flag.
type testConfig struct {
	set     *Set
	workers int
	ratio   float64
	wait    time.Duration
	size    int
	mode    string
	verbose bool
	plain   bool
	level   slog.Level
	admin   string
	pools   *PoolList[testPool]
}

func newTest() *testConfig {
	c := &testConfig{set: New("prog", "TEST")}
	f := c.set.Process()
	f.Group("Numbers")
	f.Int(&c.workers, "workers", 2, 1, 64, "Hash `threads`.")
	f.Float(&c.ratio, "ratio", 0.5, 0, 1, "A ratio.")
	f.Duration(&c.wait, "batch-wait", time.Millisecond, 0, time.Second, "How long.")
	f.Size(&c.size, "buffer", 64<<10, 1024, 1<<30, "How much.")
	f.Group("Words")
	f.Enum(&c.mode, "mode", "auto", []string{"auto", "light", "full"}, "Which.")
	f.Bool(&c.verbose, "verbose", false, "More.")
	f.Unless(&c.plain, "colour", "Colours.")
	f.Text(&c.level, "log-level", []string{"info", "warn"}, "Least level.")
	f.Secret(&c.admin, "admin-token", "The admin's token.")
	c.pools = Pools(c.set, func(f *Flags, p *testPool) {
		f.Group("Pool")
		f.String(&p.wallet, "wallet", "none", "Where to.")
		f.Secret(&p.secret, "redis-password", "Redis' password.")
		f.Strings(&p.listen, "listen", []string{":3333"}, "Ports.")
		f.Difficulty(&p.diff, "start-difficulty", 1000, 1, "Where vardiff starts.")
	})
	return c
}

func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // past the umask
		t.Fatal(err)
	}
	return path
}

func (c *testConfig) parse(t *testing.T, file string, env []string, args ...string) error {
	t.Helper()
	if file != "" {
		args = append(args, "--config", write(t, "f.conf", file, 0o600))
	}
	return c.set.Parse(args, env)
}

// show is everything a test compares, on one line.
func (c *testConfig) show() string {
	s := fmt.Sprintf("%v %v %v %v %v %v %v %v", c.workers, c.ratio, c.wait, c.size, c.mode, c.verbose, c.plain, c.level)
	for _, p := range c.pools.All() {
		s += fmt.Sprintf(" %s:%s%v%d", p.Name, p.Config.wallet, p.Config.listen, p.Config.diff)
	}
	return s
}

func TestPrecedence(t *testing.T) {
	const rest = " 0.5 1ms 65536 auto false false INFO"
	for name, tc := range map[string]struct {
		file string
		env  []string
		args []string
		want string
	}{
		"defaults":           {want: "2" + rest + " default:none[:3333]1000"},
		"file":               {file: "workers = 3", want: "3" + rest + " default:none[:3333]1000"},
		"env over file":      {file: "workers = 3", env: []string{"TEST_WORKERS=4"}, want: "4" + rest + " default:none[:3333]1000"},
		"flag over env":      {file: "workers = 3", env: []string{"TEST_WORKERS=4"}, args: []string{"--workers=5"}, want: "5" + rest + " default:none[:3333]1000"},
		"last flag wins":     {args: []string{"--workers=5", "--workers", "6"}, want: "6" + rest + " default:none[:3333]1000"},
		"lists are replaced": {file: "listen = :1\nlisten = :2", args: []string{"--listen", "a,b:3"}, want: "2" + rest + " default:none[a,b:3]1000"},
		"list in file":       {file: "listen = :1\nlisten = :2,x", want: "2" + rest + " default:none[:1 :2,x]1000"},
		"list emptied":       {file: "listen =", want: "2" + rest + " default:none[]1000"},
		"list in env":        {env: []string{"TEST_LISTEN=:1\n :2 \n"}, want: "2" + rest + " default:none[:1 :2]1000"},
		"section over top": {file: "wallet = top\nstart-difficulty=9\n[pool a]\nwallet = own\n[pool b-2]\nlisten = :4",
			want: "2" + rest + " a:own[:3333]9 b-2:top[:4]9"},
		"flag over section": {file: "[pool a]\nwallet = own\n[pool b]", args: []string{"--wallet", "cli"},
			want: "2" + rest + " a:cli[:3333]1000 b:cli[:3333]1000"},
		"env over section": {file: "[pool a]\nwallet = own", env: []string{"TEST_WALLET=env"}, want: "2" + rest + " a:env[:3333]1000"},
		"every kind": {file: "\ufeff# c\r\nratio = 1\r\nbatch-wait=2ms # why\nbuffer = 2 MiB\nmode=full\nverbose=1\ncolour = false\nlog-level = warn\nwallet = a#b\nstart-difficulty = 25k",
			want: "2 1 2ms 2097152 full true true WARN default:a#b[:3333]25000"},
		"switch off":  {file: "verbose = true", args: []string{"--verbose=false"}, want: "2" + rest + " default:none[:3333]1000"},
		"path in env": {env: []string{"TEST_CONFIG=" + write(t, "e.conf", "workers = 8", 0o600)}, want: "8" + rest + " default:none[:3333]1000"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTest()
			if err := c.parse(t, tc.file, tc.env, tc.args...); err != nil {
				t.Fatal(err)
			}
			if got := c.show(); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		file string
		env  []string
		args []string
		want []string // one part of each error, in order
	}{
		"unknown flag":        {args: []string{"--worker", "3"}, want: []string{"--worker: unknown flag; did you mean --workers"}},
		"one dash":            {args: []string{"-workers", "3"}, want: []string{"two dashes: write --workers"}},
		"one dash and =":      {args: []string{"-workers=3"}, want: []string{"two dashes: write --workers=3"}},
		"stray word":          {args: []string{"workers"}, want: []string{"did you mean --workers"}},
		"switch with a word":  {args: []string{"--verbose", "true"}, want: []string{"unexpected word"}},
		"no value":            {args: []string{"--workers"}, want: []string{"--workers: needs a value"}},
		"all at once":         {args: []string{"--workers=0", "--nope", "--mode=fast", "--wallet=x"}, file: "ratio = 2\nbad", env: []string{"TEST_BUFFER=1"}, want: []string{"--nope", `f.conf:2: "bad" has no value`, "--workers: 0 is not between 1 and 64", "f.conf:1: ratio: 2 is not between", "environment: TEST_BUFFER: 1 is not between 1KiB and 1GiB", `--mode: "fast" is not one of auto, light, full`}},
		"env switch":          {env: []string{"TEST_VERBOSE=yes"}, want: []string{`environment: TEST_VERBOSE: "yes" is not true or false`}},
		"unknown name":        {file: "\n\nworkerz = 3", want: []string{`f.conf:3: unknown name "workerz"; did you mean workers`}},
		"twice":               {file: "workers = 3\nworkers = 4", want: []string{"f.conf:2: workers is already set at"}},
		"twice in a section":  {file: "[pool a]\nwallet = 3\nwallet = 4", want: []string{"f.conf:3: wallet is already set at"}},
		"process in section":  {file: "[pool a]\nworkers = 3", want: []string{"f.conf:2: workers belongs to the whole process; move it above"}},
		"section twice":       {file: "[pool a]\n[pool a]", want: []string{"f.conf:2: pool a is already at"}},
		"section kind":        {file: "[coin a]\nwallet = x\nwallet = y", want: []string{"f.conf:1: unknown section [coin a]; write [pool NAME]"}},
		"section open":        {file: "[pool a", want: []string{"without its ]"}},
		"section name":        {file: "[pool A]", want: []string{`pool name "A"`}},
		"no value in file":    {file: "verbose", want: []string{"verbose = true"}},
		"no name":             {file: "= 3", want: []string{"no name before the ="}},
		"dashes":              {file: "--workers = 3", want: []string{"no dashes before them here; write workers"}},
		"sentence":            {file: "use three workers", want: []string{"expected name = value"}},
		"quotes":              {file: `wallet = "4abc"`, want: []string{"quotes are not removed"}},
		"only on the line":    {file: "check-config = true\nconfig = x", want: []string{"f.conf:1: check-config cannot be set in a file", "f.conf:2: config cannot"}},
		"binary":              {file: "workers = 3\n\x7fELF\x00", want: []string{"f.conf:2: not UTF-8 text"}},
		"latin-1":             {file: "wallet = \xe9", want: []string{"f.conf:1: not UTF-8 text"}},
		"long line":           {file: "wallet = " + strings.Repeat("x", MaxLineBytes), want: []string{"f.conf:1: line longer than 4096"}},
		"long file":           {file: strings.Repeat("# x\n", MaxFileBytes/4+1), want: []string{"larger than 1MiB"}},
		"too many pools":      {file: manyPools(MaxPools + 1), want: []string{"more than 64 pools"}},
		"no unit":             {args: []string{"--batch-wait=3"}, want: []string{`"3" has no unit; write 3ms, 3s or 3m`}},
		"not a duration":      {args: []string{"--batch-wait=x"}, want: []string{"not a duration"}},
		"long duration":       {args: []string{"--batch-wait=10m"}, want: []string{"10m is not between 0s and 1s"}},
		"size":                {args: []string{"--buffer=1.5MiB"}, want: []string{"is not a size"}},
		"huge size":           {args: []string{"--buffer=99999999999TiB"}, want: []string{"is not between"}},
		"negative difficulty": {args: []string{"--start-difficulty=-1"}, want: []string{"is not a difficulty"}},
		"no difficulty":       {args: []string{"--start-difficulty=0"}, want: []string{"0 is less than 1"}},
		"huge difficulty":     {args: []string{"--start-difficulty=99999999T"}, want: []string{"does not fit 64 bits"}},
		"one error for all":   {file: "[pool a]\n[pool b]", args: []string{"--start-difficulty=0"}, want: []string{"0 is less than 1"}},
		"nan":                 {args: []string{"--ratio=NaN"}, want: []string{"is not a number"}},
		"no switch":           {args: []string{"--colour=maybe"}, want: []string{`"maybe" is not true or false`}},
		"unknown word":        {args: []string{"--log-level=loud"}, want: []string{`"loud" is not one of info, warn`}},
		"no such file":        {args: []string{"--config=/nonexistent/x"}, want: []string{"--config: open"}},
		"folder":              {args: []string{"--config=/"}, want: []string{"not a regular file"}},
		"no such secret":      {args: []string{"--admin-token-file=/nonexistent/x"}, want: []string{"--admin-token-file: open"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Errors(newTest().parse(t, tc.file, tc.env, tc.args...))
			if len(got) != len(tc.want) {
				t.Fatalf("got %d errors, want %d: %v", len(got), len(tc.want), got)
			}
			for i, part := range tc.want {
				if !strings.Contains(got[i].Error(), part) {
					t.Errorf("error %d is %q, want %q in it", i, got[i], part)
				}
			}
		})
	}
}

func manyPools(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[pool p%d]\n", i)
	}
	return b.String()
}

func TestSecrets(t *testing.T) {
	for name, tc := range map[string]struct {
		text, want, err, warning string
		mode                     os.FileMode
	}{
		"plain":      {text: "hunter2", want: "hunter2", mode: 0o600},
		"newline":    {text: "hunter2\n", want: "hunter2", mode: 0o640},
		"newlines":   {text: "hunter2\n\n", want: "hunter2", mode: 0o600},
		"windows":    {text: "hunter2\r\n", want: "hunter2", mode: 0o600},
		"notepad":    {text: "\ufeffhunter2\r\n\r\n", want: "hunter2", mode: 0o600},
		"blanks":     {text: " a b \n", want: " a b ", mode: 0o600, warning: "has a blank at an end of its line, which is taken as it stands"},
		"two lines":  {text: "hunter2\nhunter3\n", want: "hunter2", mode: 0o600, warning: "more than one line"},
		"mark only":  {text: "\ufeff\r\n", err: "is empty", mode: 0o600},
		"readable":   {text: "hunter2", want: "hunter2", mode: 0o644, warning: "can be read by every user; run: chmod o-r"},
		"empty":      {text: "\n", err: "is empty", mode: 0o600},
		"long":       {text: strings.Repeat("x", MaxSecretBytes+1), err: "longer than", mode: 0o600},
		"zero bytes": {text: "a\x00b", err: "zero byte", mode: 0o600},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTest()
			path := write(t, "secret", tc.text, tc.mode)
			err := c.parse(t, "redis-password-file = "+path, nil)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || !strings.Contains(err.Error(), "f.conf:1") {
					t.Fatalf("error %v, want %q and the line", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := c.pools.All()[0].Config.secret; got != tc.want {
				t.Errorf("secret %q, want %q", got, tc.want)
			}
			if got := strings.Join(c.set.warnings, "\n"); tc.warning == "" && got != "" || !strings.Contains(got, tc.warning) {
				t.Errorf("warnings %q, want %q", got, tc.warning)
			}
			var out bytes.Buffer
			c.set.Print(&out)
			if strings.Contains(out.String(), "hunter2") || !strings.Contains(out.String(), path) {
				t.Errorf("print-config shows the secret or hides its path:\n%s", &out)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	c := newTest()
	err := c.parse(t, "workers = 3\n[pool a]\nwallet = x", []string{"TEST_WORKRES=1", "TEST_HELP=true", "OTHER=1", "TEST_WALLET=y", "TEST_WORKERS=5"})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(c.set.warnings, "\n")
	for _, want := range []string{
		"TEST_WORKRES is no setting of prog and is ignored; did you mean TEST_WORKERS",
		"TEST_HELP is no setting",
		"pool a: wallet from env TEST_WALLET hides", "f.conf:3",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no warning %q in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "OTHER") || c.workers != 5 {
		t.Errorf("workers %d, warnings:\n%s", c.workers, got)
	}
}

func TestLoad(t *testing.T) {
	for name, tc := range map[string]struct {
		args           []string
		code           int
		run            bool
		stdout, stderr string
	}{
		"run":                 {run: true},
		"help":                {args: []string{"--nope", "--help"}, stdout: "--batch-wait duration  (default 1ms)"},
		"short help":          {args: []string{"-h"}, stdout: "Usage: prog"},
		"version":             {args: []string{"--version"}, stdout: "prog v9"},
		"check":               {args: []string{"--check-config"}, stdout: "configuration is good"},
		"check with error":    {args: []string{"--check-config", "--workers=x"}, code: 2, stderr: `prog: --workers: "x" is not a whole number`},
		"print":               {args: []string{"--print-config", "--workers=9"}, stdout: "workers = 9                                  # flag"},
		"error":               {args: []string{"-workers", "3"}, code: 2, stderr: "two dashes"},
		"check by the set":    {args: []string{"--workers=13"}, code: 2, stderr: "13 is unlucky"},
		"many errors":         {args: strings.Split(strings.Repeat("--nope ", 60)+"--nope", " "), code: 2, stderr: "and 11 more errors"},
		"bad switch for help": {args: []string{"--help=maybe"}, code: 2, stderr: "is not true or false"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTest()
			c.set.Version("v9")
			c.set.Check(func() []error {
				if c.workers == 13 {
					return []error{fmt.Errorf("13 is unlucky")}
				}
				return nil
			})
			var out, errOut bytes.Buffer
			code, run := c.set.Load(tc.args, nil, &out, &errOut)
			if code != tc.code || run != tc.run {
				t.Errorf("code %d run %v; stderr %s", code, run, &errOut)
			}
			if !strings.Contains(out.String(), tc.stdout) || !strings.Contains(errOut.String(), tc.stderr) {
				t.Errorf("stdout:\n%s\nstderr:\n%s", &out, &errOut)
			}
		})
	}
}

// What --print-config writes is a config file that gives the same values.
func TestPrintRoundTrip(t *testing.T) {
	first := newTest()
	err := first.parse(t, "colour = false\nlog-level = warn\nlisten = :1\nlisten = :2\n[pool a]\nwallet = x#y\n[pool b]\nlisten =", []string{"TEST_BUFFER=3MiB"}, "--verbose")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	first.set.Print(&out)
	second := newTest()
	if err := second.parse(t, out.String(), nil); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if first.show() != second.show() {
		t.Errorf("got  %s\nwant %s\n%s", second.show(), first.show(), &out)
	}
	for _, source := range []string{"# flag", "# env TEST_BUFFER", "f.conf:1", "f.conf:6", "# default"} {
		if !strings.Contains(out.String(), source) {
			t.Errorf("no source %q in\n%s", source, &out)
		}
	}
}

// Every pool has variables of its own.
func TestPoolsAreSeparate(t *testing.T) {
	c := newTest()
	if err := c.parse(t, "[pool a]\n[pool b]", nil); err != nil {
		t.Fatal(err)
	}
	all := c.pools.All()
	all[0].Config.listen[0] = "changed"
	if all[1].Config.listen[0] != ":3333" {
		t.Error("two pools share one default list")
	}
}

func FuzzFile(f *testing.F) {
	for _, seed := range []string{"", "a = b", "[pool x]\nwallet = 4\n", "workers=\xff", "[", "[]", "[pool ]", "=\n#\n = # x", "listen=\r\n\ufeff", "\ufeff[pool a]\nlisten ="} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, errs := parseFile("f", data)
		if parsed == nil {
			if len(errs) == 0 {
				t.Fatal("neither a file nor an error")
			}
			return
		}
		lines := bytes.Count(data, []byte("\n")) + 1
		total := len(errs) + len(parsed.top.lines)
		for _, s := range parsed.sections {
			if !validPoolName(s.name) {
				t.Fatalf("pool name %q", s.name)
			}
			total += 1 + len(s.lines)
		}
		if total > lines {
			t.Fatalf("%d results from %d lines", total, lines)
		}
		c := newTest()
		top, _ := c.set.fileLayer(&parsed.top, "")
		c.set.apply(c.set.process, top)
	})
}
