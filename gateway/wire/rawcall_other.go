//go:build !linux || race

package wire

import (
	"errors"
	"syscall"
)

// The race detector takes what package syscall reads and writes for an order of things, as it is.

func rawRead(fd uintptr, p []byte) (int, error) {
	for {
		if n, err := syscall.Read(int(fd), p); !errors.Is(err, syscall.EINTR) { // #nosec -- a descriptor fits
			return n, err
		}
	}
}

func rawWrite(fd uintptr, p []byte) (int, error) {
	for {
		if n, err := syscall.Write(int(fd), p); !errors.Is(err, syscall.EINTR) { // #nosec -- a descriptor fits
			return n, err
		}
	}
}
