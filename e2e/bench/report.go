package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// report is bench/results.json.
type report struct {
	Machine      machine       `json:"machine"`
	Client       string        `json:"client"` // the version of pgbench
	TLS          string        `json:"tls"`    // on every leg, verified
	Plan         plan          `json:"plan"`
	Targets      []described   `json:"targets"`
	Goals        []verdict     `json:"goals"`
	Summaries    []summary     `json:"summaries"`
	Idle         []idleness    `json:"idle,omitempty"`
	Measurements []measurement `json:"measurements"`
}

type described struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

func newReport(m machine, p plan, targets []*target, measurements []measurement, idle []idleness) (report, error) {
	r := report{Machine: m, TLS: tlsVersion + ", " + cipherSuite, Plan: p, Measurements: measurements, Idle: idle}
	var names []string
	for _, t := range targets {
		r.Targets = append(r.Targets, described{t.name, t.version})
		names = append(names, t.name)
	}
	r.Summaries = summarise(p.Workloads, names, measurements)
	var err error
	r.Goals, err = r.judge(p.Workloads)
	return r, err
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

// read reads what write has written.
func readReport(path string) (r report, err error) {
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read results: %w", err)
	}
	return r, nil
}

// markdown writes what people read.
func (r report) markdown(out io.Writer) {
	fmt.Fprintf(out, "- Machine: %s\n", r.Machine)
	if r.Machine.busy() {
		fmt.Fprintln(out, "- **The machine had other work**: of these numbers, look at the CPU times; throughput and latency say little")
	}
	fmt.Fprintf(out, "- Client: %s\n", r.Client)
	for _, t := range r.Targets {
		fmt.Fprintf(out, "- %s: %s\n", t.Name, t.Version)
	}
	fmt.Fprintf(out, "- Every leg: %s (verified)\n", r.TLS)
	if slices.ContainsFunc(r.Targets, func(d described) bool { return d.Name == sallyportName }) {
		fmt.Fprintf(out, "- %s: policy judged and the audit log took the statement of every transaction (verified)\n", sallyportName)
	}
	fmt.Fprintf(out, "- Rounds: %d of %v a run, the targets taking turns; medians, with (smallest–largest); ratios (×) within a round\n", r.Plan.Rounds, r.Plan.Duration)
	fmt.Fprint(out, "- CPU: user and system time of the proxy's processes for each transaction, MB or notification, without logins and the first second\n")
	for _, group := range []struct {
		unit  unit
		write func(io.Writer, []summary)
	}{{transactions, writeTransactions}, {sessions, writeLogins}, {notifications, writeNotifications}, {megabytes, writeMegabytes}} {
		if rows := r.of(group.unit); len(rows) > 0 {
			fmt.Fprintln(out)
			group.write(out, rows)
		}
	}
	if len(r.Idle) > 0 {
		fmt.Fprintln(out)
		writeIdle(out, r.Idle)
	}
	if len(r.Goals) > 0 {
		fmt.Fprintln(out)
		writeVerdicts(out, r.Goals)
	}
}

// of picks the summaries of the workloads that count a unit.
func (r report) of(u unit) []summary {
	var rows []summary
	for _, w := range r.Plan.Workloads {
		for _, s := range r.Summaries {
			if w.Unit == u && s.Workload == w.Name {
				rows = append(rows, s)
			}
		}
	}
	return rows
}

func ms(us spread) string { return number(us.Median/1000, 3) }

func mebibytes(bytes float64, digits int) string { return number(bytes/(1<<20), digits) }

func writeTransactions(out io.Writer, summaries []summary) {
	rows := [][]string{{"pgbench", "", "tps", "× direct", "× PgBouncer", "latency ms", "p50", "p99", "× PgBouncer", "CPU µs", "× PgBouncer", "RSS MiB"}}
	for _, s := range summaries {
		rows = append(rows, []string{
			s.Workload, s.Target, s.Rate.format(1, 0), ratio(s.RateRatio[directName]), ratio(s.RateRatio[pgbouncerName]),
			ms(s.Average), ms(s.P50), ms(s.P99), ratio(s.AverageRatio[pgbouncerName]),
			s.CPU.format(1, 1), ratio(s.CPURatio[pgbouncerName]), mebibytes(s.Resident.Median, 0),
		})
	}
	writeTable(out, rows)
}

func writeLogins(out io.Writer, summaries []summary) {
	rows := [][]string{{"logins", "", "a second", "ms", "p50", "p99", "× direct", "× PgBouncer", "CPU µs", "× PgBouncer"}}
	for _, s := range summaries {
		rows = append(rows, []string{
			s.Workload, s.Target, s.Rate.format(1, 0), ms(s.Average), ms(s.P50), ms(s.P99), ratio(s.AverageRatio[directName]), ratio(s.AverageRatio[pgbouncerName]),
			s.CPU.format(1, 0), ratio(s.CPURatio[pgbouncerName]),
		})
	}
	writeTable(out, rows)
}

func writeNotifications(out io.Writer, summaries []summary) {
	rows := [][]string{{"notifications", "", "latency ms", "p50", "p99", "× direct", "× PgBouncer", "CPU µs", "× PgBouncer"}}
	for _, s := range summaries {
		rows = append(rows, []string{
			s.Workload, s.Target, ms(s.Average), ms(s.P50), ms(s.P99), ratio(s.AverageRatio[directName]), ratio(s.AverageRatio[pgbouncerName]),
			s.CPU.format(1, 1), ratio(s.CPURatio[pgbouncerName]),
		})
	}
	writeTable(out, rows)
}

func writeMegabytes(out io.Writer, summaries []summary) {
	rows := [][]string{{"one client", "", "MB/s", "× direct", "× PgBouncer", "CPU µs/MB", "× PgBouncer", "RSS MiB"}}
	for _, s := range summaries {
		rows = append(rows, []string{
			s.Workload, s.Target, s.Rate.format(1, 0), ratio(s.RateRatio[directName]), ratio(s.RateRatio[pgbouncerName]),
			s.CPU.format(1, 0), ratio(s.CPURatio[pgbouncerName]), mebibytes(s.Resident.Median, 0),
		})
	}
	writeTable(out, rows)
}

func writeIdle(out io.Writer, all []idleness) {
	for _, i := range all {
		if i.Bare > 0 {
			fmt.Fprintf(out, "A bare program of two crypto/tls connections for each session takes %.1f KiB for it; \"… besides TLS\" is what comes on top.\n\n", float64(i.Bare)/(1<<10))
			break
		}
	}
	rows := [][]string{{idleRow, "", "RSS MiB without", "with", "KiB each", "… besides TLS", "wakes/s without", "with"}}
	for _, i := range all {
		rows = append(rows, []string{
			fmt.Sprint(i.Sessions), i.Target, mebibytes(float64(i.Without), 1), mebibytes(float64(i.With), 1),
			number(i.perSession()/(1<<10), 1), i.besides(), fmt.Sprintf("%.1f", i.WakesWithout), fmt.Sprintf("%.1f", i.Wakes),
		})
	}
	writeTable(out, rows)
}

// besides is a dash for what is not compared with a bare program.
func (i idleness) besides() string {
	if i.Bare == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", i.beyond()/(1<<10))
}
