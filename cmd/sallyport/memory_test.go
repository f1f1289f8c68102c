package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMuchToSpare(t *testing.T) {
	for name, tt := range map[string]struct {
		heap heap
		want bool
	}{
		"nothing":                   {heap{live: 40 << 20, used: 40 << 20, torn: 10 << 20}, false},
		"little":                    {heap{live: 5 << 20, used: 5 << 20, free: 2<<20 - 1}, false},
		"a small share":             {heap{live: 900 << 20, used: 900 << 20, torn: 96 << 20, free: 40 << 20}, false},
		"kept for what may come":    {heap{live: 40 << 20, used: 40 << 20, torn: 10 << 20, free: 4 << 20}, true},
		"garbage":                   {heap{live: 40 << 20, used: 44 << 20, torn: 10 << 20}, true},
		"less than was found lives": {heap{live: 40 << 20, used: 39 << 20, torn: 10 << 20}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := muchToSpare(tt.heap); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

// TestFollowQuiet gives back what was needed once. The time is not real, so nothing else happens meanwhile.
func TestFollowQuiet(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // nobody else gives back
	synctest.Test(t, func(t *testing.T) {
		garbage := make([]byte, 64<<20)
		for i := range garbage {
			garbage[i] = 1
		}
		runtime.KeepAlive(garbage)
		if before := readHeap(); !muchToSpare(before) {
			t.Fatalf("nothing to give back: %+v", before)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		changes := make(chan struct{}, 1)
		changes <- struct{}{}
		go func() { done <- followQuiet(ctx, changes) }()
		time.Sleep(3 * memoryInterval)
		synctest.Wait()
		if after := readHeap(); muchToSpare(after) {
			t.Errorf("not given back: %+v", after)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestKeeper has one who follows look when somebody has come or gone, and only then, and give back at most once in a pause.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &followed{changes: make(chan struct{}, 1)}
		k.spare.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- k.keeper().follow(ctx, k.changes) }()
		k.expect(t, "nobody came", time.Hour, 0, 0)

		k.changes <- struct{}{}
		k.expect(t, "not for long enough", memoryInterval-1, 1, 0)
		k.changes <- struct{}{}
		k.expect(t, "quiet", 1, 2, 1)
		k.expect(t, "all is looked at", time.Hour, 2, 1)

		k.changes <- struct{}{}
		k.expect(t, "quiet again", memoryInterval, 4, 2)
		k.changes <- struct{}{}
		k.expect(t, "the pause", leastPause+memoryInterval-1, 5, 2)
		k.expect(t, "after the pause", 1, 6, 3)

		time.Sleep(leastPause)
		k.busy.Store(true)
		k.changes <- struct{}{}
		k.expect(t, "busy", 3*memoryInterval, 13, 3)
		k.busy.Store(false)
		k.spare.Store(false)
		k.expect(t, "nothing to spare", time.Hour, 14, 3)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// followed is a gateway of which somebody may give memory back.
type followed struct {
	changes     chan struct{}
	busy, spare atomic.Bool
	cpu         time.Duration
	looks, gave atomic.Int32
}

func (f *followed) keeper() *keeper {
	return &keeper{used: f.used, worthwhile: func() bool { return f.spare.Load() }, give: func() { f.gave.Add(1) }}
}

func (f *followed) used() time.Duration {
	f.looks.Add(1)
	if f.busy.Load() {
		f.cpu += memoryInterval
	}
	return f.cpu
}

func (f *followed) expect(t *testing.T, when string, after time.Duration, looks, gave int32) {
	t.Helper()
	time.Sleep(after)
	synctest.Wait()
	if l, g := f.looks.Load(), f.gave.Load(); l != looks || g != gave {
		t.Errorf("%s: looked %d times and gave back %d times, want %d and %d", when, l, g, looks, gave)
	}
}
