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

func exampleReport() report {
	w := selectOnly("simple", 16)
	targets := []*target{
		{name: directName, version: "PostgreSQL 15.18"},
		{name: pgbouncerName, version: "PgBouncer 1.18.0"},
		{name: sallyportName, version: "sallyport (devel)"},
	}
	r := newReport(machine{Cores: 2, Model: "Abacus", Kernel: "Linux 6", Load: "0.10", Time: time.Unix(0, 0).UTC()},
		plan{Name: "quick", Rounds: 1, Duration: 4 * time.Second, Workloads: []workload{w}}, targets,
		[]measurement{
			{Round: 1, Workload: w.Name, Target: directName, TPS: 1000, Average: 100, P50: 90, P99: 200},
			{Round: 1, Workload: w.Name, Target: pgbouncerName, TPS: 500, Average: 200, P50: 180, P99: 400, User: 4, System: 16, Resident: 10 << 20},
			{Round: 1, Workload: w.Name, Target: sallyportName, TPS: 600, Average: 150, P50: 140, P99: 300, User: 6, System: 12, Resident: 40 << 20},
		})
	r.Client = "pgbench 15.18"
	return r
}

func TestMarkdown(t *testing.T) {
	var got strings.Builder
	exampleReport().markdown(&got)
	want := `- Machine: 2 cores (Abacus), Linux 6, load 0.10 before it began, 1970-01-01 00:00:00
- Client: pgbench 15.18
- direct TLS: PostgreSQL 15.18
- PgBouncer: PgBouncer 1.18.0
- Sallyport: sallyport (devel)
- Every leg: TLSv1.3, TLS_AES_128_GCM_SHA256 (verified)
- Sallyport: policy judged and the audit log took the statement of every transaction (verified)
- Rounds: 1 of 4s a run, the targets taking turns; medians, with (smallest–largest); ratios (×) within a round
- CPU: user and system time of the proxy's processes per transaction, without logins and the first second

| pgbench       |            |              tps | × direct | × PgBouncer | latency ms |   p50 |   p99 | × PgBouncer |           CPU µs | × PgBouncer | RSS MiB |
|---------------|------------|-----------------:|---------:|------------:|-----------:|------:|------:|------------:|-----------------:|------------:|--------:|
| -S simple, 16 | direct TLS | 1000 (1000–1000) |     1.00 |        2.00 |      0.100 | 0.090 | 0.200 |        0.50 |                – |           – |       – |
| -S simple, 16 | PgBouncer  |    500 (500–500) |     0.50 |        1.00 |      0.200 | 0.180 | 0.400 |        1.00 | 20.0 (20.0–20.0) |        1.00 |      10 |
| -S simple, 16 | Sallyport  |    600 (600–600) |     0.60 |        1.20 |      0.150 | 0.140 | 0.300 |        0.75 | 18.0 (18.0–18.0) |        0.90 |      40 |
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench", "results.json")
	for range 2 { // a second run replaces the first
		if err := exampleReport().write(path); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got report
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := exampleReport()
	want.Plan.Workloads[0].args = nil
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(workload{})); diff != "" {
		t.Error(diff)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files, error %v", len(left), err)
	}
}
