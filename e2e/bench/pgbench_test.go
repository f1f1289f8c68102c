package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const goodReport = `pgbench (15.18 (Debian 15.18-0+deb12u1))
transaction type: <builtin: select only>
scaling factor: 1
query mode: prepared
number of clients: 16
number of threads: 2
maximum number of tries: 1
duration: 3 s
number of transactions actually processed: 88012
number of failed transactions: 0 (0.000%)
latency average = 0.529 ms
latency stddev = 0.213 ms
initial connection time = 45.210 ms
tps = 29313.125 (without initial connection time)
`

func TestParseResult(t *testing.T) {
	without := func(old, replacement string) string { return strings.Replace(goodReport, old, replacement, 1) }
	tests := map[string]struct {
		report string
		want   result
		fails  bool
	}{
		"good": {
			report: goodReport,
			want:   result{transactions: 88012, tps: 29313.125, latency: 529 * time.Microsecond},
		},
		"failures": {
			report: without("failed transactions: 0 (0.000%)", "failed transactions: 12 (1.300%)"),
			want:   result{transactions: 88012, failed: 12, tps: 29313.125, latency: 529 * time.Microsecond},
		},
		"empty":                  {report: "", fails: true},
		"no tps":                 {report: without("tps = ", "rate = "), fails: true},
		"no failures":            {report: without("number of failed transactions: 0 (0.000%)\n", ""), fails: true},
		"twice":                  {report: goodReport + goodReport, fails: true},
		"tps with the time":      {report: without("(without initial connection time)", "(including reconnection times)"), fails: true},
		"another unit":           {report: without("0.529 ms", "529 us"), fails: true},
		"tps not a number":       {report: without("29313.125", "-nan("), fails: true},
		"transactions per limit": {report: without("88012", "88012/90000"), fails: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseResult([]byte(test.report), withoutConnecting)
			if (err != nil) != test.fails {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(result{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseResultOfConnecting(t *testing.T) {
	report := strings.NewReplacer("initial connection time", "average connection time", "(without initial connection time)", "(including reconnection times)").Replace(goodReport)
	report = strings.Replace(report, "(without average connection time)", withConnecting, 1)
	if got, err := parseResult([]byte(report), withConnecting); err != nil || got.tps != 29313.125 {
		t.Errorf("got %v, error %v", got, err)
	}
	if got, err := parseResult([]byte(report), withoutConnecting); err == nil {
		t.Errorf("a rate with the time to connect passes for one without: %v", got)
	}
}

func TestScriptArguments(t *testing.T) {
	tests := map[string]struct {
		script script
		want   []string // besides those of all
	}{
		"a builtin":            {script{builtin: "select-only", protocol: "simple"}, []string{"--protocol=simple", "--builtin=select-only", "--sampling-rate=0.25"}},
		"a text":               {script{text: "SELECT 1;", protocol: "prepared"}, []string{"--protocol=prepared", "--file=FILE", "--sampling-rate=0.25"}},
		"few":                  {script{builtin: "tpcb-like", protocol: "simple", few: true}, []string{"--protocol=simple", "--builtin=tpcb-like"}},
		"connecting each time": {script{builtin: "select-only", protocol: "simple", connect: true, few: true}, []string{"--protocol=simple", "--builtin=select-only", "--connect"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := slices.DeleteFunc(test.script.args("FILE"), func(a string) bool { return slices.Contains([]string{"--no-vacuum", "--progress=1", "--log"}, a) })
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseProgress(t *testing.T) {
	tests := map[string]struct {
		line string
		tps  float64
		ok   bool
	}{
		"15":       {"progress: 1.0 s, 29313.1 tps, lat 0.529 ms stddev 0.213, 0 failed", 29313.1, true},
		"14":       {"progress: 2.0 s, 7.0 tps, lat 0.529 ms stddev 0.213", 7, true},
		"idle":     {"progress: 3.0 s, 0.0 tps, lat 0.000 ms stddev 0.000, 0 failed", 0, true},
		"error":    {`pgbench: error: client 3 script 0 aborted in command 1 query 0: ERROR:  denied`, 0, false},
		"short":    {"progress: 1.0 s", 0, false},
		"no unit":  {"progress: 1.0 s, 29313.1 of them, lat 0.529 ms", 0, false},
		"no rate":  {"progress: 1.0 s, many tps, lat 0.529 ms", 0, false},
		"nothing":  {"", 0, false},
		"in a row": {"pgbench: progress: 1.0 s, 29313.1 tps", 0, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if tps, ok := parseProgress(test.line); tps != test.tps || ok != test.ok {
				t.Errorf("got %v %v, want %v %v", tps, ok, test.tps, test.ok)
			}
		})
	}
}

// oneRow is what the scripted clients do not do.
var oneRow = script{builtin: "select-only", protocol: "simple"}

// endsBefore is longer than any of the scripts goes on.
const endsBefore = time.Hour

// scripted is a client whose pgbench is a shell script. In it, $prefix is
// where logs go.
func scripted(t *testing.T, script string) client {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "pgbench")
	text := "#!/bin/sh\nfor a; do case $a in --log-prefix=*) prefix=${a#--log-prefix=};; esac; done\n" + script
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return client{path: path, dir: dir}
}

const (
	sayReport   = "cat <<'END'\n" + goodReport + "END\n"
	sayProgress = "echo 'progress: 1.0 s, 40.0 tps, lat 1' >&2; echo 'progress: 2.0 s, 60.0 tps, lat 1' >&2\n"
	writeLogs   = "echo '0 0 300 0 1 0' > $prefix.7; echo '1 0 100 0 1 0' > $prefix.7.1\n"
)

func TestRun(t *testing.T) {
	c := scripted(t, sayProgress+writeLogs+sayReport)
	var rates []float64
	r, latencies, err := c.run(t.Context(), oneRow, 1, endsBefore, nil, func(tps float64) error {
		rates = append(rates, tps)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.transactions != 88012 {
		t.Errorf("%d transactions", r.transactions)
	}
	if diff := cmp.Diff([]float64{40, 60}, rates); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]time.Duration{100 * time.Microsecond, 300 * time.Microsecond}, latencies); diff != "" {
		t.Error(diff)
	}
	if left, _ := filepath.Glob(filepath.Join(c.dir, "transactions*")); left != nil {
		t.Errorf("logs are left: %v", left)
	}
}

// TestRunEnds: pgbench goes on until it has reported as many seconds as asked for.
func TestRunEnds(t *testing.T) {
	const line = "echo 'progress: 1.0 s, 40.0 tps, lat 1' >&2\n"
	c := scripted(t, "trap 'ended=yes' ALRM\n"+line+"sleep 0.1\n[ -z \"$ended\" ] || exit 1\n"+line+
		"while [ -z \"$ended\" ]; do sleep 0.01; done\n"+sayReport)
	if _, _, err := c.run(t.Context(), oneRow, 1, 2*time.Second, nil, func(float64) error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestRunFails(t *testing.T) {
	boom := errors.New("boom")
	tests := map[string]struct {
		script     string
		onProgress error
		want       string // in the error
	}{
		"status":              {"echo 'client 3 aborted' >&2; exit 2\n" + sayReport, nil, "client 3 aborted"},
		"no report":           {sayProgress, nil, "of 4 lines"},
		"failed transactions": {strings.Replace(sayReport, "failed transactions: 0", "failed transactions: 5", 1), nil, "5 failed"},
		"no transactions":     {strings.Replace(sayReport, "88012", "0", 1), nil, "0 transactions"},
		"a bad log":           {"echo nonsense > $prefix.7\n" + sayReport, nil, "parse pgbench's log"},
		// The script would go on for ever: it ends because it is ended.
		"a reading fails": {sayProgress + "exec sleep 3600\n", boom, boom.Error()},
		// The reading fails as pgbench ends by itself.
		"the last reading fails": {writeLogs + sayReport + sayProgress, boom, boom.Error()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := scripted(t, test.script).run(t.Context(), oneRow, 1, endsBefore, nil, func(float64) error { return test.onProgress })
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want something about %q", err, test.want)
			}
		})
	}
}

func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, _, err := scripted(t, sayProgress+"exec sleep 3600\n").run(ctx, oneRow, 1, endsBefore, nil, func(float64) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
