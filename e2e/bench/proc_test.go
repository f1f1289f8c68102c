package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// statLine is /proc/<pid>/stat as Linux writes it; times in ticks, resident in pages.
func statLine(pid int, name string, parent, user, system, childrenUser, childrenSystem, resident int) string {
	return fmt.Sprintf("%d (%s) S %d 77 77 0 -1 4194560 5 6 7 8 %d %d %d %d 20 0 9 0 123456 1276468000 %d 18446744073709551615 1 1 0 0 0 0 0 0 2143420159 0 0 0 17 1 0 0 0 0 0\n",
		pid, name, parent, user, system, childrenUser, childrenSystem, resident)
}

func ticks(n int) time.Duration { return time.Duration(n) * tick }

func pages(n int) int64 { return int64(n * os.Getpagesize()) }

var compareUsage = cmp.AllowUnexported(usage{}, procStat{})

func TestParseStat(t *testing.T) {
	want := procStat{pid: 42, parent: 7, usage: usage{user: ticks(11 + 1), system: ticks(22 + 2), resident: pages(900)}}
	for name, program := range map[string]string{
		"plain": "sallyport", "space": "tmux: server", "parenthesis": "a) S 1 (b", "newline": "a\nb", "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat([]byte(statLine(42, program, 7, 11, 22, 1, 2, 900)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, compareUsage); diff != "" {
				t.Error(diff)
			}
		})
	}
	good := statLine(42, "x", 7, 11, 22, 1, 2, 900)
	for name, line := range map[string]string{
		"empty":         "",
		"no name":       "42 S 7 77 77",
		"truncated":     good[:len(good)/3],
		"not a number":  strings.Replace(good, " 11 22 ", " 11 x ", 1),
		"no process id": strings.Replace(good, "42 (", "self (", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parseStat([]byte(line)); err == nil {
				t.Errorf("got %v and no error", got)
			}
		})
	}
}

func procOf(lines ...string) fstest.MapFS {
	proc := fstest.MapFS{
		"self/stat": {Data: []byte("not a process")}, "loadavg": {Data: []byte("0.1")},
		"99/cmdline": {Data: nil}, // ended between two readings
	}
	for _, line := range lines {
		pid, _, _ := strings.Cut(line, " ")
		proc[pid+"/stat"] = &fstest.MapFile{Data: []byte(line)}
	}
	return proc
}

func TestUsageOf(t *testing.T) {
	proc := procOf(
		statLine(1, "init", 0, 1000, 1000, 0, 0, 10),
		statLine(50, "sallyport", 1, 10, 20, 0, 0, 100),
		statLine(51, "worker", 50, 3, 4, 0, 0, 30),
		statLine(52, "worker", 50, 5, 6, 1, 1, 30), // has waited for a child
		statLine(53, "grandchild", 52, 1, 0, 0, 0, 5),
		statLine(60, "other", 1, 500, 500, 0, 0, 50),
	)
	got, err := usageOf(proc, 50)
	if err != nil {
		t.Fatal(err)
	}
	want := usage{user: ticks(10 + 3 + 6 + 1), system: ticks(20 + 4 + 7), resident: pages(165)}
	if diff := cmp.Diff(want, got, compareUsage); diff != "" {
		t.Error(diff)
	}
	if got, err := usageOf(proc, 99); err == nil {
		t.Errorf("a process that is gone has used %v", got)
	}
	if got, err := usageOf(procOf("70 (garbage"), 70); err == nil {
		t.Errorf("garbage has used %v", got)
	}
}

func TestUsageOfReal(t *testing.T) {
	got, err := usageOf(os.DirFS("/proc"), os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if got.resident < 1<<20 {
		t.Errorf("we take %d bytes", got.resident)
	}
}
