package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBenchmarkResults(t *testing.T) {
	got := benchmarkResults([]byte(`goos: linux
BenchmarkJudge/literals-1kB-2         	   67510	     17638 ns/op	     11529 cpu-ns/op	       0 B/op	       0 allocs/op
BenchmarkJudge/literals-1kB-2         	   67713	     17132 ns/op	     11811 cpu-ns/op	       0 B/op	       0 allocs/op
BenchmarkFirstSight	     619	   2479104 ns/op	   2155956 p50-ns
PASS
`))
	want := map[string]results{
		"BenchmarkJudge/literals-1kB": {"ns/op": {17638, 17132}, "cpu-ns/op": {11529, 11811}, "B/op": {0, 0}, "allocs/op": {0, 0}},
		"BenchmarkFirstSight":         {"ns/op": {2479104}, "p50-ns": {2155956}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestMedianOfResults(t *testing.T) {
	r := results{"ns/op": {3000, 1000, 2000}, "B/op": {0}}
	for name, test := range map[string]struct{ got, want string }{
		"a median":     {r.median("ns/op", 1000, 2), "2.00"},
		"nothing":      {r.median("B/op", 1, 0), "0"},
		"not measured": {r.median("p50-ns", 1000, 0), "–"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.got != test.want {
				t.Errorf("got %s, want %s", test.got, test.want)
			}
		})
	}
}
