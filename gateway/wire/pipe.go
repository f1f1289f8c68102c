package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// LengthError reports a message whose length is impossible or beyond its limit.
type LengthError struct {
	Type   Type
	Length int64 // as sent, with the four bytes of the length itself
	Limit  int   // the longest body; 0 when the length is impossible
}

func (e *LengthError) Error() string {
	if e.Limit == 0 {
		return fmt.Sprintf("message %q has the impossible length %d", e.Type, e.Length)
	}
	return fmt.Sprintf("message %q of %d bytes is longer than the limit of %d", e.Type, e.Length, e.Limit)
}

// Pipe moves messages from a source to a destination. It belongs to one goroutine.
//
// [Pipe.Run] reads, and lets the caller step over what was read: [Pipe.Next] shows the message at the head, and exactly one of Accept and
// Drop disposes of it. [Pipe.Flush] writes what was accepted; [Pipe.Inject] writes something of the caller's own in order.
type Pipe struct {
	src    io.Reader
	dst    io.Writer
	socket *Socket // below src; nil: src is read as any other
	into   *Socket // below dst; nil: dst is written as any other
	// limit is the longest body allowed for a type; below 0 the type is unknown and the message refused as one of impossible length.
	limit func(Type) int

	buf  []byte  // nil while there is nothing in it
	loan *[]byte // buf, if it is borrowed
	bulk bool    // the last read filled buf
	mark int     // buf[mark:next] is accepted and not yet written
	next int     // buf[next:fill] is read and not yet disposed of
	fill int
	pass int // body bytes of an accepted message that are still to be read
	half int // body bytes that the destination still lacks of a message whose start was written to it
	drop int // body bytes of a dropped message that are still to be read
	want int // bytes the message at the head needs to be whole

	hold  bool   // what is written goes to held
	held  []byte // until it is released
	muted bool   // what is written goes nowhere

	read, written uint64
}

// NewPipe returns a pipe from src to dst. limit gives the longest body of a type in bytes; lengths are checked before anything is allocated.
// If src is a [Socket], or TLS on one, that is served.
func NewPipe(dst io.Writer, src io.Reader, limit func(Type) int) *Pipe {
	return &Pipe{src: src, dst: dst, socket: socketOf(src), into: socketOf(dst), limit: limit}
}

// BytesRead counts what came from the source.
func (p *Pipe) BytesRead() uint64 { return p.read }

// BytesWritten counts what went to the destination.
func (p *Pipe) BytesWritten() uint64 { return p.written }

// Run reads and waits, and calls dispose for what each read brought, until the source ends or dispose returns an error. dispose must flush
// what it accepts. woken says that nothing has ended but the patience of the source's read deadline: Run may be called again.
func (p *Pipe) Run(dispose func() error) (woken bool, err error) {
	if p.socket != nil {
		return p.serve(dispose)
	}
	for {
		if err := p.Fill(); err != nil {
			return errors.Is(err, os.ErrDeadlineExceeded), err
		}
		if err := dispose(); err != nil {
			return false, err
		}
	}
}

// serve is Run on a Socket.
func (p *Pipe) serve(dispose func() error) (woken bool, err error) {
	var ended error
	err = p.socket.serve(func() (done bool) {
		ended = p.drain(dispose)
		return ended != nil
	})
	if err != nil {
		return errors.Is(err, os.ErrDeadlineExceeded), err
	}
	return false, ended
}

