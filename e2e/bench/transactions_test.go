package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseLog(t *testing.T) {
	got, err := parseLog([]time.Duration{1}, strings.NewReader("0 199 2241 0 1175850568 995598\n15 3 85 0 1175850569 0\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]time.Duration{1, 2241 * time.Microsecond, 85 * time.Microsecond}, got); diff != "" {
		t.Error(diff)
	}
	for name, log := range map[string]string{
		"short":      "0 199 2241 0 1175850568\n",
		"failed":     "3 0 failed 0 1499414498 84905\n",
		"aggregated": "0 1.5 2241 0 1175850568 995598\nx\n",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parseLog(nil, strings.NewReader(log)); err == nil {
				t.Errorf("got %v and no error", got)
			}
		})
	}
}

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	tests := map[string]struct {
		values []time.Duration
		p      int
		want   time.Duration
	}{
		"none":           {nil, 99, 0},
		"one":            {hundred[:1], 99, 1},
		"median of one":  {hundred[:1], 50, 1},
		"median":         {hundred, 50, 50},
		"median of odd":  {hundred[:3], 50, 2},
		"99":             {hundred, 99, 99},
		"99 of a few":    {hundred[:10], 99, 10},
		"100":            {hundred, 100, 100},
		"0 is the least": {hundred, 0, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := percentile(test.values, test.p); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}
