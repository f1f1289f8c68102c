package statement

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestFrames(t *testing.T) {
	var b bytes.Buffer
	if err := writeFrame(&b, frameText, []byte("SELECT 1")); err != nil {
		t.Fatal(err)
	}
	kind, body, err := readFrame(&b)
	if kind != frameText || string(body) != "SELECT 1" || err != nil || b.Len() > 0 {
		t.Errorf("got %c %q, %v, %d bytes left", kind, body, err, b.Len())
	}
}

func TestReadFrameRefuses(t *testing.T) {
	tests := map[string]struct {
		bytes []byte
		want  error
	}{
		"nothing":      {nil, io.EOF},
		"half a size":  {[]byte{0, 0}, io.ErrUnexpectedEOF},
		"no kind":      {[]byte{0, 0, 0, 0}, errFrameSize},
		"too large":    {binary.BigEndian.AppendUint32(nil, maxFrame+1), errFrameSize},
		"largest size": {[]byte{0xff, 0xff, 0xff, 0xff}, errFrameSize},
		"cut":          {[]byte{0, 0, 0, 5, 't', 'a'}, io.ErrUnexpectedEOF},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, _, err := readFrame(bytes.NewReader(test.bytes)); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// noSetup is a setup that says nothing: an empty map.
const noSetup = "\xa0"

// TestWorkerRefuses gives a worker what no pool sends: it ends and says nothing.
func TestWorkerRefuses(t *testing.T) {
	frame := func(kind byte, body string) string {
		var b strings.Builder
		_ = writeFrame(&b, kind, []byte(body))
		return b.String()
	}
	setup := frame(frameSetup, noSetup)
	tests := map[string]struct {
		input string
		want  int
	}{
		"nothing":         {"", exitFrames},
		"text first":      {frame(frameText, "SELECT 1"), exitFrames},
		"bad setup":       {frame(frameSetup, "["), exitFrames},
		"garbage":         {"GET / HTTP/1.1\r\n", exitFrames},
		"setup only":      {setup, exitOK},
		"setup twice":     {setup + setup, exitFrames},
		"cut after setup": {setup + "\x00\x00", exitFrames},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if got := WorkerMain(strings.NewReader(test.input), &out); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
			if strings.Contains(out.String(), "SELECT") {
				t.Errorf("it answered %q", out.String())
			}
		})
	}
}

func TestWorkerAnswers(t *testing.T) {
	var in, out bytes.Buffer
	for _, frame := range []struct {
		kind byte
		body string
	}{{frameSetup, noSetup}, {frameText, "SELECT 1"}, {frameText, "SELEC 1"}, {frameText, ""}} {
		if err := writeFrame(&in, frame.kind, []byte(frame.body)); err != nil {
			t.Fatal(err)
		}
	}
	if code := WorkerMain(&in, &out); code != exitOK {
		t.Fatalf("got %d", code)
	}
	got := ""
	for out.Len() > 0 {
		kind, _, err := readFrame(&out)
		if err != nil {
			t.Fatal(err)
		}
		got += string(kind)
	}
	if want := "rfnsfn"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, 't', 'x'})
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		kind, body, err := readFrame(io.LimitReader(bytes.NewReader(data), 1<<16))
		if err == nil && (len(body) > len(data) || kind != data[4]) {
			t.Errorf("%d bytes of body from %d", len(body), len(data))
		}
	})
}
