package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func anySize(Type) int { return 1 << 20 }

// relayAll runs a pipe to the end of its source, handing each message to f.
func relayAll(t *testing.T, p *Pipe, f func(t Type, size int) error) error {
	t.Helper()
	for {
		if err := p.Fill(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		for {
			typ, size, ok, err := p.Next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if err := f(typ, size); err != nil {
				if errors.Is(err, errMore) {
					break
				}
				return err
			}
		}
		if err := p.Flush(); err != nil {
			return err
		}
	}
}

var errMore = errors.New("more must be read")

func TestPipePassesBytesUnchangedHoweverTheyArrive(t *testing.T) {
	var stream []byte
	for size := 0; size < 40000; size = size*3 + 1 {
		stream = AppendMessage(stream, DataRow, bytes.Repeat([]byte{byte(size)}, size))
	}
	readers := map[string]func(io.Reader) io.Reader{
		"whole":        func(r io.Reader) io.Reader { return r },
		"byte by byte": iotest.OneByteReader,
		"halves":       iotest.HalfReader,
		"data and EOF": iotest.DataErrReader,
	}
	for name, wrap := range readers {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			p := NewPipe(&got, wrap(bytes.NewReader(stream)), anySize)
			err := relayAll(t, p, func(_ Type, size int) error { p.Accept(size); return nil })
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), stream) {
				t.Errorf("got %d bytes, want the %d that were sent", got.Len(), len(stream))
			}
			if p.BytesRead() != uint64(len(stream)) || p.BytesWritten() != uint64(len(stream)) {
				t.Errorf("counted %d in, %d out, want %d", p.BytesRead(), p.BytesWritten(), len(stream))
			}
		})
	}
}

func TestPipeDropAndInjectKeepOrder(t *testing.T) {
	for name, wrap := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader} {
		t.Run(name, func(t *testing.T) {
			in := AppendMessage(nil, 'a', []byte("one"))
			in = AppendMessage(in, 'x', []byte("secret"))
			in = AppendMessage(in, 'b', nil)
			want := AppendMessage(nil, 'a', []byte("one"))
			want = AppendMessage(want, 'y', []byte("instead"))
			want = AppendMessage(want, 'b', nil)
			var got bytes.Buffer
			p := NewPipe(&got, wrap(bytes.NewReader(in)), anySize)
			err := relayAll(t, p, func(typ Type, size int) error {
				if typ != 'x' {
					p.Accept(size)
					return nil
				}
				if err := p.Drop(size); err != nil {
					return err
				}
				return p.Inject(AppendMessage(nil, 'y', []byte("instead")))
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.Bytes()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPipeBodyWaitsForTheWholeMessageAndShrinksAfterwards(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 5*bufferSize)
	stream := AppendMessage(AppendMessage(nil, Query, large), Sync)
	var got bytes.Buffer
	p := NewPipe(&got, iotest.HalfReader(bytes.NewReader(stream)), anySize)
	err := relayAll(t, p, func(_ Type, size int) error {
		body, ok := p.Body(size)
		if !ok {
			return errMore
		}
		if size > 0 && !bytes.Equal(body, large) {
			t.Error("body differs from what was sent")
		}
		p.Accept(size)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), stream) {
		t.Errorf("got %d bytes, want %d", got.Len(), len(stream))
	}
	_ = p.Fill()
	if len(p.buf) != bufferSize {
		t.Errorf("buffer keeps %d bytes after a large message, want %d", len(p.buf), bufferSize)
	}
}

func TestPipeRefusesLengths(t *testing.T) {
	tests := map[string]struct {
		in   []byte
		want LengthError
	}{
		"zero":               {[]byte{'Q', 0, 0, 0, 0}, LengthError{Type: 'Q'}},
		"three":              {[]byte{'Q', 0, 0, 0, 3}, LengthError{Type: 'Q', Length: 3}},
		"beyond the limit":   {[]byte{'Q', 0, 0, 0, 15}, LengthError{Type: 'Q', Length: 15, Limit: 10}},
		"two gigabytes":      {[]byte{'Q', 0x7f, 0xff, 0xff, 0xff}, LengthError{Type: 'Q', Length: 0x7fffffff, Limit: 10}},
		"negative":           {[]byte{'Q', 0xff, 0xff, 0xff, 0xff}, LengthError{Type: 'Q', Length: 0xffffffff, Limit: 10}},
		"of an unknown type": {[]byte{'?', 0, 0, 0, 4}, LengthError{Type: '?', Length: 4}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := NewPipe(io.Discard, bytes.NewReader(tt.in), func(t Type) int {
				if t == '?' {
					return -1
				}
				return 10
			})
			if err := p.Fill(); err != nil {
				t.Fatal(err)
			}
			_, _, ok, err := p.Next()
			var got *LengthError
			if ok || !errors.As(err, &got) || *got != tt.want {
				t.Errorf("Next() = %t, %v, want %v", ok, err, &tt.want)
			}
			if len(p.buf) != bufferSize {
				t.Errorf("a refused length grew the buffer to %d", len(p.buf))
			}
		})
	}
}

func TestPipeInjectsNothingAmidAMessage(t *testing.T) {
	p := NewPipe(io.Discard, bytes.NewReader(AppendMessage(nil, DataRow, make([]byte, 2*bufferSize))), anySize)
	if err := p.Fill(); err != nil {
		t.Fatal(err)
	}
	_, size, _, _ := p.Next()
	p.Accept(size)
	if !p.AmidMessage() {
		t.Fatal("AmidMessage() = false after half a message")
	}
	if err := p.Inject([]byte("E")); err == nil {
		t.Error("Inject amid a message succeeded")
	}
}

func FuzzPipe(f *testing.F) {
	f.Add(AppendMessage(AppendMessage(nil, Query, []byte("select 1\x00")), Sync), uint8(3))
	f.Add([]byte{'Q', 0, 0, 0, 3}, uint8(1))
	f.Add([]byte{'d', 0x7f, 0xff, 0xff, 0xff, 1, 2, 3}, uint8(7))
	f.Fuzz(func(t *testing.T, in []byte, chunk uint8) {
		var got bytes.Buffer
		p := NewPipe(&got, chunks(in, int(chunk)+1), func(Type) int { return 4096 })
		err := relayAll(t, p, func(typ Type, size int) error {
			if typ%2 == 0 {
				if _, ok := p.Body(size); !ok {
					return errMore
				}
			}
			p.Accept(size)
			return nil
		})
		if !bytes.HasPrefix(in, got.Bytes()) {
			t.Errorf("what came out is not what went in, error %v", err)
		}
	})
}

// chunks reads at most n bytes at a time.
func chunks(b []byte, n int) io.Reader { return &chunkReader{bytes.NewReader(b), n} }

type chunkReader struct {
	r io.Reader
	n int
}

func (c *chunkReader) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.n)]) }

