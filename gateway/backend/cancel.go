package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Cancel asks the backend to cancel what the session with that PID and key is doing, over a TLS connection of its own, and returns
// when the backend has closed it: by then the signal is sent, and a statement that is begun afterwards cannot be hit
// (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS). Set cfg.Address to
// Session.Address. The backend does not say whether there was anything to cancel.
func Cancel(ctx context.Context, cfg Config, pid uint32, key []byte) error {
	if err := cfg.validate(); err != nil {
		return &Error{Stage: StageConfig, Err: err}
	}
	if len(key) < minKey || len(key) > maxKey {
		return &Error{Stage: StageConfig, Err: fmt.Errorf("a key of %d bytes is not between %d and %d", len(key), minKey, maxKey)}
	}
	request, err := (&pgproto3.CancelRequest{ProcessID: pid, SecretKey: key}).Encode(nil)
	if err != nil {
		return &Error{Stage: StageConfig, Err: fmt.Errorf("encode CancelRequest: %w", err)}
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.connectTimeout())
	defer cancel()
	return secured(ctx, &cfg, func(conn *tls.Conn) error {
		defer func() { _ = conn.NetConn().Close() }() // PostgreSQL is gone: there is nobody to send close_notify to
		if err := write(conn, "CancelRequest", request); err != nil {
			return failed(ctx, StageCancel, err)
		}
		if err := awaitEnd(conn); err != nil {
			return failed(ctx, StageCancel, err)
		}
		return nil
	})
}

// awaitEnd wants the connection to end without a word. PostgreSQL exits without close_notify, which TLS calls an unexpected EOF.
func awaitEnd(conn *tls.Conn) error {
	var answer [1]byte
	n, err := conn.Read(answer[:])
	switch {
	case n > 0:
		return errors.New("the backend answered a CancelRequest")
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil
	case err == nil:
		return errors.New("await end of cancel connection: empty read")
	}
	return fmt.Errorf("await end of cancel connection: %w", err)
}
