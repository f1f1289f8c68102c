package main

import (
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

	used     usage     // between readings, but for pauses
	last     usage     // the reading before
	at       time.Time // when it was taken; zero at the beginning and after a pause
	resident int64     // most
	counted  float64   // between readings
}

func newMeter(pid int) *meter { return &meter{proc: os.DirFS("/proc"), pid: pid} }

// mark takes a reading; rate is that since the one before.
func (m *meter) mark(now time.Time, rate float64) error {
	if m.pid == 0 {
		return nil
	}
	u, err := usageOf(m.proc, m.pid)
	if err != nil {
		return err
	}
	if !m.at.IsZero() {
		m.used.user += u.user - m.last.user
		m.used.system += u.system - m.last.system
		m.counted += rate * now.Sub(m.at).Seconds()
	}
	m.at, m.last = now, u
	m.resident = max(m.resident, u.resident)
	return nil
}

// pause leaves out what happens until the next reading.
func (m *meter) pause() { m.at = time.Time{} }

// perUnit is the CPU time that one transaction, or whatever is counted, took, zero if that was not seen.
func (m *meter) perUnit() (user, system time.Duration) {
	if m.counted == 0 {
		return 0, 0
	}
	share := func(d time.Duration) time.Duration { return time.Duration(float64(d) / m.counted) }
	return share(m.used.user), share(m.used.system)
}
