package crash

import (
	"os"
	"regexp"
	"testing"
)

// Every constant must be in Points, or a test that goes through all would miss it.
func TestPointsAreAll(t *testing.T) {
	source, err := os.ReadFile("points.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[Point]bool{}
	for _, p := range Points() {
		if listed[p] {
			t.Errorf("%s is listed twice", p)
		}
		listed[p] = true
	}
	declared := regexp.MustCompile(`Point = "([^"]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(declared) < 20 {
		t.Fatalf("found only %d constants in points.go", len(declared))
	}
	for _, d := range declared {
		if !listed[Point(d[1])] {
			t.Errorf("%s is declared but not in Points", d[1])
		}
	}
	if len(listed) != len(declared) {
		t.Errorf("%d points are listed, %d declared", len(listed), len(declared))
	}
}
