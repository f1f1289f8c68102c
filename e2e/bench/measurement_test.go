package main

import (
	"testing"
	"time"
)

func TestComplete(t *testing.T) {
	whole := measurement{Count: 10, Rate: 5, Average: 1, P50: 1, P99: 2, User: 1, Resident: 1 << 20}
	change := func(f func(*measurement)) measurement {
		m := whole
		f(&m)
		return m
	}
	tests := map[string]struct {
		m       measurement
		unit    unit
		proxied bool
		fails   bool
	}{
		"whole":                       {whole, transactions, true, false},
		"direct":                      {change(func(m *measurement) { m.User, m.Resident = 0, 0 }), transactions, false, false},
		"bulk has no latencies":       {change(func(m *measurement) { m.Average, m.P50, m.P99 = 0, 0, 0 }), megabytes, true, false},
		"nothing done":                {change(func(m *measurement) { m.Rate = 0 }), megabytes, true, true},
		"nothing counted":             {change(func(m *measurement) { m.Count = 0 }), transactions, true, true},
		"no log of the transactions":  {change(func(m *measurement) { m.P99 = 0 }), transactions, true, true},
		"no CPU time":                 {change(func(m *measurement) { m.User = 0 }), transactions, true, true},
		"no memory":                   {change(func(m *measurement) { m.Resident = 0 }), megabytes, true, true},
		"notifications without delay": {change(func(m *measurement) { m.P50 = 0 }), notifications, true, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := test.m.complete(workload{Unit: test.unit}, test.proxied); (err != nil) != test.fails {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestMeasurementOf(t *testing.T) {
	by := &meter{used: usage{user: 3 * time.Second, system: time.Second}, counted: 1_000_000, resident: 5}
	m := measurement{}.latencies([]time.Duration{time.Millisecond, 2 * time.Millisecond, 9 * time.Millisecond}).watched(by)
	if m.User != 3 || m.System != 1 || m.cpu() != 4 || m.Resident != 5 || m.P50 != 2000 || m.P99 != 9000 {
		t.Errorf("%+v", m)
	}
}

// TestRows: every row has what it is run and reported by.
func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range everything() {
		if w.Name == "" || w.Clients < 1 || w.Unit == "" || w.exercise == nil || seen[w.Name] {
			t.Errorf("row %+v", w)
		}
		seen[w.Name] = true
		for _, g := range w.goals {
			if g.limit <= 0 || g.direction == "" || g.measure == "" || (g.against == "") != (g.measure == slowest) {
				t.Errorf("%s has the goal %+v", w.Name, g)
			}
		}
	}
}
