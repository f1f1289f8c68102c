//go:build race

package e2e

// raceDetector says whether the gateway is built with it, too.
const raceDetector = true
