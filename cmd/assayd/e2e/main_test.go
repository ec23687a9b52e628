package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-pool/assay/bench/miner"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/pow"
	"github.com/assay-pool/assay/native/randomx"
)

// version is what the node is built with, so that --version can be held to it.
const version = "e2e-test"

// Set by TestMain before any test, and never again.
var (
	assayd  string           // the node
	hashers *miner.Native    // RandomX of all miners of this process
	epochs  *randomx.Manager // behind hashers
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "assay-e2e-")
	if err != nil {
		return failed("folder for the node's binary", err)
	}
	defer os.RemoveAll(dir)
	assayd = filepath.Join(dir, "assayd")
	args := append([]string{"build", "-ldflags", "-X main.version=" + version, "-o", assayd}, raceFlags()...)
	if out, err := exec.Command("go", append(args, "github.com/assay-pool/assay/cmd/assayd")...).CombinedOutput(); err != nil {
		return failed("build assayd", fmt.Errorf("%w\n%s", err, out))
	}
	info, err := cpu.Detect(nil)
	if err != nil {
		return failed("look at the CPU", err)
	}
	if epochs, err = randomx.New(randomx.Config{Mode: randomx.ModeLight, CPU: info}); err != nil {
		return failed("start RandomX", err)
	}
	defer epochs.Close()
	hashers = miner.NewNative(pow.Engines{RandomX: epochs})
	return m.Run()
}

func failed(what string, err error) int {
	fmt.Fprintf(os.Stderr, "e2e: %s: %v\n", what, err)
	return 1
}

// sources looks at every source file, so that go test runs a test of the node
// anew when one changes: it remembers what a test has looked at, from m.Run on.
// Importing the node's packages would not do: the linker leaves out what a test
// does not call, and a test binary that has not changed has its old result.
func sources(t *testing.T) {
	t.Helper()
	const root = "../../.."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		switch filepath.Ext(path) {
		case ".go", ".mod", ".c", ".h", ".cc", ".cpp", ".S", ".lua", ".json":
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
