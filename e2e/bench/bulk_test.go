package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// answering is the client's side of a session whose server says what it is given.
func answering(t *testing.T, messages ...pgproto3.BackendMessage) (w wire, length int64) {
	t.Helper()
	var text []byte
	for _, m := range messages {
		var err error
		if text, err = m.Encode(text); err != nil {
			t.Fatal(err)
		}
	}
	client, server := net.Pipe()
	t.Cleanup(func() { _ = client.Close() })
	go func() {
		_, _ = server.Write(text)
		_ = server.Close()
	}()
	return wire{Conn: client, in: bufio.NewReaderSize(client, 64)}, int64(len(text))
}

var (
	row    = &pgproto3.DataRow{Values: [][]byte{make([]byte, 1000)}}
	ready  = &pgproto3.ReadyForQuery{TxStatus: 'I'}
	denial = &pgproto3.ErrorResponse{Severity: "ERROR", Code: "42501", Message: "permission denied by policy"}
)

func TestUntilReady(t *testing.T) {
	w, length := answering(t, &pgproto3.RowDescription{}, row, row, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 2")}, ready)
	if got, err := w.untilReady(); err != nil || got != length {
		t.Errorf("%d bytes, error %v, want %d", got, err, length)
	}
}

func TestUntilReadyFails(t *testing.T) {
	t.Run("denied", func(t *testing.T) {
		w, _ := answering(t, row, denial, ready)
		_, err := w.untilReady()
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "42501" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cut off", func(t *testing.T) {
		w, _ := answering(t, row)
		if _, err := w.untilReady(); !errors.Is(err, io.EOF) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no COPY", func(t *testing.T) {
		w, _ := answering(t, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 0")}, ready)
		if _, err := w.until('G'); err == nil {
			t.Error("a statement that asks for no rows has asked for rows")
		}
	})
	t.Run("no length", func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		go func() { _, _ = server.Write([]byte{'D', 0, 0, 0, 3}) }()
		if _, err := (wire{Conn: client, in: bufio.NewReader(client)}).untilReady(); err == nil {
			t.Error("a message without a length was read")
		}
	})
}

// TestCopyIn: what arrives are whole rows, at least as many as were asked for, and then the end.
func TestCopyIn(t *testing.T) {
	const total = 100_000
	client, server := net.Pipe()
	defer client.Close()
	type received struct {
		bytes int
		done  bool
		err   error
	}
	result := make(chan received, 1)
	go func() {
		asked, _ := (&pgproto3.CopyInResponse{}).Encode(nil)
		_, _ = server.Write(asked)
		backend := pgproto3.NewBackend(server, nil)
		var r received
		for r.err == nil && !r.done {
			var m pgproto3.FrontendMessage
			if m, r.err = backend.Receive(); r.err != nil {
				break
			}
			switch m := m.(type) {
			case *pgproto3.CopyData:
				r.bytes += len(m.Data)
				if last := len(m.Data) - 1; last < 0 || m.Data[last] != '\n' {
					r.err = errors.New("a message ends within a row")
				}
			case *pgproto3.CopyDone:
				r.done = true
			default:
				r.err = errors.New("something else came")
			}
		}
		result <- r
	}()
	if err := (wire{Conn: client, in: bufio.NewReader(client)}).copyIn(total); err != nil {
		t.Fatal(err)
	}
	if r := <-result; r.err != nil || !r.done || r.bytes < total || r.bytes%copyRow != 0 {
		t.Errorf("%+v", r)
	}
}
