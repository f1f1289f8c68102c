package statement

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"
)

// The language between pool and worker: frames of a length (four bytes, big endian, counting what follows), a kind (one byte) and a body,
// which is CBOR (RFC 8949) but for a text. The pool does not trust a worker: what is decoded is no larger than its frame allows.
//
// The pool sends one setup, then one text at a time. The worker answers each text with facts and then its names, or with a refusal. A
// worker that dies over the names has still given the facts, which the pool decodes while the worker makes the names.
const (
	frameSetup  = 'c' // pool: workerSetup
	frameReady  = 'r' // worker: after setup
	frameText   = 't' // pool: the text
	frameFacts  = 'f' // worker: a Sheet without fingerprint and normalized text
	frameNames  = 'n' // worker: textNames
	frameSyntax = 's' // worker: a SyntaxError
	frameLimit  = 'l' // worker: a LimitError
)

// maxFrame bounds what either side reads. A text is at most MaxTextBytes; facts name what is in the text, several times over at worst.
const maxFrame = 64 << 20

var errFrameSize = errors.New("frame size out of bounds")

// workerSetup is what a worker is told at its start.
type workerSetup struct {
	MemoryBytes int64 `json:"memory_bytes"`
}

// textNames are what a text is called.
type textNames struct {
	Fingerprint string `json:"fingerprint"`
	Normalized  string `json:"normalized"`
	Replace     bool   `json:"replace"` // the worker has grown and wants to be replaced
}

func writeFrame(w io.Writer, kind byte, body []byte) error {
	frame := make([]byte, 5, 5+len(body))
	binary.BigEndian.PutUint32(frame, uint32(len(body)+1)) // #nosec -- bodies are far below 4 GiB
	frame[4] = kind
	if _, err := w.Write(append(frame, body...)); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

func writeValue(w io.Writer, kind byte, value any) error {
	body, err := cbor.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	return writeFrame(w, kind, body)
}

func readFrame(r io.Reader) (kind byte, body []byte, err error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, fmt.Errorf("read frame: %w", err)
	}
	size := binary.BigEndian.Uint32(header[:])
	if size == 0 || size > maxFrame {
		return 0, nil, errFrameSize
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(r, frame); err != nil {
		return 0, nil, fmt.Errorf("read frame: %w", err)
	}
	return frame[0], frame[1:], nil
}
