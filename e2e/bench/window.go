package main

import (
	"context"
	"io/fs"
	"os"
	"time"
)

// meter watches a proxy's processes from one second of a run to the next. What
// is counted lies between the first report of pgbench and the last: neither
// the logins, which cost a gateway more than a thousand statements, nor the
// first second, in which caches fill, nor the disconnects.
type meter struct {
	proc fs.FS
	pid  int // 0: there is nothing to watch

	began        time.Time
	first, last  usage
	resident     int64   // most
	transactions float64 // since began
	at           time.Time
}

func newMeter(pid int) *meter { return &meter{proc: os.DirFS("/proc"), pid: pid} }

// mark takes a reading; tps is the rate since the one before.
func (m *meter) mark(now time.Time, tps float64) error {
	if m.pid == 0 {
		return nil
	}
	u, err := usageOf(m.proc, m.pid)
	if err != nil {
		return err
	}
	if m.began.IsZero() {
		m.began, m.first = now, u
	} else {
		m.transactions += tps * now.Sub(m.at).Seconds()
	}
	m.at, m.last = now, u
	m.resident = max(m.resident, u.resident)
	return nil
}

// perTransaction is the CPU time that one transaction took, zero if that was not seen.
func (m *meter) perTransaction() (user, system time.Duration) {
	if m.transactions == 0 {
		return 0, 0
	}
	share := func(d time.Duration) time.Duration { return time.Duration(float64(d) / m.transactions) }
	return share(m.last.user - m.first.user), share(m.last.system - m.first.system)
}

// measurement is one run of a workload through a target.
type measurement struct {
	Round        int     `json:"round"`
	Workload     string  `json:"workload"`
	Target       string  `json:"target"`
	Transactions int     `json:"transactions"`
	TPS          float64 `json:"tps"`
	Average      float64 `json:"latency_average_us"`
	P50          float64 `json:"latency_p50_us"`
	P99          float64 `json:"latency_p99_us"`
	User         float64 `json:"cpu_user_us,omitempty"`   // of the proxy, per transaction
	System       float64 `json:"cpu_system_us,omitempty"` // of the proxy, per transaction
	Resident     int64   `json:"resident_bytes,omitempty"`
}

func (m measurement) cpu() float64 { return m.User + m.System }

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// measure runs a workload through a target once.
func (c client) measure(ctx context.Context, w workload, d time.Duration, t *target) (measurement, error) {
	meter := newMeter(t.proxy.pid())
	r, latencies, err := c.run(ctx, w, d, t.env, func(tps float64) error { return meter.mark(time.Now(), tps) })
	if err != nil {
		return measurement{}, err
	}
	user, system := meter.perTransaction()
	return measurement{
		Workload: w.Name, Target: t.name, Transactions: r.transactions, TPS: r.tps,
		Average: microseconds(r.latency), P50: microseconds(percentile(latencies, 50)), P99: microseconds(percentile(latencies, 99)),
		User: microseconds(user), System: microseconds(system), Resident: meter.resident,
	}, t.proxy.settle(ctx, r.transactions)
}
