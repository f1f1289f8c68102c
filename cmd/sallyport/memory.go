package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryInterval is between two looks at memory: a burst of logins is over when the gateway did next to nothing meanwhile.
	memoryInterval = 5 * time.Second
	// leastPause is between two times that memory is given back, and leastShare what must be to give back of all that the heap has: it
	// costs a collection of garbage.
	leastPause = 30 * time.Second
	leastShare = 0.05
	leastSpare = 2 << 20
)

// followQuiet gives memory back that a burst of logins needed and nobody does now, until ctx ends. The runtime keeps what the next burst
// would need, for hours if there is none, while sessions wait that were let in by the last.
func followQuiet(ctx context.Context) error {
	ticker := time.NewTicker(memoryInterval)
	defer ticker.Stop()
	var given time.Time
	cpu := cpuTime()
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return nil
		case now = <-ticker.C:
		}
		before := cpu
		cpu = cpuTime()
		quiet := float64(cpu-before) < idleShare*float64(memoryInterval)
		if quiet && now.Sub(given) >= leastPause && muchToSpare(readHeap()) {
			debug.FreeOSMemory()
			given, cpu = now, cpuTime()
		}
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
