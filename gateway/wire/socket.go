package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Socket is a TCP connection below TLS that can be read without asking twice. A Read of a net.Conn asks the kernel, hears that nothing
// is there, waits for the poller, and asks again. While a [Pipe] serves a Socket, one call of syscall.RawConn.Read lasts: its callback
// runs when the poller says that something is there, and a read that brought less than there was room for needs no second question.
//
// Otherwise it is the net.Conn it was made from. One goroutine reads, and others may write and close meanwhile.
//
// The number of the descriptor is used only within callbacks of RawConn, which hold it open: after a close it may be another session's.
type Socket struct {
	net.Conn
	raw syscall.RawConn

	// Of the goroutine that reads.
	fd      uintptr // within a callback
	inside  bool    // there
	in      *[]byte // borrowed: what is read ahead of TLS is in[r:w]
	r, w    int
	drained bool // nothing is left to read, as far as the last read tells
	short   bool // it brought less than there was room for: that may hide an end
	bulk    bool // the last read filled its buffer

	// Of whoever writes.
	writing   sync.Mutex
	rest      []byte // to be written
	writeErr  error
	writeSome func(fd uintptr) bool // the method, bound once
	corked    *[]byte               // borrowed: Writes are gathered in corked[:held]
	held      int
	broken    error // something could not be written: nothing can be behind the hole that this leaves

	serving atomic.Int32 // callbacks may be running: Close would wait for them
	armed   atomic.Bool  // sweep will run
	sweep   *time.Timer  // of the goroutine that reads
}

// NewSocket makes a Socket of a TCP connection, and returns any other as it is.
func NewSocket(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn
	}
	s := &Socket{Conn: conn, raw: raw}
	s.writeSome = s.writeSomeOf
	return s
}

// socketOf finds the Socket below a connection, nil if there is none.
func socketOf(conn any) *Socket {
	for {
		switch c := conn.(type) {
		case *Socket:
			return c
		case interface{ NetConn() net.Conn }: // *tls.Conn
			conn = c.NetConn()
		default:
			return nil
		}
	}
}

// SyscallConn makes it a syscall.Conn, as what is below it.
func (s *Socket) SyscallConn() (syscall.RawConn, error) { return s.raw, nil }

// errDrained is what Read gives while the Socket is served and nothing is left. To tls.Conn, which must go on later, it is temporary.
var errDrained net.Error = drainedError{}

type drainedError struct{}

func (drainedError) Error() string   { return "nothing more to read now" }
func (drainedError) Timeout() bool   { return true }
func (drainedError) Temporary() bool { return true }

// Read never waits while the Socket is served.
func (s *Socket) Read(p []byte) (int, error) {
	if s.r == s.w {
		if !s.inside {
			return s.Conn.Read(p)
		}
		if err := s.readAhead(); err != nil {
			return 0, err
		}
	}
	n := copy(p, (*s.in)[s.r:s.w])
	s.r += n
	return n, nil
}

// readAhead asks the kernel once, within a callback.
func (s *Socket) readAhead() error {
	if s.drained {
		return errDrained
	}
	if s.in != nil && s.bulk && len(*s.in) == bufferSize {
		giveBack(s.in)
		s.in = nil
	}
	if s.in == nil {
		s.in = borrow(s.bulk)
	}
	n, err := rawRead(s.fd, *s.in)
	switch {
	case errors.Is(err, syscall.EAGAIN):
		s.drained, s.short = true, false
		return errDrained
	case err != nil:
		return s.failed("read", err)
	case n == 0:
		return io.EOF
	}
	s.r, s.w = 0, n
	s.bulk = n == len(*s.in)
	s.drained, s.short = !s.bulk, !s.bulk
	return nil
}

// failed gives an error of the kernel the form that net gives it.
func (s *Socket) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}

