package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// TestSocketHearsAnEndWithoutCloseNotify is the same within TLS, where such an end is unexpected.
func TestSocketHearsAnEndWithoutCloseNotify(t *testing.T) {
	message := AppendMessage(nil, Query, []byte("last words\x00"))
	var running sync.WaitGroup
	for range 20 {
		s := securePair(t, nil)
		running.Go(func() {
			var got bytes.Buffer
			ended := make(chan error, 1)
			go func() { ended <- relay(&got, s.near) }()
			_, _ = s.far.Write(message)
			_ = s.wire.CloseWrite()
			if err := <-ended; !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("ended by %v, want an EOF", err)
			}
			if !bytes.Equal(got.Bytes(), message) {
				t.Errorf("got %q", got.Bytes())
			}
		})
	}
	running.Wait()
}

// TestSocketKeepsSessionsApart runs sessions beside many that are cut off by whichever side, in the middle of reads and writes: the number
// of a descriptor that was closed is given to the next connection.
func TestSocketKeepsSessionsApart(t *testing.T) {
	const sessions, cut, rounds = 4, 120, 100
	var running, cutting sync.WaitGroup
	for i := range sessions {
		s := securePair(t, nil)
		running.Go(func() { _ = relay(s.near, s.near) })
		running.Go(func() {
			defer func() { _ = s.far.Close() }()
			message := AppendMessage(nil, DataRow, bytes.Repeat([]byte{byte(i)}, 5000))
			got := make([]byte, len(message))
			for range rounds {
				if _, err := s.far.Write(message); err != nil {
					t.Error(err)
					return
				}
				if _, err := io.ReadFull(s.far, got); err != nil || !bytes.Equal(got, message) {
					t.Errorf("session %d got something else than it sent, %v", i, err)
					return
				}
			}
		})
	}
	for i := range cut {
		cutting.Go(func() {
			s := securePair(t, nil)
			var both sync.WaitGroup
			both.Go(func() { _ = relay(s.near, s.near) })
			both.Go(func() {
				foreign := AppendMessage(nil, DataRow, bytes.Repeat([]byte{0xee}, 20000))
				for {
					if _, err := s.far.Write(foreign); err != nil {
						return
					}
				}
			})
			_, _ = io.CopyN(io.Discard, s.far, int64(i)*1000) // somewhere in the middle
			if i%2 == 0 {
				_ = s.wire.SetLinger(0)
				_ = s.wire.Close()
			} else {
				_ = s.socket.Close()
			}
			both.Wait()
		})
		if i%10 == 9 {
			cutting.Wait()
		}
	}
	cutting.Wait()
	running.Wait()
}

// TestSocketWriteEndsAtItsDeadline has a client that stops reading: whoever writes to it does not wait for ever, inside a callback either.
func TestSocketWriteEndsAtItsDeadline(t *testing.T) {
	s := securePair(t, nil)
	_ = s.near.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	ended := make(chan error, 1)
	go func() { ended <- relay(s.near, s.near) }()
	go func() {
		message := AppendMessage(nil, DataRow, make([]byte, 1<<20))
		for {
			if _, err := s.far.Write(message); err != nil {
				return
			}
		}
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ended by %v, want the deadline", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the write goes on")
	}
	_ = s.wire.Close()
}

// TestSocketCloseReachesTheOtherSide though somebody hangs in a callback, who keeps the descriptor open.
func TestSocketCloseReachesTheOtherSide(t *testing.T) {
	far, near := tcpPair(t)
	hanging, release := make(chan struct{}), make(chan struct{})
	p := NewPipe(io.Discard, near, anySize)
	var running sync.WaitGroup
	running.Go(func() {
		_, _ = p.Run(func() error {
			close(hanging)
			<-release
			return io.ErrUnexpectedEOF
		})
	})
	_, _ = far.Write(AppendMessage(nil, Sync))
	<-hanging
	running.Go(func() { _ = near.Close() })
	if n, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the other side reads %d bytes, %v, want EOF", n, err)
	}
	close(release)
	running.Wait()
}

// TestSocketHalfClosed: what a client asked before it closed its half is answered.
func TestSocketHalfClosed(t *testing.T) {
	far, near := tcpPair(t)
	var message []byte
	for i := range 50 {
		message = AppendMessage(message, DataRow, bytes.Repeat([]byte{byte(i)}, 4000))
	}
	ended := make(chan error, 1)
	go func() { ended <- relay(near, near) }()
	go func() {
		_, _ = far.Write(message)
		_ = far.CloseWrite()
	}()
	got := make([]byte, len(message))
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, message) {
		t.Errorf("not all came back: %v", err)
	}
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("ended by %v, want EOF", err)
	}
}

// TestPipeOnASocketPassesBytesUnchangedHoweverTheyArrive: records that come in pieces, many in one segment, and messages beyond every buffer.
func TestPipeOnASocketPassesBytesUnchangedHoweverTheyArrive(t *testing.T) {
	var stream []byte
	for i, size := range []int{0, 1, 100, bufferSize - 5, bufferSize, 3, bulkSize, 5 * bulkSize, 7} {
		stream = AppendMessage(stream, DataRow, bytes.Repeat([]byte{byte(i + 1)}, size))
	}
	for _, piece := range []int{7, 1000, 16384, len(stream)} {
		t.Run(fmt.Sprintf("pieces of %d bytes", piece), func(t *testing.T) {
			s := securePair(t, nil)
			ended := make(chan error, 1)
			go func() { ended <- relay(s.near, s.near) }()
			go func() {
				for sent := 0; sent < len(stream); sent += piece {
					if _, err := s.far.Write(stream[sent:min(sent+piece, len(stream))]); err != nil {
						t.Error(err)
						return
					}
				}
			}()
			got := make([]byte, len(stream))
			if _, err := io.ReadFull(s.far, got); err != nil || !bytes.Equal(got, stream) {
				t.Errorf("something else came back: %v", err)
			}
			_ = s.far.Close()
			if err := <-ended; !errors.Is(err, io.EOF) {
				t.Errorf("ended by %v, want EOF", err)
			}
		})
	}
}

