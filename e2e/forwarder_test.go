package e2e

import (
	"io"
	"net"
	"sync"
	"testing"
)

// forwarder passes on TCP connections, until it is closed or stalled.
type forwarder struct {
	address, to string

	mu       sync.Mutex
	listener net.Listener
	stalled  bool
	conns    map[net.Conn]bool
	running  sync.WaitGroup
}

func forward(t *testing.T, to string) *forwarder {
	t.Helper()
	f := &forwarder{address: "127.0.0.1:0", to: to, conns: make(map[net.Conn]bool)}
	f.open(t)
	t.Cleanup(func() {
		f.close()
		f.running.Wait()
	})
	return f
}

// open listens, always at the same address.
func (f *forwarder) open(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", f.address)
	must(t, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listener, f.address = listener, listener.Addr().String()
	f.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			f.running.Go(func() { f.pass(conn) })
		}
	})
}

// close refuses connections, and ends those that there are.
func (f *forwarder) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.listener.Close()
	for conn := range f.conns {
		_ = conn.Close()
	}
}

// stall accepts connections and passes nothing on; those that there are end. Without stalling, those that hang end.
func (f *forwarder) stall(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stalled = on
	for conn := range f.conns {
		_ = conn.Close()
	}
}

func (f *forwarder) pass(conn net.Conn) {
	onward, err := net.Dial("tcp", f.to)
	if err != nil {
		_ = conn.Close()
		return
	}
	f.mu.Lock()
	f.conns[conn], f.conns[onward] = true, true
	stalled := f.stalled
	f.mu.Unlock()
	var both sync.WaitGroup
	end := func() {
		_ = conn.Close()
		_ = onward.Close()
	}
	both.Go(func() {
		defer end()
		if stalled {
			_, _ = io.Copy(io.Discard, conn)
			return
		}
		_, _ = io.Copy(onward, conn)
	})
	both.Go(func() {
		defer end()
		_, _ = io.Copy(conn, onward)
	})
	both.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, conn)
	delete(f.conns, onward)
}
