package randomx

import (
	"strings"
	"testing"

	"github.com/assay-pool/assay/native/algo"
)

func TestParseMode(t *testing.T) {
	for in, want := range map[string]Mode{"auto": ModeAuto, "LIGHT": ModeLight, "Full": ModeFull} {
		if got, err := ParseMode(in); err != nil || got != want {
			t.Errorf("ParseMode(%q) = %v, %v", in, got, err)
		}
	}
	if _, err := ParseMode("fast"); err == nil || !strings.Contains(err.Error(), "auto, light or full") {
		t.Errorf("ParseMode(fast): %v", err)
	}
}

func TestSupports(t *testing.T) {
	if err := Supports(algo.RX0); err != nil {
		t.Error(err)
	}
	for id, want := range map[algo.ID]string{algo.RX2: "librandomx 2.0", algo.CNR: "cn/r is not", algo.Unknown: "unknown is not"} {
		if err := Supports(id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Supports(%v) = %v, want %q", id, err, want)
		}
	}
}