// serve calls f at once and whenever there is something to read, until f says that it is done or the read deadline passes. f reads by
// Read until that gives errDrained. What was read ahead and not taken is there when serve is called again, and for plain Reads.
func (s *Socket) serve(f func() (done bool)) error {
	s.serving.Add(1)
	defer s.serving.Add(-1)
	return s.raw.Read(func(fd uintptr) bool {
		s.fd, s.inside, s.drained, s.short = fd, true, false, false
		defer s.leave()
		if f() {
			return true
		}
		if s.short {
			s.armSweep()
		}
		return false
	})
}

// leave ends what holds within a callback only.
func (s *Socket) leave() {
	s.fd, s.inside = 0, false
	if s.in != nil && s.r == s.w {
		giveBack(s.in)
		s.in, s.r, s.w = nil, 0, 0
	}
}

// sweepTime is how long an end may go unnoticed that came together with data. The poller reports both as one, a short read takes the
// data only, and nothing is reported again.
const sweepTime = time.Second

// armSweep makes sure that somebody will look for an end that a short read has hidden. Under load it finds that done.
func (s *Socket) armSweep() {
	if s.armed.Swap(true) {
		return
	}
	if s.sweep == nil {
		s.sweep = time.AfterFunc(sweepTime, s.lookForEnd)
		return
	}
	s.sweep.Reset(sweepTime)
}

// lookForEnd wakes the reader if the connection has ended. A later end is reported by the poller, later data make for a sweep of their own:
// so it is disarmed before it looks.
func (s *Socket) lookForEnd() {
	s.armed.Store(false)
	ended := false
	_ = s.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT) // #nosec -- a descriptor fits
		waiting := errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
		ended = n <= 0 && !waiting
	})
	if ended {
		_ = s.SetReadDeadline(past)
	}
}

var past = time.Unix(1, 0)

// Write returns when all is written, or nothing more can be: a record that is missing or cut would be the end of TLS, whose goodbye behind
// it the other side would take for a forgery.
func (s *Socket) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	switch {
	case s.broken != nil:
		return 0, s.broken
	case s.corked == nil:
		return s.write(p)
	case s.held+len(p) > len(*s.corked):
		if err := s.writeHeld(); err != nil {
			return 0, err
		}
		if len(p) > len(*s.corked) {
			return s.write(p)
		}
	}
	s.held += copy((*s.corked)[s.held:], p)
	return len(p), nil
}

// cork gathers what is written from now on: TLS writes each record by itself.
func (s *Socket) cork() {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.corked = borrow(true)
}

// uncork writes what was gathered.
func (s *Socket) uncork() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.writeHeld()
	giveBack(s.corked)
	s.corked = nil
	return err
}

// writeHeld is final when it fails, as it is for TLS, which believes it written.
func (s *Socket) writeHeld() error {
	if s.broken == nil {
		_, _ = s.write((*s.corked)[:s.held])
	}
	s.held = 0
	return s.broken
}

func (s *Socket) write(p []byte) (int, error) {
	s.rest, s.writeErr = p, nil
	err := s.raw.Write(s.writeSome)
	if err == nil {
		err = s.writeErr
	}
	n := len(p) - len(s.rest)
	s.rest, s.broken = nil, err
	return n, err
}

// writeSomeOf says whether it is done: all is written, or will never be. Otherwise the poller says when there is room.
func (s *Socket) writeSomeOf(fd uintptr) bool {
	for len(s.rest) > 0 {
		n, err := rawWrite(fd, s.rest)
		if errors.Is(err, syscall.EAGAIN) {
			return false
		}
		if err != nil {
			s.writeErr = s.failed("write", err)
			return true
		}
		s.rest = s.rest[n:]
	}
	return true
}

// Close closes the connection. If it is being served, the other side must hear of that at once, and whoever waits in a callback must stop
// waiting, since the descriptor stays open until they have left: one that hangs elsewhere keeps Close waiting.
func (s *Socket) Close() error {
	if s.serving.Load() > 0 {
		_ = s.SetDeadline(past)
		_ = s.raw.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }) // #nosec -- a descriptor fits
	}
	return s.Conn.Close()
}
