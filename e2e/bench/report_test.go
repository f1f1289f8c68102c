package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func exampleReport(t *testing.T) report {
	t.Helper()
	w, l, b, n := selectOnly("prepared", 16), logins()[1], result200(), listening()
	targets := []*target{
		{name: directName, version: "PostgreSQL 15.18"},
		{name: pgbouncerName, version: "PgBouncer 1.18.0"},
		{name: sallyportName, version: "sallyport (devel)"},
	}
	r, err := newReport(machine{Cores: 2, Model: "Abacus", Kernel: "Linux 6", Load: "0.10", Time: time.Unix(0, 0).UTC()},
		plan{Name: "quick", Rounds: 1, Duration: 4 * time.Second, Workloads: []workload{w, l, b, n}}, targets,
		[]measurement{
			{Round: 1, Workload: w.Name, Target: directName, Rate: 1000, Average: 100, P50: 90, P99: 200},
			{Round: 1, Workload: w.Name, Target: pgbouncerName, Rate: 500, Average: 200, P50: 180, P99: 400, User: 4, System: 16, Resident: 10 << 20},
			{Round: 1, Workload: w.Name, Target: sallyportName, Rate: 600, Average: 150, P50: 140, P99: 300, User: 6, System: 16, Resident: 40 << 20},
			{Round: 1, Workload: l.Name, Target: sallyportName, Rate: 6, Average: 21000, P50: 20000, P99: 251000, User: 4000, System: 1000, Resident: 40 << 20},
			{Round: 1, Workload: b.Name, Target: directName, Rate: 1000},
			{Round: 1, Workload: b.Name, Target: pgbouncerName, Rate: 500, User: 1000, System: 1000, Resident: 11 << 20},
			{Round: 1, Workload: b.Name, Target: sallyportName, Rate: 950, User: 500, System: 500, Resident: 41 << 20},
			{Round: 1, Workload: n.Name, Target: directName, Rate: 10, Average: 100, P50: 100, P99: 110},
			{Round: 1, Workload: n.Name, Target: pgbouncerName, Rate: 10, Average: 200, P50: 190, P99: 210, User: 8, Resident: 11 << 20},
			{Round: 1, Workload: n.Name, Target: sallyportName, Rate: 10, Average: 300, P50: 290, P99: 310, User: 12, Resident: 41 << 20},
		},
		[]idleness{
			{Target: pgbouncerName, Sessions: 1000, Without: 10 << 20, With: 10<<20 + 1000*(60<<10), Wakes: 3},
			{Target: sallyportName, Sessions: 1000, Without: 100 << 20, With: 100<<20 + 1000*(50<<10), Bare: 20 << 10, Wakes: 40, WakesWithout: 30},
		})
	if err != nil {
		t.Fatal(err)
	}
	r.Client = "pgbench 15.18"
	return r
}

func TestMarkdown(t *testing.T) {
	var got strings.Builder
	exampleReport(t).markdown(&got)
	want, err := os.ReadFile("testdata/report.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench", "results.json")
	want := exampleReport(t)
	for range 2 { // a second run replaces the first
		if err := want.write(path); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(new(report)); err != nil {
		t.Fatal(err)
	}
	got, err := readReport(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want.Plan.Workloads { // how it is done is not in the file
		want.Plan.Workloads[i].exercise, want.Plan.Workloads[i].goals, want.Plan.Workloads[i].of = nil, nil, ""
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(workload{}, plan{}, measurement{})); diff != "" {
		t.Error(diff)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files, error %v", len(left), err)
	}
}

func TestReadReportFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	if _, err := readReport(path); err == nil {
		t.Error("a file that is not there was read")
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readReport(path); err == nil {
		t.Error("half a file was read")
	}
}
