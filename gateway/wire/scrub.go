//go:build !race

package wire

// scrub does nothing, but where the race detector is.
func scrub([]byte) {}
