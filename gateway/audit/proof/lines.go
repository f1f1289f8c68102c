package proof

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const (
	// readBuffer holds nearly every line, which then is not copied.
	readBuffer = 256 << 10
	// maxLineBytes is more than an event can have: a text of 1 MiB and three lists of 256 KiB, every byte escaped.
	maxLineBytes = 32 << 20
)

// ErrLong is that of a line which is longer than an event can be.
var ErrLong = errors.New("the line is longer than an event can be")

// Lines reads a log line by line.
type Lines struct {
	reader *bufio.Reader
	long   []byte
	torn   bool
}

// NewLines reads from r.
func NewLines(r io.Reader) *Lines { return &Lines{reader: bufio.NewReaderSize(r, readBuffer)} }

// Next returns the next line without its newline, good until the next call; io.EOF at the end, a *SchemaError where what follows cannot
// be read. A last line without a newline is returned like the others; see Torn.
func (l *Lines) Next() ([]byte, error) {
	line, err := l.next()
	if err == nil {
		err = Readable(line)
	}
	return line, err
}

func (l *Lines) next() ([]byte, error) {
	line, err := l.reader.ReadSlice('\n')
	if err == nil {
		return line[:len(line)-1], nil
	}
	l.long = l.long[:0]
	for errors.Is(err, bufio.ErrBufferFull) {
		if l.long = append(l.long, line...); len(l.long) > maxLineBytes {
			return nil, ErrLong
		}
		line, err = l.reader.ReadSlice('\n')
	}
	l.long = append(l.long, line...)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case len(l.long) > maxLineBytes:
		return nil, ErrLong
	case err == nil:
		return bytes.TrimSuffix(l.long, []byte("\n")), nil
	case len(l.long) == 0:
		return nil, io.EOF
	}
	l.torn = true
	return l.long, nil
}

// Torn says whether the line that Next returned last was without its newline.
func (l *Lines) Torn() bool { return l.torn }
