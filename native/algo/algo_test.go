package algo

import (
	"strings"
	"testing"
)

func TestParseCanonical(t *testing.T) {
	for _, id := range All() {
		for _, name := range []string{id.String(), strings.ToUpper(id.String()), " " + id.String() + " "} {
			got, err := Parse(name)
			if err != nil || got != id {
				t.Errorf("Parse(%q) = %v, %v; want %v", name, got, err, id)
			}
		}
		if id.Family() == NoFamily {
			t.Errorf("%v has no family", id)
		}
	}
}

func TestParseAliases(t *testing.T) {
	for name, want := range aliases {
		if got, err := Parse(name); err != nil || got != want {
			t.Errorf("Parse(%q) = %v, %v; want %v", name, got, err, want)
		}
		for _, id := range All() {
			if id.String() == name && id != want {
				t.Errorf("alias %q of %v is the name of %v", name, want, id)
			}
		}
	}
}

func TestParseUnknown(t *testing.T) {
	for _, name := range []string{"", "unknown", "rx/9", "cn/"} {
		if id, err := Parse(name); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", name, id)
		}
	}
	if ID(250).String() != "unknown" || ID(250).Family() != NoFamily || Unknown.Family() != NoFamily {
		t.Error("an ID out of range is not the unknown algorithm")
	}
}

func TestNeeds(t *testing.T) {
	for _, id := range All() {
		if id.NeedsSeed() != strings.HasPrefix(id.String(), "rx/") {
			t.Errorf("%v: NeedsSeed = %v", id, id.NeedsSeed())
		}
		if id.NeedsHeight() != (id == CNR || id == CNWOW) {
			t.Errorf("%v: NeedsHeight = %v", id, id.NeedsHeight())
		}
	}
}
