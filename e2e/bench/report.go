package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// report is bench/results.json.
type report struct {
	Machine      machine       `json:"machine"`
	Client       string        `json:"client"` // the version of pgbench
	TLS          string        `json:"tls"`    // on every leg, verified
	Plan         plan          `json:"plan"`
	Targets      []described   `json:"targets"`
	Summaries    []summary     `json:"summaries"`
	Measurements []measurement `json:"measurements"`
}

type described struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

func newReport(m machine, p plan, targets []*target, measurements []measurement) report {
	r := report{Machine: m, TLS: tlsVersion + ", " + cipherSuite, Plan: p, Measurements: measurements}
	var names []string
	for _, t := range targets {
		r.Targets = append(r.Targets, described{t.name, t.version})
		names = append(names, t.name)
	}
	r.Summaries = summarise(p.Workloads, names, measurements)
	return r
}

// write leaves the file of an earlier run alone until the new one is whole.
func (r report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return os.Rename(path+".new", path)
}

// markdown writes what people read.
func (r report) markdown(out io.Writer) {
	fmt.Fprintf(out, "- Machine: %s\n", r.Machine)
	fmt.Fprintf(out, "- Client: %s\n", r.Client)
	for _, t := range r.Targets {
		fmt.Fprintf(out, "- %s: %s\n", t.Name, t.Version)
	}
	fmt.Fprintf(out, "- Every leg: %s (verified)\n", r.TLS)
	for _, t := range r.Targets {
		if t.Name == sallyportName {
			fmt.Fprintf(out, "- %s: policy judged and the audit log took the statement of every transaction (verified)\n", t.Name)
		}
	}
	fmt.Fprintf(out, "- Rounds: %d of %v a run, the targets taking turns; medians, with (smallest–largest); ratios (×) within a round\n", r.Plan.Rounds, r.Plan.Duration)
	fmt.Fprint(out, "- CPU: user and system time of the proxy's processes per transaction, without logins and the first second\n\n")
	rows := [][]string{{
		"pgbench", "", "tps", "× direct", "× PgBouncer", "latency ms", "p50", "p99", "× PgBouncer", "CPU µs", "× PgBouncer", "RSS MiB",
	}}
	for _, s := range r.Summaries {
		rows = append(rows, s.row())
	}
	writeTable(out, rows)
}

func (s summary) row() []string {
	ms := func(us spread) string { return number(us.Median/1000, 3) }
	return []string{
		s.Workload, s.Target,
		s.TPS.format(1, 0), ratio(s.TPSRatio[directName]), ratio(s.TPSRatio[pgbouncerName]),
		ms(s.Average), ms(s.P50), ms(s.P99), ratio(s.AverageRatio[pgbouncerName]),
		s.CPU.format(1, 1), ratio(s.CPURatio[pgbouncerName]),
		number(s.Resident.Median/(1<<20), 0),
	}
}

// format is the median with the spread behind it.
func (s spread) format(unit float64, digits int) string {
	if s.Median == 0 {
		return "–"
	}
	return fmt.Sprintf("%.*f (%.*f–%.*f)", digits, s.Median/unit, digits, s.Min/unit, digits, s.Max/unit)
}

func ratio(s spread) string { return number(s.Median, 2) }

// number is a dash for what was not measured.
func number(v float64, digits int) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.*f", digits, v)
}

// writeTable writes a Markdown table that is a table before it is rendered too.
// The first row is the head; columns of numbers are to the right.
func writeTable(out io.Writer, rows [][]string) {
	const words = 2 // columns of them
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	line := func(row []string) {
		for i, cell := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < words {
				cell += padding
			} else {
				cell = padding + cell
			}
			fmt.Fprintf(out, "| %s ", cell)
		}
		fmt.Fprintln(out, "|")
	}
	line(rows[0])
	for i, width := range widths {
		rule, end := strings.Repeat("-", width+1), "-"
		if i >= words {
			end = ":"
		}
		fmt.Fprintf(out, "|%s%s", rule, end)
	}
	fmt.Fprintln(out, "|")
	for _, row := range rows[1:] {
		line(row)
	}
}
