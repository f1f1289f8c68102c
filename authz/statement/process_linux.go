package statement

import (
	"os/exec"
	"syscall"
)

// ownBinary is the program that runs, also when its file has been replaced since.
const ownBinary = "/proc/self/exe"

// dieWithUs has the kernel kill the worker when the thread that started it ends: the caller keeps that thread.
func dieWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
