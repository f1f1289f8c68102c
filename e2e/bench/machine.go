package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine is where a run took place.
type machine struct {
	Time   time.Time `json:"time"`
	Cores  int       `json:"cores"`
	Model  string    `json:"model"`
	Kernel string    `json:"kernel"`
	// Load is the load average of the minute before: what else went on.
	Load string `json:"load"`
}

func describeMachine() machine {
	m := machine{Time: time.Now().UTC().Truncate(time.Second), Cores: runtime.NumCPU(), Model: runtime.GOARCH}
	// What cannot be read stays out of the description; no number depends on it.
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.Model = modelName(string(text), m.Model)
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(text), " ")
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	}
	return m
}

func (m machine) String() string {
	return fmt.Sprintf("%d cores (%s), %s, load %s before it began, %s", m.Cores, m.Model, m.Kernel, m.Load, m.Time.Format(time.DateTime))
}

// busyLoad of a core is other work that shows in throughput and latency.
const busyLoad = 0.25

// busy says whether the machine had much else to do before it began. A load
// that is not known is none.
func (m machine) busy() bool {
	load, err := strconv.ParseFloat(m.Load, 64)
	return err == nil && load > busyLoad*float64(m.Cores)
}

// modelName finds the processor's in /proc/cpuinfo; arm64 has none there.
func modelName(cpuinfo, otherwise string) string {
	for line := range strings.Lines(cpuinfo) {
		label, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(label) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return otherwise
}

// clientVersion is pgbench's.
func (b *bench) clientVersion(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, b.client.path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask pgbench for its version: %w", err)
	}
	return firstLine(out), nil
}