// TestPipeTakesMemoryAsBytesCome shows that a length alone, which anybody can announce, takes none; and that a message grown so is whole.
func TestPipeTakesMemoryAsBytesCome(t *testing.T) {
	const size = 1 << 20
	message := AppendMessage(nil, Bind, bytes.Repeat([]byte("x"), size))
	var dst bytes.Buffer
	p := NewPipe(&dst, io.MultiReader(bytes.NewReader(message[:100]), bytes.NewReader(message[100:])), anySize)
	largest := 0
	err := relayAll(t, p, func(_ Type, size int) error {
		body, ok := p.Body(size)
		if !ok {
			if p.fill > bufferSize && len(p.buf) > 2*p.fill || p.fill <= bufferSize && len(p.buf) > bufferSize {
				t.Fatalf("%d bytes are kept for %d that came", len(p.buf), p.fill)
			}
			largest = max(largest, len(p.buf))
			return errMore
		}
		p.Accept(len(body))
		return nil
	})
	if err != nil || !bytes.Equal(dst.Bytes(), message) {
		t.Errorf("%d bytes arrived, want %d; %v", dst.Len(), len(message), err)
	}
	if largest == bufferSize {
		t.Error("the buffer did not grow: the test tests nothing")
	}
}

// TestPipeFinishesHalfAMessage: what the destination has seen the start of is made whole, and nothing behind it is written.
func TestPipeFinishesHalfAMessage(t *testing.T) {
	half := AppendMessage(nil, CopyData, bytes.Repeat([]byte("x"), 100))
	whole := append(bytes.Clone(half), AppendMessage(nil, Query, []byte("select\x00"))...)
	pieces := make(chan []byte, 3)
	pieces <- whole[:50]
	pieces <- whole[50:80]
	pieces <- whole[80:]
	var got bytes.Buffer
	p := NewPipe(&got, readerFunc(func(b []byte) (int, error) { return copy(b, <-pieces), nil }), anySize)
	if err := p.Fill(); err != nil {
		t.Fatal(err)
	}
	_, size, _, _ := p.Next()
	p.Accept(size)
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{false, true} {
		if err := p.Fill(); err != nil {
			t.Fatal(err)
		}
		if want {
			_, size, ok, err := p.Next()
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
			p.Accept(size)
		}
		if finished, err := p.Finish(); finished != want || err != nil {
			t.Fatalf("finished: %v, %v, want %v", finished, err, want)
		}
	}
	if diff := cmp.Diff(half, got.Bytes()); diff != "" {
		t.Error(diff)
	}
}

type readerFunc func(b []byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// TestPipeHolds what is neither lost nor out of order, and forgets what the destination is not to see, the rest of a message included.
func TestPipeHolds(t *testing.T) {
	message := func(text string) []byte { return AppendMessage(nil, 'a', []byte(text)) }
	var got bytes.Buffer
	in := bytes.Join([][]byte{message("one"), message("two"), message("three"), message("four")}, nil)
	p := NewPipe(&got, iotest.OneByteReader(bytes.NewReader(in)), anySize)
	n := 0
	err := relayAll(t, p, func(_ Type, size int) error {
		switch n++; n {
		case 2:
			if err := p.Hold(); err != nil {
				return err
			}
		case 3:
			if p.Held() == 0 || bytes.Contains(got.Bytes(), []byte("two")) {
				t.Error("it is not held")
			}
			if err := p.Release(); err != nil {
				return err
			}
		case 4:
			if err := p.Hold(); err != nil {
				return err
			}
			p.Accept(size)
			p.Forget()
			return p.Inject(message("last"))
		}
		p.Accept(size)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Join([][]byte{message("one"), message("two"), message("three"), message("last")}, nil)
	if diff := cmp.Diff(want, got.Bytes()); diff != "" {
		t.Error(diff)
	}
}

// TestPipeMutes as long as it is wanted.
func TestPipeMutes(t *testing.T) {
	var got bytes.Buffer
	p := NewPipe(&got, nil, anySize)
	p.Mute()
	if err := p.Inject(AppendMessage(nil, 'a')); err != nil || got.Len() > 0 || p.BytesWritten() > 0 {
		t.Errorf("%v, %d bytes", err, got.Len())
	}
	p.Forget()
	if err := p.Inject(AppendMessage(nil, 'b')); err != nil || got.Len() != 5 {
		t.Errorf("%v, %d bytes", err, got.Len())
	}
}
