package main

import (
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	began := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	var m meter
	m.pid = 50
	for i, reading := range []struct {
		user, resident int
		rate           float64
	}{
		{user: 1000, resident: 100, rate: 9999}, // logins, and the first second
		{user: 1050, resident: 300, rate: 10000},
		{user: 1150, resident: 200, rate: 20000},
	} {
		m.proc = procOf(statLine(50, "sallyport", 1, reading.user, 2*reading.user, 0, 0, reading.resident))
		if err := m.mark(began.Add(time.Duration(i)*time.Second), reading.rate); err != nil {
			t.Fatal(err)
		}
	}
	user, system := m.perUnit() // 150 ticks for 30,000
	if user != 50*time.Microsecond || system != 100*time.Microsecond {
		t.Errorf("user %v, system %v", user, system)
	}
	if m.resident != pages(300) {
		t.Errorf("%d bytes, want the most there were", m.resident)
	}
}

// TestMeterPauses: what happens between a pause and the next reading is nobody's.
func TestMeterPauses(t *testing.T) {
	began := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	m := meter{pid: 50}
	for i, user := range []int{1000, 1010, 5000, 5020} { // two runs, and 3990 ticks of something else
		if i == 2 {
			m.pause()
		}
		m.proc = procOf(statLine(50, "sallyport", 1, user, 0, 0, 0, 10))
		if err := m.mark(began.Add(time.Duration(i)*time.Second), 100); err != nil {
			t.Fatal(err)
		}
	}
	if user, _ := m.perUnit(); user != 30*tick/200 {
		t.Errorf("user %v, want that of 30 ticks for 200", user)
	}
}

func TestMeterSeesTooLittle(t *testing.T) {
	proc := procOf(statLine(50, "sallyport", 1, 10, 10, 0, 0, 10))
	for name, marks := range map[string]int{"nothing": 0, "one reading": 1} {
		t.Run(name, func(t *testing.T) {
			m := meter{proc: proc, pid: 50}
			for range marks {
				if err := m.mark(time.Now(), 100); err != nil {
					t.Fatal(err)
				}
			}
			if user, system := m.perUnit(); user != 0 || system != 0 {
				t.Errorf("user %v, system %v", user, system)
			}
		})
	}
	t.Run("the process has ended", func(t *testing.T) {
		m := meter{proc: proc, pid: 51}
		if err := m.mark(time.Now(), 100); err == nil {
			t.Error("no error")
		}
	})
}
