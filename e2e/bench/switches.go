package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"syscall"
)

// switchesOf reads how often each thread of a process and its descendants has
// given up the processor by itself (proc_pid_status(5)), by its directory.
func switchesOf(proc fs.FS, root int) (map[string]int64, error) {
	family, err := familyOf(proc, root)
	if err != nil {
		return nil, err
	}
	all := map[string]int64{}
	for _, p := range family {
		threads, err := fs.Glob(proc, fmt.Sprintf("%d/task/*/status", p.pid))
		if err != nil {
			return nil, err
		}
		for _, name := range threads {
			text, err := fs.ReadFile(proc, name)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
				continue // it has ended
			}
			if err != nil {
				return nil, err
			}
			if all[name], err = voluntary(text); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("process %d has no threads", root)
	}
	return all, nil
}

// voluntary finds the switches in a thread's status.
func voluntary(status []byte) (int64, error) {
	for line := range bytes.Lines(status) {
		if rest, found := bytes.CutPrefix(line, []byte("voluntary_ctxt_switches:")); found {
			return strconv.ParseInt(string(bytes.TrimSpace(rest)), 10, 64)
		}
	}
	return 0, errors.New("parse status: there are no context switches")
}

// more is what came on top. Threads that began meanwhile count from their
// beginning, those that ended not at all.
func more(before, after map[string]int64) (sum int64) {
	for thread, n := range after {
		sum += n - before[thread]
	}
	return sum
}
