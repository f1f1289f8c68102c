//go:build !linux

package statement

import "os/exec"

// ownBinary is empty where only os.Executable knows it.
const ownBinary = ""

// dieWithUs does nothing: a worker ends when its input does.
func dieWithUs(*exec.Cmd) {}
