package main

import (
	"fmt"
	"runtime"
	"strconv"
	"time"
)

// workload is one way to use pgbench.
type workload struct {
	Name    string `json:"name"`
	Clients int    `json:"clients"`
	args    []string
}

// plan is a list of workloads and how often and how long to run them.
type plan struct {
	Name      string        `json:"name"`
	Rounds    int           `json:"rounds"`
	Duration  time.Duration `json:"duration_ns"` // of one run, whole seconds
	Workloads []workload    `json:"workloads"`
}

const (
	// quickRounds is the smallest number with a median that one bad round does not move.
	quickRounds = 3
	// quickDuration makes three minutes of quickRounds, four workloads and three targets.
	quickDuration = 4 * time.Second
	// minDuration leaves one second to look at: the first is for warming up,
	// the last may go without a report.
	minDuration = 3 * time.Second
)

func planNames() []string { return []string{"quick"} }

// planNamed returns a plan; rounds and duration replace its own unless they are zero.
func planNamed(name string, rounds int, duration time.Duration) (plan, error) {
	if name != "quick" {
		return plan{}, fmt.Errorf("there is no plan %q", name)
	}
	p := plan{Name: name, Rounds: quickRounds, Duration: quickDuration}
	if rounds != 0 {
		p.Rounds = rounds
	}
	if duration != 0 {
		p.Duration = duration
	}
	if p.Rounds < 1 || p.Duration < minDuration || p.Duration%time.Second != 0 {
		return plan{}, fmt.Errorf("a run takes whole seconds, %v or more, and there is at least one round", minDuration)
	}
	for _, mode := range []string{"simple", "prepared"} {
		for _, clients := range []int{1, 16} {
			p.Workloads = append(p.Workloads, selectOnly(mode, clients))
		}
	}
	return p, nil
}

// selectOnly is pgbench -S: one row by primary key, with a literal that
// changes every time in simple mode.
func selectOnly(mode string, clients int) workload {
	return workload{
		Name: fmt.Sprintf("-S %s, %d", mode, clients), Clients: clients,
		args: []string{"--select-only", "--protocol=" + mode, "--client=" + strconv.Itoa(clients)},
	}
}

// threads of pgbench: no more than there are cores for, or clients.
func (w workload) threads() int { return min(w.Clients, runtime.NumCPU()) }

// order is that of the targets in a round: each comes first once, so that no
// one always follows the same other.
func order[T any](targets []T, round int) []T {
	shift := round % len(targets)
	return append(append([]T(nil), targets[shift:]...), targets[:shift]...)
}
