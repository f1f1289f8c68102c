package backend

import (
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestDialSetsTimeouts(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	for name, test := range map[string]struct {
		configured time.Duration
		want       int
	}{
		"default":    {0, 300_000},
		"configured": {90 * time.Second, 90_000},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Address: listener.Addr().String(), UserTimeout: test.configured}
			conn, err := cfg.dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if got := option(t, conn, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); got != test.want {
				t.Errorf("TCP_USER_TIMEOUT = %d ms, want %d", got, test.want)
			}
			if got := option(t, conn, unix.SOL_SOCKET, unix.SO_KEEPALIVE); got == 0 {
				t.Error("no keepalive")
			}
			if got := option(t, conn, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE); got != 30 {
				t.Errorf("TCP_KEEPIDLE = %d s, want 30", got)
			}
		})
	}
}

func option(t *testing.T, conn net.Conn, level, name int) int {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var value int
	var optErr error
	if err := raw.Control(func(fd uintptr) { value, optErr = unix.GetsockoptInt(int(fd), level, name) }); err != nil || optErr != nil {
		t.Fatal(err, optErr)
	}
	return value
}
