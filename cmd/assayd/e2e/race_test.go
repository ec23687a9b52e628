//go:build race

package e2e

// raceFlags builds the node as the test itself was built.
func raceFlags() []string { return []string{"-race"} }