// TestPipeWakesOnADeadlineAndHoldsNothing: a session that waits holds no buffer, and can be woken and go on.
func TestPipeWakesOnADeadlineAndHoldsNothing(t *testing.T) {
	s := securePair(t, nil)
	p := NewPipe(s.near, s.near, anySize)
	type result struct {
		woken bool
		err   error
	}
	results := make(chan result, 1)
	run := func() {
		woken, err := p.Run(func() error { return passAll(p) })
		results <- result{woken, err}
	}
	message := AppendMessage(nil, Query, []byte("again\x00"))
	got := make([]byte, len(message))
	for range 3 {
		go run()
		if _, err := s.far.Write(message); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(s.far, got); err != nil {
			t.Fatal(err)
		}
		_ = s.near.SetReadDeadline(past)
		if r := <-results; !r.woken || !errors.Is(r.err, os.ErrDeadlineExceeded) {
			t.Fatalf("Run() = %t, %v, want to be woken", r.woken, r.err)
		}
		_ = s.near.SetReadDeadline(time.Time{})
		if p.buf != nil || p.loan != nil || s.socket.in != nil {
			t.Error("a buffer is held while nothing comes")
		}
	}
	go run()
	_ = s.far.Close()
	if r := <-results; r.woken || !errors.Is(r.err, io.EOF) {
		t.Errorf("Run() = %t, %v, want EOF", r.woken, r.err)
	}
}

// TestPipeLeavesTheRestToPlainReads: who ends in the middle of what was read ahead must still find the end of the connection.
func TestPipeLeavesTheRestToPlainReads(t *testing.T) {
	s := securePair(t, nil)
	var stream []byte
	for range 10 {
		stream = AppendMessage(stream, DataRow, make([]byte, 10000))
	}
	go func() {
		_, _ = s.far.Write(stream)
		_ = s.far.Close()
	}()
	enough := errors.New("enough")
	p := NewPipe(io.Discard, s.near, anySize)
	if woken, err := p.Run(func() error { return enough }); woken || !errors.Is(err, enough) {
		t.Fatalf("Run() = %t, %v, want %v", woken, err, enough)
	}
	rest, err := io.Copy(io.Discard, s.near)
	if err != nil {
		t.Errorf("reading on gives %v", err)
	}
	if total := p.BytesRead() + uint64(rest); total != uint64(len(stream)) {
		t.Errorf("%d bytes were read in all, want %d", total, len(stream))
	}
}

// TestSocketOfWhatIsNoSocket: those are read as any other.
func TestSocketOfWhatIsNoSocket(t *testing.T) {
	near, far := net.Pipe()
	defer func() { _, _ = near.Close(), far.Close() }()
	if NewSocket(near) != near || socketOf(near) != nil {
		t.Error("a net.Pipe became a Socket")
	}
}

// BenchmarkPipe passes a message there and back.
func BenchmarkPipe(b *testing.B) {
	for _, size := range []int{80, 200 << 10} {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			s := securePair(b, nil)
			_ = s.wire.SetDeadline(time.Time{})
			ended := make(chan error, 1)
			go func() { ended <- relay(s.near, s.near) }()
			message := AppendMessage(nil, DataRow, make([]byte, size))
			binary.BigEndian.PutUint32(message[headerSize:], uint32(size))
			got := make([]byte, len(message))
			b.ReportAllocs()
			b.SetBytes(int64(len(message)))
			for b.Loop() {
				_, _ = s.far.Write(message)
				if _, err := io.ReadFull(s.far, got); err != nil {
					b.Fatal(err)
				}
			}
			_ = s.far.Close()
			<-ended
		})
	}
}

// TestSocketGathersRecords: what makes several records is one write, and an error of that write is final.
func TestSocketGathersRecords(t *testing.T) {
	far, near := tcpPair(t)
	near.cork()
	for range 3 {
		if n, err := near.Write(make([]byte, bufferSize)); n != bufferSize || err != nil {
			t.Fatalf("Write() = %d, %v", n, err)
		}
	}
	_ = far.SetReadDeadline(past)
	if n, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes are written before all is gathered, %v", n, err)
	}
	_ = far.SetReadDeadline(time.Now().Add(10 * time.Second))
	if err := near.uncork(); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(far, make([]byte, 3*bufferSize)); err != nil {
		t.Errorf("%d bytes came, %v", n, err)
	}
	_ = near.SetWriteDeadline(past)
	near.cork()
	if _, err := near.Write([]byte("lost")); err != nil {
		t.Fatal(err)
	}
	if err := near.uncork(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("uncork() = %v, want the deadline", err)
	}
	_ = near.SetWriteDeadline(time.Time{})
	if _, err := near.Write([]byte("more")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write() = %v after something was lost, want that error again", err)
	}
}

// TestSocketEndsWithAFailedWrite: what could not be written leaves a hole. Nothing comes behind it, not even the end that TLS announces: to
// the other side that would be a forgery.
func TestSocketEndsWithAFailedWrite(t *testing.T) {
	far, near := tcpPair(t)
	_ = near.SetWriteDeadline(past)
	if _, err := near.Write([]byte("lost")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write() = %v, want the deadline", err)
	}
	_ = near.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := near.Write([]byte("more")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write() = %v after something was lost, want that error again", err)
	}
	_ = near.Close()
	if got, err := io.ReadAll(far); len(got) > 0 || err != nil {
		t.Errorf("%q came, %v", got, err)
	}
}
