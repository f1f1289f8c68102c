package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// judgePlan is the plan that measures judging alone, without connections and other programs: the Go benchmarks of package gateway.
const judgePlan = "judge"

// judgings are the benchmarks, and what they are called in the table.
var judgings = []struct{ benchmark, name string }{
	{"BenchmarkJudge/prepared", "a prepared statement again"},
	{"BenchmarkJudge/known-text", "a text again"},
	{"BenchmarkJudge/literals-100B", "100 bytes, other literals"},
	{"BenchmarkJudge/literals-1kB", "1 kB, other literals"},
	{"BenchmarkFirstSight", "a new join of ten tables"},
}

// firstSights are the parts of the last, by the unit of the median.
var firstSights = []struct{ unit, name string }{
	{"facts-p50-ns", "– its facts, from a worker"},
	{"policy-p50-ns", "– policy"},
	{"names-p50-ns", "– what its names then are waited for"},
}

// results are what the runs of one benchmark gave, by unit.
type results map[string][]float64

// judging runs the benchmarks and writes their medians.
func judging(ctx context.Context, root string, out io.Writer) error {
	command := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^Benchmark(Judge|FirstSight)$", "-benchtime", "300ms", "-count", "5", "./gateway")
	command.Dir = root
	text, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go test: %w\n%s", err, text)
	}
	all := benchmarkResults(text)
	rows := [][]string{{"judging", "", "µs", "p50", "CPU µs", "bytes", "allocations"}}
	for _, j := range judgings {
		r := all[j.benchmark]
		if r == nil {
			return fmt.Errorf("go test ran no %s\n%s", j.benchmark, text)
		}
		rows = append(rows, []string{
			j.name, "", r.median("ns/op", 1000, 2), r.median("p50-ns", 1000, 0), r.median("cpu-ns/op", 1000, 2), r.median("B/op", 1, 0), r.median("allocs/op", 1, 0),
		})
	}
	for _, part := range firstSights {
		rows = append(rows, []string{part.name, "", "–", all["BenchmarkFirstSight"].median(part.unit, 1000, 0), "–", "–", "–"})
	}
	writeTable(out, rows)
	return nil
}

// benchmarkResults reads the lines that `go test -bench` writes: a name, how often it ran, and pairs of a value and its unit.
func benchmarkResults(text []byte) map[string]results {
	all := map[string]results{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := fields[0]
		if i := strings.LastIndexByte(name, '-'); i > 0 { // … and how many processors it had
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				name = name[:i]
			}
		}
		if all[name] == nil {
			all[name] = results{}
		}
		for i := 2; i+1 < len(fields); i += 2 {
			if value, err := strconv.ParseFloat(fields[i], 64); err == nil {
				all[name][fields[i+1]] = append(all[name][fields[i+1]], value)
			}
		}
	}
	return all
}

// median is that of one unit, in another unit; a dash when it was not measured.
func (r results) median(unit string, per float64, digits int) string {
	values := slices.Sorted(slices.Values(r[unit]))
	if len(values) == 0 {
		return "–"
	}
	return strconv.FormatFloat(values[len(values)/2]/per, 'f', digits, 64)
}
