//go:build race

package proof

// allocated is what one hash allocates: instrumented code allocates what crypto/sha256 appends to its state, a block of zeros, where the
// compiler otherwise clears it in place.
const allocated = 1
