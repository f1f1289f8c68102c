package tail

import (
	"bytes"
	"errors"
	"io"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

const (
	// readBytes is how much is read at once, and what nearly every line fits in.
	readBytes = 256 << 10
	// maxLineBytes is what package proof takes for a line.
	maxLineBytes = 32 << 20
)

// growing reads whole lines of a file that may still grow.
type growing struct {
	from io.Reader
	buf  []byte // what was read and not yet returned
	seen int    // so much of buf has no newline
}

// next returns the next whole line without its newline, good until the next call; ok is false when there is none now. The beginning of
// a line stays for later.
func (g *growing) next() (line []byte, ok bool, err error) {
	for {
		if i := bytes.IndexByte(g.buf[g.seen:], '\n'); i >= 0 {
			line, g.buf, g.seen = g.buf[:g.seen+i], g.buf[g.seen+i+1:], 0
			return line, true, nil
		}
		if g.seen = len(g.buf); g.seen > maxLineBytes {
			return nil, false, proof.ErrLong
		}
		n, err := g.fill()
		switch {
		case n > 0: // an error comes again
		case errors.Is(err, io.EOF):
			return nil, false, nil
		case err != nil:
			return nil, false, err
		}
	}
}

// fill reads once.
func (g *growing) fill() (int, error) {
	if cap(g.buf)-len(g.buf) < readBytes/2 { // the lines before are gone from it
		g.buf = append(make([]byte, 0, 2*len(g.buf)+readBytes), g.buf...)
	}
	n, err := g.from.Read(g.buf[len(g.buf):cap(g.buf)])
	g.buf = g.buf[:len(g.buf)+n]
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	return n, err
}
