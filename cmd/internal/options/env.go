package options

import (
	"fmt"
	"sort"
	"strings"
)

// scanEnv reads the variables that begin with the prefix. What names no flag
// is warned about and not refused: other programs may share the prefix.
func scanEnv(s *Set, environ []string) layer {
	given := layer{}
	byEnv := map[string]string{}
	for _, name := range s.names() {
		byEnv[s.env(name)] = name
	}
	sorted := append([]string(nil), environ...)
	sort.Strings(sorted) // warnings in a stable order
	for _, entry := range sorted {
		variable, value, ok := strings.Cut(entry, "=")
		if !ok || !strings.HasPrefix(variable, s.envPrefix+"_") {
			continue
		}
		name, known := byEnv[variable]
		if !known || s.find(name).commandLineOnly {
			s.warn("environment: %s is no setting of %s and is ignored%s", variable, s.program, s.suggestEnv(variable))
			continue
		}
		if !s.find(name).list {
			given[name] = []assignment{{value, "env " + variable}}
			continue
		}
		for _, line := range strings.Split(value, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				given[name] = append(given[name], assignment{line, "env " + variable})
			}
		}
		if given[name] == nil {
			given[name] = []assignment{{"", "env " + variable}}
		}
	}
	return given
}

func (s *Set) warn(format string, args ...any) {
	s.warnings = append(s.warnings, fmt.Sprintf(format, args...))
}

// suggestEnv names the variable nearest to a mistyped one.
func (s *Set) suggestEnv(variable string) string {
	typed := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(variable, s.envPrefix+"_"), "_", "-"))
	if near := nearest(typed, s.names()); near != "" {
		return "; did you mean " + s.env(near)
	}
	return ""
}

// suggest is "; did you mean X", or nothing when no name is near.
func (s *Set) suggest(name, dashes string) string {
	if near := nearest(strings.ReplaceAll(strings.ToLower(name), "_", "-"), s.names()); near != "" {
		return "; did you mean " + dashes + near
	}
	return ""
}

// nearest finds the name with the smallest edit distance, at most a third of
// the length typed.
func nearest(typed string, names []string) string {
	const longest = 64 // no flag is longer; bounds the quadratic work
	if len(typed) > longest {
		return ""
	}
	best, limit := "", len(typed)/3+1
	for _, name := range names {
		if d := distance(typed, name); d < limit {
			best, limit = name, d
		}
	}
	return best
}

// distance is Levenshtein's, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
