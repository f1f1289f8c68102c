package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// finWithData sends data and the end of the connection in one segment: the poller then reports both as one.
func finWithData(t *testing.T, conn *net.TCPConn, data []byte) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		if err := syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, 1); err != nil {
			t.Error(err)
		}
		if _, err := syscall.Write(int(fd), data); err != nil {
			t.Error(err)
		}
		if err := syscall.Shutdown(int(fd), syscall.SHUT_WR); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// TestSocketHearsAnEndThatCameWithData: a short read takes the data and not the end, of which the poller says nothing more.
func TestSocketHearsAnEndThatCameWithData(t *testing.T) {
	const connections = 100
	message := AppendMessage(nil, Query, []byte("last words\x00"))
	var running sync.WaitGroup
	for range connections {
		far, near := tcpPair(t)
		ended := make(chan error, 1)
		go func() { ended <- relay(near, near) }()
		running.Go(func() {
			got := make([]byte, len(message))
			_, _ = far.Write(message)
			if _, err := io.ReadFull(far, got); err != nil {
				t.Errorf("the first message does not come back: %v", err)
			}
			finWithData(t, far, message)
			if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, message) {
				t.Errorf("the last message does not come back: %v", err)
			}
			select {
			case err := <-ended:
				if !errors.Is(err, io.EOF) {
					t.Errorf("ended by %v, want EOF", err)
				}
			case <-time.After(10 * sweepTime):
				t.Error("the end is not heard")
				_ = near.Close()
				<-ended
			}
		})
	}
	running.Wait()
}
