//go:build linux && !race

package wire

import (
	"syscall"
	"unsafe"
)

// The descriptors are non-blocking. A call that cannot block need not be told to the scheduler, which costs more than the call: it would
// give the processor away for its time.

func rawRead(fd uintptr, p []byte) (int, error) { return rawCall(syscall.SYS_READ, fd, p) }

func rawWrite(fd uintptr, p []byte) (int, error) { return rawCall(syscall.SYS_WRITE, fd, p) }

func rawCall(trap, fd uintptr, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))) // #nosec -- what package syscall does
		switch errno {
		case 0:
			return int(n), nil // #nosec -- not more than len(p)
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
