package main

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// workload is one way to use a target.
type workload struct {
	Name    string `json:"name"`
	Clients int    `json:"clients"`
	Unit    unit   `json:"unit"`

	of       string // the only target that takes part; "": all do
	exercise exercise
	goals    []goal
}

// unit is what a workload counts.
type unit string

const (
	transactions  unit = "transaction"
	megabytes     unit = "MB" // 10^6 bytes of protocol messages
	notifications unit = "notification"
	sessions      unit = "login"
)

// plan is a list of workloads and how often and how long to run them.
type plan struct {
	Name      string        `json:"name"`
	Rounds    int           `json:"rounds"`
	Duration  time.Duration `json:"duration_ns"` // of one run, whole seconds
	Workloads []workload    `json:"workloads"`
	// Idle is how many sessions are opened to see what they take while they do nothing; 0: that is not looked at.
	Idle int `json:"idle_sessions"`

	judging bool // the Go benchmarks too
}

const (
	// rounds is the smallest number with a median that one bad round does not move.
	rounds = 3
	// fullDuration and quickDuration make three quarters of an hour and three minutes of that.
	fullDuration  = 5 * time.Second
	quickDuration = 4 * time.Second
	// profileDuration gives a profile at 100 samples a second enough of them.
	profileDuration = 15 * time.Second
	// minDuration leaves one second to look at: the first is for warming up.
	minDuration = 2 * time.Second
	// maxDuration is what the gateway's admin listener profiles at a time.
	maxDuration = 25 * time.Second
	// idleSessions are few enough for a PostgreSQL on a small machine.
	idleSessions = 1000
)

func planNames() []string { return []string{"full", "quick", "logins", "profile", judgePlan} }

// planNamed returns a plan; repeat and duration replace its own unless they are zero.
func planNamed(name string, repeat int, duration time.Duration) (plan, error) {
	p := plan{Name: name, Rounds: rounds}
	switch name {
	case "full":
		p.Duration, p.Workloads, p.Idle, p.judging = fullDuration, everything(), idleSessions, true
	case "quick":
		p.Duration, p.Workloads = quickDuration, []workload{selectOnly("prepared", 1), selectOnly("prepared", 16), literals(), result200()}
	case "logins":
		p.Duration, p.Workloads = quickDuration, logins()
	case "profile":
		p.Rounds, p.Duration = 1, profileDuration
		p.Workloads = typical()
	default:
		return plan{}, fmt.Errorf("there is no plan %q", name)
	}
	if repeat != 0 {
		p.Rounds = repeat
	}
	if duration != 0 {
		p.Duration = duration
	}
	if p.Rounds < 1 || p.Duration < minDuration || p.Duration > maxDuration || p.Duration%time.Second != 0 {
		return plan{}, fmt.Errorf("a run takes whole seconds, %v to %v, and there is at least one round", minDuration, maxDuration)
	}
	return p, nil
}

// idleRow is the name of what is no workload.
const idleRow = "idle sessions"

// only keeps the rows whose names match.
func (p plan) only(rows string) (plan, error) {
	pattern, err := regexp.Compile(rows)
	if err != nil {
		return plan{}, err
	}
	p.Workloads = slices.DeleteFunc(p.Workloads, func(w workload) bool { return !pattern.MatchString(w.Name) })
	if !pattern.MatchString(idleRow) {
		p.Idle = 0
	}
	p.judging = p.judging && rows == ""
	if len(p.Workloads) == 0 && p.Idle == 0 {
		return plan{}, fmt.Errorf("no row of the plan matches %q", rows)
	}
	return p, nil
}

// includes says whether a target takes part in a workload: one that is of one target is nobody else's, and the gateway without
// a log does where it is to be seen what the log costs.
func (w workload) includes(target string) bool {
	if w.of != "" {
		return target == w.of
	}
	return target != unauditedName || slices.ContainsFunc(w.goals, func(g goal) bool { return g.against == unauditedName })
}

// order is that of the targets in a round: each comes first once, so that no
// one always follows the same other.
func order[T any](targets []T, round int) []T {
	shift := round % len(targets)
	return append(append([]T(nil), targets[shift:]...), targets[:shift]...)
}
