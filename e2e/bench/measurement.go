package main

import (
	"context"
	"fmt"
	"time"
)

// exercise is what a workload does to a target.
type exercise interface {
	// run does it for about d and says how fast it went.
	run(ctx context.Context, b *bench, t *target, clients int, d time.Duration) (measurement, error)
}

// measurement is one run of a workload through a target. What is counted is
// the workload's unit.
type measurement struct {
	Round    int     `json:"round"`
	Workload string  `json:"workload"`
	Target   string  `json:"target"`
	Count    int     `json:"count"`
	Rate     float64 `json:"rate"` // a second
	Average  float64 `json:"latency_average_us,omitempty"`
	P50      float64 `json:"latency_p50_us,omitempty"`
	P99      float64 `json:"latency_p99_us,omitempty"`
	User     float64 `json:"cpu_user_us,omitempty"`   // of the proxy, for each
	System   float64 `json:"cpu_system_us,omitempty"` // of the proxy, for each
	Resident int64   `json:"resident_bytes,omitempty"`

	statements int // at least so many were sent
}

func (m measurement) cpu() float64 { return m.User + m.System }

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// patience is how much longer than it should a run may take, logins included.
const patience = 2 * time.Minute

// run runs a workload through a target once, and waits until nothing of it goes on.
func (b *bench) run(ctx context.Context, w workload, d time.Duration, t *target) (measurement, error) {
	limited, cancel := context.WithTimeoutCause(ctx, d+patience, fmt.Errorf("it takes longer than %v", d+patience))
	defer cancel()
	var m measurement
	err := b.profiled(limited, w, d, t, func() (err error) {
		m, err = w.exercise.run(limited, b, t, w.Clients, d)
		return err
	})
	if err != nil {
		return measurement{}, err
	}
	m.Workload, m.Target = w.Name, t.name
	if err := m.complete(w, t.proxy.pid() != 0); err != nil {
		return measurement{}, err
	}
	return m, t.proxy.settle(ctx, m.statements)
}

// complete says what could not be seen of a run that went well. A number that
// is missing must not pass for one that is small.
func (m measurement) complete(w workload, proxied bool) error {
	switch {
	case m.Rate <= 0 || m.Count <= 0:
		return fmt.Errorf("nothing was done in this run")
	case w.Unit != megabytes && (m.P50 <= 0 || m.P99 <= 0 || m.Average <= 0):
		return fmt.Errorf("no latencies were seen in this run")
	case proxied && m.cpu() <= 0:
		return fmt.Errorf("no CPU time of the proxy was seen in this run: make it longer")
	case proxied && m.Resident <= 0:
		return fmt.Errorf("no memory of the proxy was seen in this run")
	}
	return nil
}

// watched fills in what a meter saw of the proxy.
func (m measurement) watched(by *meter) measurement {
	user, system := by.perUnit()
	m.User, m.System, m.Resident = microseconds(user), microseconds(system), by.resident
	return m
}

// latencies fills in what they come to; they are sorted.
func (m measurement) latencies(of []time.Duration) measurement {
	m.P50, m.P99 = microseconds(percentile(of, 50)), microseconds(percentile(of, 99))
	return m
}

// run is pgbench's.
func (s script) run(ctx context.Context, b *bench, t *target, clients int, d time.Duration) (measurement, error) {
	meter := newMeter(t.proxy.pid())
	r, latencies, err := b.client.run(ctx, s, clients, d, t.logins[s.as].env(), func(tps float64) error { return meter.mark(time.Now(), tps) })
	if err != nil {
		return measurement{}, err
	}
	m := measurement{Count: r.transactions, Rate: r.tps, Average: microseconds(r.latency), statements: r.transactions}
	return m.latencies(latencies).watched(meter), nil
}
