package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGoals(t *testing.T) {
	r := exampleReport(t)
	var got []string
	for _, v := range r.Goals {
		met := " not met"
		if v.Met {
			met = " met"
		}
		got = append(got, v.Goal+met)
	}
	want := []string{
		"-S prepared, 16: throughput, × PgBouncer met",
		"-S prepared, 16: CPU for each, × PgBouncer not met",
		"Vault takes 200ms, 1: p99 not met",
		"result of 200 MB, rows of 1 kB: throughput, × direct TLS met",
		"result of 200 MB, rows of 1 kB: throughput, × PgBouncer met",
		"an idle session of 1000, besides two TLS connections met",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestGoalsAgainstEachPgBouncer: to be better than an old one is not enough.
func TestGoalsAgainstEachPgBouncer(t *testing.T) {
	s := summary{Workload: "w", Target: sallyportName, RateRatio: map[string]spread{
		pgbouncerName: {Median: 1.1}, "PgBouncer 1.25.2": {Median: 0.9},
	}}
	got, err := goal{throughput, atLeast, 1, pgbouncerName}.judge(s, []described{{Name: directName}, {Name: pgbouncerName}, {Name: "PgBouncer 1.25.2"}})
	if err != nil || len(got) != 2 || !got[0].Met || got[1].Met {
		t.Errorf("got %v, error %v", got, err)
	}
}

func TestGoalNotMeasured(t *testing.T) {
	s := summary{Workload: "w", Target: sallyportName, CPURatio: map[string]spread{}}
	if got, err := (goal{cpu, atMost, 1, pgbouncerName}).judge(s, []described{{Name: pgbouncerName}}); err == nil {
		t.Errorf("got %v", got)
	}
	if got, err := (goal{cpu, atMost, 1, pgbouncerName}).judge(s, []described{{Name: directName}}); err != nil || len(got) != 0 {
		t.Errorf("against who is not there: got %v, error %v", got, err)
	}
}

func TestMet(t *testing.T) {
	for name, test := range map[string]struct {
		direction    direction
		value, limit float64
		want         bool
	}{
		"more":     {atLeast, 1.1, 1, true},
		"as much":  {atLeast, 1, 1, true},
		"less":     {atLeast, 0.99, 1, false},
		"cheaper":  {atMost, 0.9, 1, true},
		"as dear":  {atMost, 1, 1, true},
		"too dear": {atMost, 1.01, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.direction.met(test.value, test.limit); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
