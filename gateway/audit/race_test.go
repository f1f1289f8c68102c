//go:build race

package audit

// pooled is how many allocations two events may cost: under the race detector a sync.Pool forgets some of what it is given.
const pooled = 4
