//go:build race

package audit

// hashAllocations is how many one hash makes: instrumented code allocates what crypto/sha256 appends to its state, a block of zeros, where
// the compiler otherwise clears it in place. Without the race detector there are none, see norace_test.go.
const hashAllocations = 1
