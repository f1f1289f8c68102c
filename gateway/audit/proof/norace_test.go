//go:build !race

package proof

// allocated is what one hash allocates.
const allocated = 0
