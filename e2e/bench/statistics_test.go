package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSpreadOf(t *testing.T) {
	tests := map[string]struct {
		values []float64
		want   spread
	}{
		"none": {nil, spread{}},
		"one":  {[]float64{3}, spread{3, 3, 3}},
		"two":  {[]float64{4, 2}, spread{3, 2, 4}},
		"odd":  {[]float64{9, 1, 2}, spread{2, 1, 9}},
		"even": {[]float64{9, 1, 2, 4}, spread{3, 1, 9}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, spreadOf(test.values)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSummarise(t *testing.T) {
	w := workload{Name: "w", Clients: 1}
	var all []measurement
	// The machine is half as fast in the second round; the ratio is the same.
	for round, speed := range []float64{1, 0.5, 2} {
		all = append(all,
			measurement{Round: round + 1, Workload: "w", Target: "a", Rate: 100 * speed, User: 1, System: 3},
			measurement{Round: round + 1, Workload: "w", Target: "b", Rate: 80 * speed},
			measurement{Round: round + 1, Workload: "another", Target: "a", Rate: 1})
	}
	got := summarise([]workload{w}, []string{"a", "b"}, all)
	if len(got) != 2 {
		t.Fatalf("%d summaries", len(got))
	}
	b := got[1]
	if diff := cmp.Diff(spread{80, 40, 160}, b.Rate); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]spread{"a": {0.8, 0.8, 0.8}, "b": {1, 1, 1}}, b.RateRatio); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(spread{4, 4, 4}, got[0].CPU); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]spread{"a": {}, "b": {}}, b.CPURatio); diff != "" {
		t.Error("a ratio of what was not measured:", diff)
	}
}

func TestRatiosWithinRounds(t *testing.T) {
	of := []measurement{{Round: 1, Rate: 10}, {Round: 2, Rate: 10}, {Round: 3, Rate: 10}}
	to := []measurement{{Round: 2, Rate: 5}, {Round: 3, Rate: 0}, {Round: 4, Rate: 1}}
	got := ratios(of, to, func(m measurement) float64 { return m.Rate })
	if diff := cmp.Diff(spread{2, 2, 2}, got); diff != "" {
		t.Error(diff)
	}
}
