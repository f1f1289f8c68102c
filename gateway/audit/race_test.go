//go:build race

package audit

// pooled is how many allocations two events may cost: under the race detector a sync.Pool forgets some of what it is given, and crypto/sha256
// makes what it otherwise only clears, for two leaves and the nodes above them. Without it there are none, see norace_test.go.
const pooled = 8
