package daemon

import (
	"strings"
	"testing"
)

// FuzzDecodeBlock: what is taken has bytes, what is refused gives none.
func FuzzDecodeBlock(f *testing.F) {
	id := strings.Repeat("ab", 32)
	for _, s := range []string{
		`{"status":"OK","blob":"0102","block_header":{"hash":"` + id + `"}}`,
		`{"status":"OK","blob":"","block_header":{"hash":"` + id + `"}}`,
		`{"status":"OK","blob":"012","block_header":{"hash":"` + id + `"}}`,
		`{"status":"OK","blob":"0102","block_header":{"hash":"ab"}}`,
		`{"status":"OK","blob":"0102"}`, `{"status":"BUSY","blob":"0102","block_header":{"hash":"` + id + `"}}`,
		`{"blob":1}`, `null`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, block, err := decodeBlock(b)
		if err == nil && len(block) == 0 {
			t.Errorf("%q is taken for a block without bytes", b)
		}
		if err != nil && block != nil {
			t.Errorf("%q: part of a bad answer: %x, %v", b, block, err)
		}
	})
}
