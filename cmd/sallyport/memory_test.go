package main

import (
	"context"
	"runtime"
	"runtime/debug"
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
		go func() { done <- followQuiet(ctx) }()
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
