//go:build !linux

package backend

import (
	"syscall"
	"time"
)

// userTimeout does nothing: TCP_USER_TIMEOUT is Linux's. Keepalive and the session's own write timeouts remain.
func userTimeout(time.Duration) func(network, address string, conn syscall.RawConn) error { return nil }
