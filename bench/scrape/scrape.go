// Package scrape reads a node's metrics page, for the demo and for tests that
// look at a node from outside.
package scrape

import (
	"context"
	"fmt"
	"io"
	"net/http"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Sample is one reading of a node's metrics.
type Sample map[string]*dto.MetricFamily

// pageLimit bounds a metrics page, in bytes; a node's own is far smaller.
const pageLimit = 4 << 20

// Get reads the metrics page at url.
func Get(ctx context.Context, url string) (Sample, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics: %s", resp.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(resp.Body, pageLimit))
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return families, nil
}

// Sum adds up the series of a counter or gauge whose label has the value;
// label "" takes all. A metric that is not there counts as 0.
func (s Sample) Sum(name, label, value string) float64 {
	family := s[name]
	if family == nil {
		return 0
	}
	total := 0.0
	for _, m := range family.GetMetric() {
		if label != "" && labelOf(m, label) != value {
			continue
		}
		total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return total
}

// Mean is a histogram's average over all its series since the earlier Sample.
func (s Sample) Mean(earlier Sample, name string) (mean float64, ok bool) {
	sum, count := s.histogram(name)
	sum0, count0 := earlier.histogram(name)
	if count <= count0 {
		return 0, false
	}
	return (sum - sum0) / float64(count-count0), true
}

func (s Sample) histogram(name string) (sum float64, count uint64) {
	for _, m := range s[name].GetMetric() {
		sum += m.GetHistogram().GetSampleSum()
		count += m.GetHistogram().GetSampleCount()
	}
	return sum, count
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
