package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

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
