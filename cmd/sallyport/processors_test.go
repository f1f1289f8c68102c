package main

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// settle runs p for a while with work that needs so many processors, and says how many it has in the end.
func (p *processors) settle(needed float64, d time.Duration) int {
	for ; d > 0; d -= busyInterval {
		p.next(min(needed, float64(p.now)), busyInterval)
	}
	return p.now
}

func TestProcessorsFollowTheLoad(t *testing.T) {
	for _, test := range []struct {
		most   int
		needed float64
		want   int
	}{
		{2, 0, 1}, {2, 0.5, 1}, {2, 1.3, 2}, {16, 0.3, 1}, {16, 12, 15}, {1, 1, 1},
	} {
		// Just after a trial, which takes an interval, there may be one fewer.
		p := newProcessors(test.most)
		p.settle(test.needed, time.Minute)
		if got := max(p.settle(test.needed, busyInterval), p.settle(test.needed, busyInterval)); got != test.want {
			t.Errorf("%v of %d processors needed: %d in use, want %d", test.needed, test.most, got, test.want)
		}
	}
}

func TestProcessorsComeBackAtOnce(t *testing.T) {
	p := newProcessors(8)
	if got := p.settle(0.2, time.Minute); got != 1 {
		t.Fatalf("%d processors in use while there is little to do, want 1", got)
	}
	if got := p.settle(7, 3*busyInterval); got != 8 {
		t.Errorf("%d processors in use three intervals after everything came at once, want 8", got)
	}
}

// What is lost to spreading looks like work: with two processors this load takes 1.2 of them, with one it takes 0.7.
func TestProcessorsAreTriedWithFewer(t *testing.T) {
	p := newProcessors(2)
	for range 20 {
		used := 1.2
		if p.now == 1 {
			used = 0.7
		}
		p.next(used, busyInterval)
	}
	if p.now != 1 {
		t.Errorf("%d processors in use, want 1", p.now)
	}
}

func TestProcessorTrialsThatFailGetRarer(t *testing.T) {
	p := newProcessors(2)
	trials := 0
	for range 600 { // a minute
		before := p.now
		if p.next(min(1.5, float64(p.now)), busyInterval) < before {
			trials++
		}
	}
	if trials < 3 || trials > 7 {
		t.Errorf("%d trials in a minute, want about 5: after 1, 2, 4, 8, 16 and 32 seconds", trials)
	}
}

func TestFollowLoadLeavesTheEnvironmentsWord(t *testing.T) {
	t.Setenv("GOMAXPROCS", "2")
	before := runtime.GOMAXPROCS(0)
	if err := followLoad(context.Background()); err != nil { // returns at once
		t.Error(err)
	}
	if now := runtime.GOMAXPROCS(0); now != before {
		t.Errorf("GOMAXPROCS is %d, was %d", now, before)
	}
}

func TestFollowLoadGivesAllBackAtTheEnd(t *testing.T) {
	t.Setenv("GOMAXPROCS", "")
	before := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(before)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := followLoad(ctx); err != nil {
		t.Error(err)
	}
	if now := runtime.GOMAXPROCS(0); now != 4 {
		t.Errorf("GOMAXPROCS is %d, want 4", now)
	}
}
