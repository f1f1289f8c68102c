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
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// result is what pgbench says at its end.
type result struct {
	transactions int
	failed       int
	tps          float64       // without the time to connect, unless every transaction does
	latency      time.Duration // average
}

// What pgbench says of its rate, with one connection for each client and with
// one for each transaction.
const (
	withoutConnecting = "(without initial connection time)"
	withConnecting    = "(including reconnection times)"
)

// parseResult reads pgbench's report (pgbench.c, printResults).
func parseResult(report []byte, rate string) (result, error) {
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
		known, err := r.set(label, value, rate)
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
func (r *result) set(label, value, rate string) (known bool, err error) {
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
		if rest != rate {
			return false, fmt.Errorf("it is not the one %s", rate)
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

// client runs pgbench.
type client struct {
	path string
	dir  string // for its scripts, and its logs, which are removed
}

// script is what pgbench is to do.
type script struct {
	builtin  string // one of its own, or
	text     string // another one
	protocol string
	as       account
	connect  bool // for each transaction
	// few says that there are so few transactions that the latency of each is
	// logged. Of many that would make the client, which shares the machine,
	// dearer for all targets alike.
	few bool
}

// samplingRate is the share of many transactions whose latency pgbench logs.
const samplingRate = 0.25

func (s script) args(file string) []string {
	args := []string{"--no-vacuum", "--progress=1", "--protocol=" + s.protocol, "--log"}
	if s.builtin != "" {
		args = append(args, "--builtin="+s.builtin)
	} else {
		args = append(args, "--file="+file)
	}
	if s.connect {
		args = append(args, "--connect")
	}
	if !s.few {
		args = append(args, "--sampling-rate="+strconv.FormatFloat(samplingRate, 'f', -1, 64))
	}
	return args
}

func (s script) rate() string {
	if s.connect {
		return withConnecting
	}
	return withoutConnecting
}

// run runs one script for d from when all clients are connected. Every second
// onProgress hears the rate of the last one; when it fails, the run ends.
//
// pgbench's own clock (--time) starts before its clients log in: where a login
// takes long, little would be left. So it is started for longer, and once it
// has reported d it gets the signal that it would send itself (setalarm in
// pgbench.c).
func (c client) run(ctx context.Context, s script, clients int, d time.Duration, env []string, onProgress func(tps float64) error) (result, []time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	file, prefix := filepath.Join(c.dir, "script.sql"), filepath.Join(c.dir, "transactions")
	if err := os.WriteFile(file, []byte(s.text), 0o600); err != nil {
		return result{}, nil, err
	}
	args := append(s.args(file), "--client="+strconv.Itoa(clients), "--jobs="+strconv.Itoa(threads(clients)),
		"--time="+strconv.Itoa(int((d+patience).Seconds())), "--log-prefix="+prefix)
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
	left := int(d.Seconds())
	said, err := watch(stderr, func(tps float64) {
		err := onProgress(tps)
		if left--; left == 0 && err == nil {
			err = cmd.Process.Signal(syscall.SIGALRM)
		}
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			cancel(err)
		}
	})
	if err := errors.Join(err, cmd.Wait(), context.Cause(ctx)); err != nil {
		return result{}, nil, fmt.Errorf("run pgbench: %w\n%s", err, said)
	}
	r, err := parseResult(report.Bytes(), s.rate())
	if err == nil && (r.failed > 0 || r.transactions == 0) {
		err = fmt.Errorf("run pgbench: %d transactions, %d failed\n%s", r.transactions, r.failed, said)
	}
	latencies, logErr := takeLogs(prefix)
	return r, latencies, errors.Join(err, logErr)
}

// threads of pgbench: no more than there are cores for, or clients.
func threads(clients int) int { return min(clients, runtime.NumCPU()) }

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
