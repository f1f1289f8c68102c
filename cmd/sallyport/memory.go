package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryInterval is between two looks at the gateway after clients have come or gone: a burst of logins is over when it did next to
	// nothing meanwhile.
	memoryInterval = 5 * time.Second
	// leastPause is between two times that memory is given back, and leastShare what must be to give back of all that the heap has: it
	// costs a collection of garbage.
	leastPause = 30 * time.Second
	leastShare = 0.05
	leastSpare = 2 << 20
)

// followQuiet gives memory back that a burst of logins needed and nobody does now, until ctx ends. The runtime keeps what the next burst
// would need, for hours if there is none, while sessions wait that were let in by the last. While nobody comes or goes it sleeps.
func followQuiet(ctx context.Context, changes <-chan struct{}) error {
	k := keeper{used: cpuTime, worthwhile: func() bool { return muchToSpare(readHeap()) }, give: debug.FreeOSMemory}
	return k.follow(ctx, changes)
}

// keeper gives memory back when it is quiet.
type keeper struct {
	used       func() time.Duration // processor time so far
	worthwhile func() bool
	give       func()
	given      time.Time // last
}

func (k *keeper) follow(ctx context.Context, changes <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		}
		if !k.awaitQuiet(ctx) {
			return nil
		}
		select {
		case <-changes: // part of what is over
		default:
		}
		if k.worthwhile() {
			k.give()
			k.given = time.Now()
		}
	}
}

// awaitQuiet returns when memory may be given back again and the gateway has done next to nothing for an interval; false if ctx ended before.
func (k *keeper) awaitQuiet(ctx context.Context) bool {
	if !pause(ctx, time.Until(k.given.Add(leastPause))) {
		return false
	}
	for {
		before := k.used()
		if !pause(ctx, memoryInterval) {
			return false
		}
		if float64(k.used()-before) < idleShare*float64(memoryInterval) {
			return true
		}
	}
}

// pause says whether d has passed; ctx may have ended before.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// heap is memory, in bytes.
type heap struct {
	live uint64 // found in use by the last collection
	used uint64 // in use now, or garbage
	torn uint64 // between what is in use
	free uint64 // kept for what may come
}

func readHeap() heap {
	samples := [...]metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples[:])
	return heap{live: samples[0].Value.Uint64(), used: samples[1].Value.Uint64(), torn: samples[2].Value.Uint64(), free: samples[3].Value.Uint64()}
}

// muchToSpare says whether giving back is worth a collection: what is free, and what may be garbage.
func muchToSpare(h heap) bool {
	spare := h.free + h.used - min(h.live, h.used)
	return spare >= leastSpare && float64(spare) >= leastShare*float64(h.used+h.torn+h.free)
}
