package main

import "slices"

// spread is where the values of several rounds lie.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf is zero for no values.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return spread{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// times scales it.
func (s spread) times(factor float64) spread {
	return spread{Median: s.Median * factor, Min: s.Min * factor, Max: s.Max * factor}
}

// summary is what the rounds of one workload through one target come to.
type summary struct {
	Workload string `json:"workload"`
	Target   string `json:"target"`
	Rate     spread `json:"rate"`
	Average  spread `json:"latency_average_us"`
	P50      spread `json:"latency_p50_us"`
	P99      spread `json:"latency_p99_us"`
	CPU      spread `json:"cpu_us"`
	Resident spread `json:"resident_bytes"`
	// Ratios to another target, by its name, round by round.
	RateRatio    map[string]spread `json:"rate_ratio"`
	AverageRatio map[string]spread `json:"latency_average_ratio"`
	CPURatio     map[string]spread `json:"cpu_ratio"`
}

// summarise comes to one summary for each workload and each target that takes part in it, in the order given.
func summarise(workloads []workload, targets []string, all []measurement) []summary {
	var out []summary
	for _, w := range workloads {
		of := func(target string) []measurement { return sameRun(all, w.Name, target) }
		for _, target := range targets {
			own := of(target)
			if len(own) == 0 {
				continue // it does not take part in this one
			}
			s := summary{
				Workload: w.Name, Target: target,
				Rate:      spreadOf(each(own, func(m measurement) float64 { return m.Rate })),
				Average:   spreadOf(each(own, func(m measurement) float64 { return m.Average })),
				P50:       spreadOf(each(own, func(m measurement) float64 { return m.P50 })),
				P99:       spreadOf(each(own, func(m measurement) float64 { return m.P99 })),
				CPU:       spreadOf(each(own, measurement.cpu)),
				Resident:  spreadOf(each(own, func(m measurement) float64 { return float64(m.Resident) })),
				RateRatio: map[string]spread{}, AverageRatio: map[string]spread{}, CPURatio: map[string]spread{},
			}
			for _, other := range targets {
				s.RateRatio[other] = ratios(own, of(other), func(m measurement) float64 { return m.Rate })
				s.AverageRatio[other] = ratios(own, of(other), func(m measurement) float64 { return m.Average })
				s.CPURatio[other] = ratios(own, of(other), measurement.cpu)
			}
			out = append(out, s)
		}
	}
	return out
}

// sameRun picks the rounds of a workload through a target.
func sameRun(all []measurement, workload, target string) []measurement {
	return slices.DeleteFunc(slices.Clone(all), func(m measurement) bool { return m.Workload != workload || m.Target != target })
}

func each(of []measurement, value func(measurement) float64) []float64 {
	out := make([]float64, 0, len(of))
	for _, m := range of {
		out = append(out, value(m))
	}
	return out
}

// ratios compares within each round: what else the machine did then, it did to
// both. A round that lacks one of the two values is left out.
func ratios(of, to []measurement, value func(measurement) float64) spread {
	var out []float64
	for _, m := range of {
		for _, n := range to {
			if m.Round == n.Round && value(n) > 0 && value(m) > 0 {
				out = append(out, value(m)/value(n))
			}
		}
	}
	return spreadOf(out)
}