// drain disposes of everything that is there now. Who waits for more then keeps no buffer, unless something in it is not whole yet.
func (p *Pipe) drain(dispose func() error) error {
	for {
		n, err := p.take()
		if n > 0 {
			if err := dispose(); err != nil {
				return err
			}
		}
		if errors.Is(err, errDrained) {
			if p.next == p.fill {
				p.release()
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// take reads what is there now, as far as there is room for it.
func (p *Pipe) take() (n int, err error) {
	p.makeRoom()
	for err == nil && p.fill < len(p.buf) {
		var more int
		more, err = p.src.Read(p.buf[p.fill:])
		p.fill += more
		n += more
	}
	p.bulk = err == nil
	p.read += uint64(n) // #nosec G115 -- a count
	return n, err
}

// Fill reads once from the source and waits if nothing is there. Everything accepted must have been flushed.
func (p *Pipe) Fill() error {
	if p.socket != nil {
		return p.fillServed()
	}
	p.makeRoom()
	n, err := p.src.Read(p.buf[p.fill:])
	p.fill += n
	p.read += uint64(n) // #nosec G115 -- a count
	if n > 0 {
		return nil // an error that came with data comes again
	}
	return err
}

// fillServed is Fill on a Socket.
func (p *Pipe) fillServed() error {
	var n int
	var err error
	served := p.socket.serve(func() (done bool) {
		n, err = p.take()
		return n > 0 || !errors.Is(err, errDrained)
	})
	if served != nil {
		return served
	}
	if n > 0 {
		return nil
	}
	return err
}

func (p *Pipe) makeRoom() {
	if p.next == p.fill { // also what was large for one large message must not stay so for the session's life
		p.mark, p.next, p.fill, p.want = 0, 0, 0, 0
		p.renew()
		return
	}
	room := p.buf
	if p.want > len(p.buf) && p.fill-p.next == len(p.buf) {
		room = make([]byte, min(p.want, 2*len(p.buf))) // a length is only a promise: what has come is matched, not what is announced
	}
	if p.next > 0 || len(room) > len(p.buf) {
		p.fill = copy(room, p.buf[p.next:p.fill])
		p.mark, p.next = 0, 0
	}
	if len(room) > len(p.buf) {
		p.release()
	}
	p.buf, p.want = room, 0
}

// renew makes buf an empty one of the size that is wanted.
func (p *Pipe) renew() {
	size := bufferSize
	if p.bulk {
		size = bulkSize
	}
	if p.loan != nil && len(p.buf) == size {
		return
	}
	p.release()
	p.loan = borrow(p.bulk)
	p.buf = (*p.loan)[:size]
}

// release gives up buf.
func (p *Pipe) release() {
	if p.loan != nil {
		giveBack(p.loan)
	}
	p.buf, p.loan = nil, nil
	if p.next == p.fill {
		p.mark, p.next, p.fill = 0, 0, 0
	}
}

// Next shows the message at the head: its type and the size of its body. ok is false when Fill must bring more first.
func (p *Pipe) Next() (t Type, size int, ok bool, err error) {
	if !p.finishBody() || p.fill-p.next < headerSize {
		return 0, 0, false, nil
	}
	t = p.buf[p.next]
	length := binary.BigEndian.Uint32(p.buf[p.next+1:])
	limit := p.limit(t)
	if length < 4 || limit < 0 {
		return t, 0, false, &LengthError{Type: t, Length: int64(length)}
	}
	if int64(length)-4 > int64(limit) {
		return t, 0, false, &LengthError{Type: t, Length: int64(length), Limit: limit}
	}
	return t, int(length) - 4, true, nil
}

// finishBody goes on with a body that was disposed of before it was read whole.
func (p *Pipe) finishBody() bool {
	switch {
	case p.pass > 0:
		n := min(p.pass, p.fill-p.next)
		p.next += n
		p.pass -= n
	case p.drop > 0:
		n := min(p.drop, p.fill-p.next)
		p.next += n
		p.mark = p.next
		p.drop -= n
	}
	return p.pass == 0 && p.drop == 0
}

// Body returns the body of the message at the head, of the size that Next gave. ok is false when Fill must bring more first.
// The bytes are the pipe's: they are valid until the next call of Fill.
func (p *Pipe) Body(size int) (body []byte, ok bool) {
	if p.fill-p.next < headerSize+size {
		p.want = headerSize + size
		return nil, false
	}
	return p.buf[p.next+headerSize : p.next+headerSize+size], true
}

// Accept passes the message at the head on unchanged; what is not read of it yet follows as it comes.
func (p *Pipe) Accept(size int) {
	n := min(headerSize+size, p.fill-p.next)
	p.next += n
	p.pass = headerSize + size - n
}

// Drop leaves the message at the head out. It flushes first, so that order is kept whatever the caller injects next.
func (p *Pipe) Drop(size int) error {
	if err := p.Flush(); err != nil {
		return err
	}
	n := min(headerSize+size, p.fill-p.next)
	p.next += n
	p.mark = p.next
	p.drop = headerSize + size - n
	return nil
}

// Inject writes a message of the caller's own after all that was accepted. It is an error amid a message.
func (p *Pipe) Inject(message []byte) error {
	if p.pass > 0 {
		return errAmidMessage
	}
	if err := p.Flush(); err != nil {
		return err
	}
	return p.write(message)
}

var errAmidMessage = fmt.Errorf("a message is only half relayed")

// AmidMessage says whether the destination has seen the start of a message whose end is still to come.
func (p *Pipe) AmidMessage() bool { return p.pass > 0 }

// Flush writes what was accepted.
func (p *Pipe) Flush() error {
	if p.mark == p.next {
		return nil
	}
	b := p.buf[p.mark:p.next]
	p.mark, p.half = p.next, p.pass
	return p.write(b)
}

// Finish writes what has come of a message whose start is written already, and nothing of what was accepted behind it. whole says that
// there is no such message any more; otherwise Fill must bring more of it.
func (p *Pipe) Finish() (whole bool, err error) {
	if p.half == 0 {
		return true, nil
	}
	p.finishBody()
	n := min(p.half, p.next-p.mark)
	b := p.buf[p.mark : p.mark+n]
	p.mark += n
	p.half -= n
	return p.half == 0, p.write(b)
}

// Hold flushes, and keeps what is written from now on until Release writes it or Forget forgets it. It must not be called amid a message.
func (p *Pipe) Hold() error {
	err := p.Flush()
	p.hold = true
	return err
}

// Held is how much is kept.
func (p *Pipe) Held() int { return len(p.held) }

// Release writes what was kept.
func (p *Pipe) Release() error {
	held := p.held
	p.hold, p.held = false, nil
	return p.write(held)
}

// Mute has all that is written from now on go nowhere, and what is kept: the source is to be heard out, and the destination is told nothing
// of it.
func (p *Pipe) Mute() { p.muted, p.hold, p.held = true, false, nil }

// Forget ends Hold and Mute. What they have kept from the destination, the rest of a message included, is never written: they must not have
// been called amid one.
func (p *Pipe) Forget() {
	if !p.muted && !p.hold {
		return
	}
	p.muted, p.hold, p.held = false, false, nil
	p.mark, p.half = p.next, 0
	p.drop += p.pass
	p.pass = 0
}

// write writes b, and what makes several records as one all the same.
func (p *Pipe) write(b []byte) error {
	if p.muted {
		return nil
	}
	if p.hold {
		p.held = append(p.held, b...)
		return nil
	}
	for p.into != nil && len(b) > bufferSize {
		some := b[:min(len(b), bulkSize)]
		p.into.cork()
		n, err := p.dst.Write(some)
		if uncorked := p.into.uncork(); err == nil {
			err = uncorked
		}
		if err != nil {
			return err
		}
		p.written += uint64(n) // #nosec G115 -- a count
		b = b[len(some):]
	}
	if len(b) == 0 {
		return nil
	}
	n, err := p.dst.Write(b)
	p.written += uint64(n) // #nosec G115 -- a count
	return err
}

// Prefix is Body for a message that may be long: the whole body, or its first most bytes. The message may still be accepted or dropped.
func (p *Pipe) Prefix(size, most int) (prefix []byte, ok bool) {
	return p.Body(min(size, most))
}
