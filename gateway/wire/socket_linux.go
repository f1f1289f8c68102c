package wire

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The descriptors are non-blocking. A call that cannot block need not be told to the scheduler, which costs more than the call: it would
// give the processor away for its time.

func rawRead(fd uintptr, p []byte) (int, error) { return rawCall(unix.SYS_READ, fd, p) }

func rawWrite(fd uintptr, p []byte) (int, error) { return rawCall(unix.SYS_WRITE, fd, p) }

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

// rawEnded says whether the connection has ended and nothing is left to read before that.
func rawEnded(fd uintptr) bool {
	var b [1]byte
	n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT) // #nosec -- a descriptor fits
	return n == 0 && err == nil || err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
}
