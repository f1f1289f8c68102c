package main

import (
	"context"
	"math"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// busyInterval is between two looks at how busy the gateway is, idleInterval when it does next to nothing.
	busyInterval = 100 * time.Millisecond
	idleInterval = time.Second
	idleShare    = 0.05 // of a processor

	// crowdedShare of its processors in use is when the gateway gets more: what waits for a processor that is nearly always taken waits long.
	crowdedShare = 0.85

	// shortestTrial and longestTrial are how long it stays with what it has before it is tried with fewer again.
	shortestTrial = time.Second
	longestTrial  = time.Minute
)

// processors runs the gateway on as few processors as keep up with its work.
//
// A relay's work comes in pieces of microseconds. Go's scheduler spreads those over all the processors it may use: it wakes a thread for
// each, lets threads look for work that is not there, and puts them to sleep again, which costs up to as much as the work, and the database
// on the same machine its caches. On one processor pieces queue up, and one wake-up does for many.
//
// How many keep up is found by trying, since what is lost to spreading looks like work.
type processors struct {
	most int // what there are
	now  int

	waited time.Duration // since the last change
	trial  time.Duration // how long to wait before trying fewer
}

func newProcessors(most int) *processors {
	return &processors{most: most, now: most, trial: shortestTrial}
}

// next says how many there should be after an interval in which used of them were busy.
func (p *processors) next(used float64, interval time.Duration) int {
	p.waited += interval
	switch {
	case used > crowdedShare*float64(p.now) && p.now < p.most:
		if p.waited < shortestTrial { // fewer were not enough
			p.trial = min(2*p.trial, longestTrial)
		} else {
			p.trial = shortestTrial
		}
		p.change(min(2*p.now, p.most))
	case p.now > 1 && p.waited >= p.trial:
		p.change(max(1, min(p.now-1, int(math.Ceil(used/crowdedShare)))))
	}
	return p.now
}

func (p *processors) change(n int) { p.now, p.waited = n, 0 }

// followLoad adapts GOMAXPROCS until ctx ends, unless the environment names it.
func followLoad(ctx context.Context) error {
	most := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") != "" || most == 1 {
		return nil
	}
	defer runtime.GOMAXPROCS(most)
	p := newProcessors(most)
	interval := busyInterval
	timer := time.NewTimer(interval)
	defer timer.Stop()
	last, at := cpuTime(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		cpu, now := cpuTime(), time.Now()
		used := float64(cpu-last) / float64(now.Sub(at))
		if n := p.next(used, now.Sub(at)); n != runtime.GOMAXPROCS(0) {
			runtime.GOMAXPROCS(n)
		}
		last, at = cpu, now
		interval = busyInterval
		if used < idleShare {
			interval = idleInterval
		}
		timer.Reset(interval)
	}
}

// cpuTime is what the process has used of its processors, in user code and in the kernel.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
