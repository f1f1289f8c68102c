//go:build race

package gateway

// hashed is how many allocations the hashes of an exchange's two events cost: the race detector has crypto/sha256 make what it otherwise
// only clears.
const hashed = 4
