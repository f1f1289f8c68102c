package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Session is an idle, authenticated session.
type Session struct {
	// Conn is a *tls.Conn, positioned right behind ReadyForQuery, without a deadline. Nothing is buffered outside it; it may itself
	// hold decrypted bytes, so read it once before waiting for its socket. The caller closes it.
	Conn net.Conn

	Parameters []Parameter // ParameterStatus, in the order the backend sent them
	Notices    [][]byte    // bodies of the NoticeResponses among them, at most 16
	PID        uint32      // 0 if the backend sent no BackendKeyData
	Key        []byte      // 4 to 256 bytes, or nil; with PID a secret that cancels what the session does
	Host       string      // Config.Host
	Address    string      // address:port that was reached: Config.Address for Cancel
}

// Open dials, verifies and authenticates as user, and returns once the backend is ready. The parameters go into the StartupMessage
// as they are; the caller has judged them. Its errors are *Error; what a callback of the credential returned is in it.
//
// When ctx ends, whatever Open is waiting for ends too, callbacks apart.
func Open(ctx context.Context, cfg Config, user string, credential Credential, parameters []Parameter) (*Session, error) {
	if err := errors.Join(cfg.validate(), validName("user", user), validName("database", cfg.Database)); err != nil {
		return nil, &Error{Stage: StageConfig, Err: err}
	}
	if err := credential.fits(cfg.method()); err != nil {
		return nil, &Error{Stage: StageConfig, Err: err}
	}
	startup, err := startupMessage(user, cfg.Database, parameters)
	if err != nil {
		return nil, &Error{Stage: StageConfig, Err: err}
	}
	session, err := attempt(ctx, &cfg, user, credential, startup)
	for _, address := range cfg.elsewhere(ctx, err) {
		if !unanswered(err) || ctx.Err() != nil {
			break
		}
		cfg.Address = address
		session, err = attempt(ctx, &cfg, user, credential, startup)
	}
	return session, err
}

// attempt is Open at one address.
func attempt(ctx context.Context, cfg *Config, user string, credential Credential, startup []byte) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.connectTimeout())
	defer cancel()
	var session *Session
	err := secured(ctx, cfg, func(conn *tls.Conn) error {
		if err := write(conn, "StartupMessage", startup); err != nil {
			return failed(ctx, StageStartup, err)
		}
		if err := credential.prove(conn, cfg.method(), user); err != nil {
			return failed(ctx, StageAuthenticate, err)
		}
		g, err := readGreeting(conn)
		if err == nil {
			err = g.check(cfg, user)
		}
		if err != nil {
			return failed(ctx, StageParameters, err)
		}
		session = &Session{
			Conn: conn, Parameters: g.parameters, Notices: g.notices, PID: g.pid, Key: g.key,
			Host: cfg.Host, Address: conn.RemoteAddr().String(),
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return session, nil
}

// Terminate says goodbye, waits for the backend's end as long as patience lasts, and closes.
func (s *Session) Terminate(patience time.Duration) {
	_ = s.Conn.SetDeadline(time.Now().Add(patience))
	_ = send(s.Conn, &pgproto3.Terminate{})
	_, _ = io.Copy(io.Discard, s.Conn) // until EOF or the deadline
	_ = s.Conn.Close()
}

// secured dials, makes a verified TLS connection and lends it to use. If anything fails, or ctx ends before use has returned, the
// connection is closed; otherwise it is use's, and has no deadline.
func secured(ctx context.Context, cfg *Config, use func(*tls.Conn) error) error {
	conn, err := cfg.dial(ctx)
	if err != nil {
		return failed(ctx, StageDial, err)
	}
	// A deadline in the past wakes whoever reads or writes. Closing would do so too, but the descriptor would be gone under them.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err = func() error {
		begin := startTLS
		if cfg.DirectTLS {
			begin = directTLS
		}
		secured, err := begin(ctx, conn, cfg.tlsConfig())
		if err != nil {
			return unheard(failed(ctx, StageTLS, err), conn)
		}
		return use(secured)
	}()
	if err == nil && !stop() { // the deadline is set, or about to be: the connection cannot be used any more
		err = failed(ctx, StageParameters, ctx.Err())
	}
	if err != nil {
		_ = conn.Close()
	}
	return err
}

// failed gives an error its stage, and tells what ended the wait: our caller, our patience, or the connection.
func failed(ctx context.Context, stage Stage, err error) *Error {
	if failure, ok := errors.AsType[*Error](err); ok {
		return failure
	}
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	case isGone(err):
		err = fmt.Errorf("%w: %w", errGone, err)
	}
	return &Error{Stage: stage, Err: err}
}

// unheard notes whom there was no answer from when the time was up.
func unheard(failure *Error, conn net.Conn) error {
	if errors.Is(failure, context.DeadlineExceeded) {
		failure.silent = conn.RemoteAddr().String()
	}
	return failure
}

func isGone(err error) bool {
	return slices.ContainsFunc(
		[]error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, syscall.ETIMEDOUT},
		func(end error) bool { return errors.Is(err, end) })
}
