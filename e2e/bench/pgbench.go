package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// samplingRate is the share of transactions whose latency pgbench logs: more
// would make the client, which shares the machine, dearer for all targets alike.
const samplingRate = 0.25

// result is what pgbench says at its end.
type result struct {
	transactions int
	failed       int
	tps          float64       // without the time to connect
	latency      time.Duration // average
}

// parseResult reads pgbench's report (pgbench.c, printResults).
func parseResult(report []byte) (result, error) {
	var r result
	seen := 0
	for line := range strings.Lines(string(report)) {
		label, value, found := strings.Cut(strings.TrimSpace(line), " = ")
		if !found {
			label, value, found = strings.Cut(strings.TrimSpace(line), ": ")
		}
		if !found {
			continue
		}
		known, err := r.set(label, value)
		if err != nil {
			return result{}, fmt.Errorf("parse pgbench's %s %q: %w", label, value, err)
		}
		if known {
			seen++
		}
	}
	if seen != 4 {
		return result{}, fmt.Errorf("parse pgbench's report: %d of 4 lines are there", seen)
	}
	return r, nil
}

// set takes a line, and says whether it is one that has to be there.
func (r *result) set(label, value string) (known bool, err error) {
	number, rest, _ := strings.Cut(value, " ")
	switch label {
	case "number of transactions actually processed":
		r.transactions, err = strconv.Atoi(number)
	case "number of failed transactions":
		r.failed, err = strconv.Atoi(number)
	case "latency average":
		if rest != "ms" {
			return false, errors.New("it is not in ms")
		}
		r.latency, err = milliseconds(number)
	case "tps":
		if rest != "(without initial connection time)" {
			return false, errors.New("it counts the time to connect")
		}
		r.tps, err = strconv.ParseFloat(number, 64)
	default:
		return false, nil
	}
	return true, err
}

func milliseconds(s string) (time.Duration, error) {
	ms, err := strconv.ParseFloat(s, 64)
	return time.Duration(ms * float64(time.Millisecond)), err
}

// parseProgress reads the rate in a line of pgbench --progress; other lines are not ok.
func parseProgress(line string) (tps float64, ok bool) {
	rest, found := strings.CutPrefix(line, "progress: ")
	if !found {
		return 0, false
	}
	fields := strings.Split(rest, ", ")
	if len(fields) < 2 {
		return 0, false
	}
	number, found := strings.CutSuffix(fields[1], " tps")
	if !found {
		return 0, false
	}
	tps, err := strconv.ParseFloat(number, 64)
	return tps, err == nil
}

// parseLog appends the latencies in a transaction log: client, transaction,
// microseconds, script, and when it ended. What failed has no number there.
func parseLog(latencies []time.Duration, log io.Reader) ([]time.Duration, error) {
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 {
			return nil, fmt.Errorf("parse pgbench's log: %d fields in %q", len(fields), lines.Text())
		}
		us, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("parse pgbench's log: %w", err)
		}
		latencies = append(latencies, time.Duration(us)*time.Microsecond)
	}
	return latencies, lines.Err()
}

// percentile is the smallest value that p per cent are not above; values are sorted.
func percentile(values []time.Duration, p int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	return values[max(0, (len(values)*p+99)/100-1)]
}

// client runs pgbench.
type client struct {
	path string
	dir  string // for its logs, which are removed
}

// run runs one workload through a target. Every second onProgress hears the
// rate of the last one; when it fails, the run ends.
func (c client) run(ctx context.Context, w workload, d time.Duration, env []string, onProgress func(tps float64) error) (result, []time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	prefix := filepath.Join(c.dir, "transactions")
	args := append([]string{
		"--no-vacuum", "--progress=1", "--time=" + strconv.Itoa(int(d.Seconds())), "--jobs=" + strconv.Itoa(w.threads()),
		"--log", "--log-prefix=" + prefix, "--sampling-rate=" + strconv.FormatFloat(samplingRate, 'f', -1, 64),
	}, w.args...)
	cmd := exec.CommandContext(ctx, c.path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var report bytes.Buffer
	cmd.Stdout = &report
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return result{}, nil, err
	}
	if err := cmd.Start(); err != nil {
		return result{}, nil, err
	}
	said, err := watch(stderr, func(tps float64) {
		if err := onProgress(tps); err != nil {
			cancel(err)
		}
	})
	if err := errors.Join(err, cmd.Wait(), context.Cause(ctx)); err != nil {
		return result{}, nil, fmt.Errorf("run pgbench: %w\n%s", err, said)
	}
	r, err := parseResult(report.Bytes())
	if err == nil && (r.failed > 0 || r.transactions == 0) {
		err = fmt.Errorf("run pgbench: %d transactions, %d failed\n%s", r.transactions, r.failed, said)
	}
	latencies, logErr := takeLogs(prefix)
	return r, latencies, errors.Join(err, logErr)
}

// watch reads to the end, reports the rates and returns everything else that was said.
func watch(stderr io.Reader, onProgress func(tps float64)) (said string, err error) {
	var other strings.Builder
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if tps, ok := parseProgress(lines.Text()); ok {
			onProgress(tps)
		} else {
			other.WriteString(lines.Text() + "\n")
		}
	}
	return other.String(), lines.Err()
}

// takeLogs reads and removes the transaction logs of one run, one for each
// thread, and returns the latencies sorted.
func takeLogs(prefix string) ([]time.Duration, error) {
	names, err := filepath.Glob(prefix + ".*")
	if err != nil {
		return nil, err
	}
	var latencies []time.Duration
	for _, name := range names {
		if latencies, err = takeLog(latencies, name); err != nil {
			return nil, err
		}
	}
	slices.Sort(latencies)
	return latencies, nil
}

func takeLog(latencies []time.Duration, name string) ([]time.Duration, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if latencies, err = parseLog(latencies, f); err != nil {
		return nil, err
	}
	return latencies, os.Remove(name)
}
