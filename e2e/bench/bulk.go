package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// transfer is one statement that moves much, over and over. Its client looks
// at nothing but the headers of the messages: what it takes of the machine is
// no more than the TLS.
type transfer struct {
	text  string
	as    account
	send  int    // bytes of rows for COPY FROM STDIN
	after string // run by the superuser behind each, outside of what is measured
}

const (
	// copyMessage is what psql puts into one CopyData message, about.
	copyMessage = 8 << 10
	// copyRow is a row of COPY in, with its end.
	copyRow = 1 << 10
	// answerBuffer holds what the kernel has at once.
	answerBuffer = 256 << 10
	// maxAnswer is far above any message that carries no rows.
	maxAnswer = 64 << 10
)

// run repeats the transfer until d is over.
func (x transfer) run(ctx context.Context, b *bench, t *target, _ int, d time.Duration) (measurement, error) {
	conn, err := t.logins[x.as].connect(ctx)
	if err != nil {
		return measurement{}, err
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		return measurement{}, err
	}
	defer hijacked.Conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = hijacked.Conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	w := wire{Conn: hijacked.Conn, in: bufio.NewReaderSize(hijacked.Conn, answerBuffer)}
	meter, m := newMeter(t.proxy.pid()), measurement{}
	var moved int64
	var took time.Duration
	for took < d {
		bytes, elapsed, err := x.once(w, meter)
		if err != nil {
			return measurement{}, errors.Join(context.Cause(ctx), err)
		}
		moved, took, m.Count = moved+bytes, took+elapsed, m.Count+1
		if x.after != "" {
			if err := b.execute(ctx, x.after); err != nil {
				return measurement{}, err
			}
		}
	}
	m.Rate, m.statements = megabytesOf(moved)/took.Seconds(), m.Count
	return m.watched(meter), w.send(&pgproto3.Terminate{})
}

func megabytesOf(bytes int64) float64 { return float64(bytes) / 1e6 }

// once does it, watched by the meter.
func (x transfer) once(w wire, meter *meter) (moved int64, took time.Duration, err error) {
	meter.pause()
	began := time.Now()
	if err := meter.mark(began, 0); err != nil {
		return 0, 0, err
	}
	if err := w.send(&pgproto3.Query{String: x.text}); err != nil {
		return 0, 0, err
	}
	if x.send > 0 {
		if err := w.copyIn(x.send); err != nil {
			return 0, 0, err
		}
	}
	moved, err = w.untilReady()
	if err != nil {
		return 0, 0, err
	}
	moved += int64(x.send)
	ended := time.Now()
	took = ended.Sub(began)
	return moved, took, meter.mark(ended, megabytesOf(moved)/took.Seconds())
}

// wire is a session that has been opened, to the byte.
type wire struct {
	net.Conn
	in *bufio.Reader
}

func (w wire) send(m pgproto3.FrontendMessage) error {
	out, err := m.Encode(nil)
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

// untilReady reads to the end of an answer, and says how long it was.
func (w wire) untilReady() (bytes int64, err error) { return w.until('Z') }

// until reads up to and with the first message of a type.
func (w wire) until(want byte) (bytes int64, err error) {
	var refused error
	for {
		kind, body, err := w.next()
		if err != nil {
			return bytes, fmt.Errorf("read answer: %w", err)
		}
		bytes += int64(1 + 4 + body)
		if kind == 'E' {
			refused = w.refusal(body)
		} else if _, err := w.in.Discard(body); err != nil {
			return bytes, fmt.Errorf("read answer: %w", err)
		}
		if kind == want || kind == 'Z' {
			if refused == nil && kind != want {
				refused = fmt.Errorf("read answer: it ends without a message of type %q", want)
			}
			return bytes, refused
		}
	}
}

// next reads the header of a message: its type, and how much follows.
func (w wire) next() (kind byte, body int, err error) {
	var header [5]byte
	if _, err := io.ReadFull(w.in, header[:]); err != nil {
		return 0, 0, err
	}
	length := binary.BigEndian.Uint32(header[1:])
	if length < 4 || length > 1<<30 {
		return 0, 0, fmt.Errorf("a message of type %q has the length %d", header[0], length)
	}
	return header[0], int(length) - 4, nil
}

// refusal reads an ErrorResponse.
func (w wire) refusal(body int) error {
	if body > maxAnswer {
		return fmt.Errorf("an error of %d bytes", body)
	}
	text := make([]byte, body)
	if _, err := io.ReadFull(w.in, text); err != nil {
		return err
	}
	var e pgproto3.ErrorResponse
	if err := e.Decode(text); err != nil {
		return err
	}
	return pgconn.ErrorResponseToPgError(&e)
}

// copyIn waits to be asked for rows and sends them, several messages at a time.
func (w wire) copyIn(total int) error {
	if _, err := w.until('G'); err != nil {
		return err
	}
	const atOnce = 8
	rows := bytes.Repeat(append(bytes.Repeat([]byte("x"), copyRow-1), '\n'), copyMessage/copyRow)
	message, err := (&pgproto3.CopyData{Data: rows}).Encode(nil)
	if err != nil {
		return err
	}
	several := bytes.Repeat(message, atOnce)
	for sent := 0; sent < total; sent += atOnce * len(rows) {
		if _, err := w.Write(several); err != nil {
			return errors.Join(err, w.complaint())
		}
	}
	return w.send(&pgproto3.CopyDone{})
}

// complaint is what a session that takes no more may have said.
func (w wire) complaint() error {
	_, err := w.untilReady()
	return err
}
