package backend

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// maxAnswer is the most messages that the answer to a question takes: four, and notices.
const maxAnswer = 64

// Ask runs a text of the gateway's own that returns one value, before anybody else has used the session. Its errors are *Error; the
// session is of no use after one.
func (s *Session) Ask(ctx context.Context, text string) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = s.Conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	answer, err := s.ask(text)
	if err == nil && !stop() { // the deadline is set, or about to be
		err = ctx.Err()
	}
	if err != nil {
		return "", failed(ctx, StageTarget, err)
	}
	return answer, nil
}

func (s *Session) ask(text string) (string, error) {
	if err := send(s.Conn, &pgproto3.Query{String: text}); err != nil {
		return "", err
	}
	return readAnswer(s.Conn)
}

// readAnswer reads one value, up to and including ReadyForQuery.
func readAnswer(r io.Reader) (answer string, err error) {
	rows := 0
	for range maxAnswer {
		got, err := readMessage(r)
		if err != nil {
			return "", err
		}
		switch got.kind {
		case 'T', 'C', 'N', 'S':
		case 'D':
			rows++
			if answer, err = onlyValue(got.body); err != nil {
				return "", err
			}
		case 'E':
			return "", backendError(StageTarget, got.body)
		case 'Z':
			if rows != 1 {
				return "", fmt.Errorf("read answer: %d rows in place of one", rows)
			}
			return answer, checkReady(got.body)
		default:
			return "", fmt.Errorf("the backend answered a question with message %q", got.kind)
		}
	}
	return "", errors.New("read answer: it does not end")
}

// onlyValue is the one value of a DataRow, which is short text.
func onlyValue(body []byte) (string, error) {
	const head = 2 + 4 // how many values, and how long the first is
	if len(body) < head || binary.BigEndian.Uint16(body) != 1 || int64(binary.BigEndian.Uint32(body[2:])) != int64(len(body)-head) {
		return "", errors.New("read DataRow: not one value")
	}
	return string(body[head:]), nil
}

// Reported is what the backend has reported of a parameter; ok is false when it has not.
func (s *Session) Reported(name string) (value string, ok bool) {
	for _, p := range s.Parameters {
		if p.Name == name {
			value, ok = p.Value, true
		}
	}
	return value, ok
}
