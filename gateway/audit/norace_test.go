//go:build !race

package audit

// pooled is how many allocations two events may cost.
const pooled = 0
