package backend

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	// maxAuthenticationBody is libpq's limit for an authentication request (fe-connect.c: 2000). SCRAM messages are far shorter.
	maxAuthenticationBody = 2000
	// maxMessageBody is libpq's limit for an ErrorResponse at startup and for messages that are not "long" (MAX_ERRLEN and
	// VALID_LONG_MESSAGE_TYPE: 30000).
	maxMessageBody = 30000
)

// message is one message of the backend. The body is the caller's to keep.
type message struct {
	kind byte
	body []byte
}

// readMessage reads exactly one message and not a byte beyond it: what follows the last one is the relay's.
func readMessage(r io.Reader) (message, error) {
	var header [5]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return message{}, fmt.Errorf("read message header: %w", err)
	}
	kind := header[0]
	length := int64(int32(binary.BigEndian.Uint32(header[1:]))) - 4 // #nosec G115 -- the sign is the point: the field is an Int32
	limit := int64(maxMessageBody)
	if kind == 'R' {
		limit = maxAuthenticationBody
	}
	if length < 0 || length > limit {
		return message{}, fmt.Errorf("read message %q: a body of %d bytes is not between 0 and %d", kind, length, limit)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return message{}, fmt.Errorf("read message %q: %w", kind, err)
	}
	return message{kind, body}, nil
}

// write sends all of data.
func write(w io.Writer, what string, data []byte) error {
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}
