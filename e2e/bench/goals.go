package main

import (
	"fmt"
	"io"
	"strings"
)

// measure is what a goal is about.
type measure string

const (
	throughput measure = "throughput"
	latency    measure = "latency"
	cpu        measure = "CPU for each"
	slowest    measure = "p99" // in ms, compared with nobody's
)

type direction string

const (
	atLeast direction = "≥"
	atMost  direction = "≤"
)

func (d direction) met(value, limit float64) bool {
	if d == atLeast {
		return value >= limit
	}
	return value <= limit
}

// goal is what Sallyport is to reach in a workload, as a ratio to another target or by itself.
type goal struct {
	measure   measure
	direction direction
	limit     float64
	against   string // a target's name; PgBouncer's stands for all that were found; "": nobody
}

// idleGoal is what an idle session may take besides its two TLS connections.
const idleGoal = 30 << 10

// verdict is a goal, and what became of it.
type verdict struct {
	Goal     string `json:"goal"`
	Limit    string `json:"limit"`
	Measured spread `json:"measured"` // met or not by the median
	Unit     string `json:"unit"`
	Met      bool   `json:"met"`
}

// ratio is the one that a goal is about.
func (s summary) ratio(m measure, to string) spread {
	switch m {
	case latency:
		return s.AverageRatio[to]
	case cpu:
		return s.CPURatio[to]
	}
	return s.RateRatio[to]
}

// judge says of every goal whether it was met. A goal against a target that
// did not take part is nobody's; one that was not measured is an error.
func (r report) judge(workloads []workload) ([]verdict, error) {
	var all []verdict
	for _, w := range workloads {
		for _, s := range r.Summaries {
			if s.Workload != w.Name || s.Target != sallyportName {
				continue
			}
			for _, g := range w.goals {
				verdicts, err := g.judge(s, r.Targets)
				if err != nil {
					return nil, err
				}
				all = append(all, verdicts...)
			}
		}
	}
	for _, i := range r.Idle {
		if i.Target == sallyportName {
			all = append(all, verdict{
				Goal: fmt.Sprintf("an idle session of %d, besides two TLS connections", i.Sessions), Unit: "KiB",
				Limit: fmt.Sprintf("≤ %d KiB", idleGoal>>10), Measured: spreadOf([]float64{i.beyond() / (1 << 10)}), Met: i.beyond() <= idleGoal,
			})
		}
	}
	return all, nil
}

// judge holds a goal against each target that it means.
func (g goal) judge(s summary, targets []described) ([]verdict, error) {
	if g.measure == slowest {
		measured := s.P99.times(1e-3)
		return []verdict{{
			Goal: fmt.Sprintf("%s: %s", s.Workload, g.measure), Limit: fmt.Sprintf("%s %.0f ms", g.direction, g.limit), Measured: measured, Unit: "ms",
			Met: measured.Median > 0 && g.direction.met(measured.Median, g.limit),
		}}, nil
	}
	var all []verdict
	for _, t := range targets {
		if t.Name != g.against && (g.against != pgbouncerName || !strings.HasPrefix(t.Name, pgbouncerName)) {
			continue
		}
		name := fmt.Sprintf("%s: %s, × %s", s.Workload, g.measure, t.Name)
		ratio := s.ratio(g.measure, t.Name)
		if ratio.Median == 0 {
			return nil, fmt.Errorf("%s was not measured", name)
		}
		all = append(all, verdict{
			Goal: name, Limit: fmt.Sprintf("%s %.2f", g.direction, g.limit), Measured: ratio, Unit: "×", Met: g.direction.met(ratio.Median, g.limit),
		})
	}
	return all, nil
}

func writeVerdicts(out io.Writer, all []verdict) {
	rows := [][]string{{"goal", "", "limit", "measured"}}
	for _, v := range all {
		met := "**not met**"
		if v.Met {
			met = "met"
		}
		digits := 2
		if v.Unit != "×" {
			digits = 1
		}
		rows = append(rows, []string{v.Goal, met, v.Limit, v.Measured.format(1, digits)})
	}
	writeTable(out, rows)
}
