package hashline

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cryptonight"
	"github.com/assay-pool/assay/native/randomx"
)

// Empty stands for an input of no bytes, which is a public vector of cn/gpu.
const Empty = "-"

// Key is what lines must have in common to be hashed as one batch. Heights and
// seeds that the algorithm does not depend on are left out of it.
type Key struct {
	Algo   algo.ID
	Height uint64
	Seed   string // the bytes of a RandomX key, 1 to 60
}

// Request is one line.
type Request struct {
	Key
	Input []byte
}

// options are what may follow the input.
type options struct {
	height uint64
	seed   []byte
	given  map[string]bool
}

// Parse reads ALGO INPUT_HEX [height=N] [seed=HEX], in any white space. Names
// and hex digits may be in any case. A height or seed that the algorithm does
// not depend on must be well formed but changes nothing: jobs carry both.
func Parse(line string) (Request, error) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return Request{}, fmt.Errorf("%q is not ALGO INPUT_HEX [height=N] [seed=HEX]", clip(line))
	}
	a, err := algo.Parse(words[0])
	if err != nil {
		return Request{}, fmt.Errorf("unknown algorithm %q; known are %s", clip(words[0]), names())
	}
	if err := supports(a); err != nil {
		return Request{}, err
	}
	input, err := unhex("input", words[1])
	if err != nil {
		return Request{}, err
	}
	if least := cryptonight.MinInput(a); len(input) < least {
		return Request{}, fmt.Errorf("%v needs an input of at least %d bytes, this one has %d", a, least, len(input))
	}
	o, err := parseOptions(words[2:])
	if err != nil {
		return Request{}, err
	}
	r := Request{Key{Algo: a}, input}
	if a.NeedsHeight() {
		if !o.given["height"] {
			return Request{}, fmt.Errorf("%v needs height=N, the height of the block", a)
		}
		r.Height = o.height
	}
	if a.NeedsSeed() {
		if !o.given["seed"] {
			return Request{}, fmt.Errorf("%v needs seed=HEX, the job's seed_hash", a)
		}
		r.Seed = string(o.seed)
	}
	return r, nil
}

// supports tells whether Native hashes the algorithm, or why not.
func supports(a algo.ID) error {
	if a.Family() == algo.RandomX {
		return randomx.Supports(a)
	}
	return nil
}

// names lists the algorithms that can be hashed.
func names() string {
	var list []string
	for _, a := range algo.All() {
		if supports(a) == nil {
			list = append(list, a.String())
		}
	}
	return strings.Join(list, ", ")
}

func parseOptions(words []string) (options, error) {
	o := options{given: map[string]bool{}}
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok || name != "height" && name != "seed" {
			return o, fmt.Errorf("unknown option %q; there is height=N and seed=HEX", clip(word))
		}
		if o.given[name] {
			return o, fmt.Errorf("%s is given twice", name)
		}
		o.given[name] = true
		var err error
		if name == "height" {
			o.height, err = parseHeight(value)
		} else {
			o.seed, err = parseSeed(value)
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

func parseHeight(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("height %q is not a decimal number of 64 bits", clip(s))
	}
	return n, nil
}

// parseSeed takes keys of any length RandomX knows: a coin's are 32 bytes, the
// library's own test vectors have 12.
func parseSeed(s string) ([]byte, error) {
	seed, err := unhex("seed", s)
	if err != nil {
		return nil, err
	}
	if len(seed) == 0 || len(seed) > randomx.MaxKeyBytes {
		return nil, fmt.Errorf("the seed has %d bytes; a coin's has 32, RandomX takes 1 to %d", len(seed), randomx.MaxKeyBytes)
	}
	return seed, nil
}

// unhex decodes, with an error that says where the fault is.
func unhex(what, s string) ([]byte, error) {
	if s == Empty {
		return []byte{}, nil
	}
	b, err := hex.DecodeString(s)
	var bad hex.InvalidByteError
	switch {
	case errors.As(err, &bad):
		return nil, fmt.Errorf("the %s is not hex: %q at digit %d", what, rune(bad), strings.IndexByte(s, byte(bad))+1)
	case err != nil:
		return nil, fmt.Errorf("the %s has %d hex digits, an odd number", what, len(s))
	}
	return b, nil
}

// clip bounds what an error repeats of a line.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
