package backend

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"
)

// maxErrorText is how much of a backend's message is kept for the log.
const maxErrorText = 512

// Stage is the part of Open that failed.
type Stage string

// The stages, in their order. StageTarget is what comes after Open: is the server what was looked for? StageCancel is all of Cancel after
// TLS.
const (
	StageConfig       Stage = "config"
	StageDial         Stage = "dial"
	StageTLS          Stage = "tls"
	StageStartup      Stage = "startup"
	StageAuthenticate Stage = "authenticate"
	StageParameters   Stage = "parameters"
	StageTarget       Stage = "target"
	StageCancel       Stage = "cancel"
)

// Error is why a session could not be opened.
//
// SQLSTATE and Message are the backend's own, of an ErrorResponse it sent over verified TLS, and empty otherwise. They are for the
// log alone: a client that is shown "password authentication failed" takes it for its own password.
type Error struct {
	Stage    Stage
	SQLSTATE string // five characters, or ""
	Message  string // printable, at most 512 bytes
	Err      error  // nil if the backend said why

	silent string // the address that took the connection and did not answer in time
}

// Error is one line for the log.
func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString("open backend: " + string(e.Stage))
	if e.SQLSTATE != "" || e.Message != "" {
		fmt.Fprintf(&text, ": backend said %s %q", e.SQLSTATE, e.Message)
	}
	if e.Err != nil {
		text.WriteString(": " + e.Err.Error())
	}
	return text.String()
}

// Unwrap gives the cause; a context's end is in it as context.Canceled or context.DeadlineExceeded.
func (e *Error) Unwrap() error { return e.Err }

// Unavailable reports whether the same call may succeed later without anybody having changed anything: nobody answered in time, or
// the backend said that it is starting, stopping or full. Everything else is a refusal: of ours, or of the backend's.
func (e *Error) Unavailable() bool {
	switch {
	case e.SQLSTATE != "":
		return strings.HasPrefix(e.SQLSTATE, "57P") || strings.HasPrefix(e.SQLSTATE, "53") || strings.HasPrefix(e.SQLSTATE, "08")
	case e.Stage == StageDial:
		return true
	}
	return errors.Is(e.Err, context.DeadlineExceeded) || errors.Is(e.Err, errGone) || errors.Is(e.Err, ErrUnsuited)
}

// ErrUnsuited says that the server is not what was looked for: a standby and not the primary, for instance. A failover may change that.
var ErrUnsuited = errors.New("the server is not what is looked for")

// errGone says that the connection ended or broke.
var errGone = errors.New("connection lost")

// backendError keeps of an ErrorResponse what is worth logging.
func backendError(stage Stage, body []byte) *Error {
	var response pgproto3.ErrorResponse
	if err := response.Decode(body); err != nil {
		return &Error{Stage: stage, Err: errors.New("read ErrorResponse: malformed")}
	}
	failure := &Error{Stage: stage, SQLSTATE: response.Code, Message: printable(response.Message)}
	if !validSQLSTATE(response.Code) {
		failure.SQLSTATE = ""
		failure.Err = errors.New("the ErrorResponse has no valid SQLSTATE")
	}
	return failure
}

// validSQLSTATE accepts five upper-case letters and digits
// (https://www.postgresql.org/docs/current/errcodes-appendix.html). The code becomes a log key and a metric label.
func validSQLSTATE(code string) bool {
	if len(code) != 5 {
		return false
	}
	for _, c := range []byte(code) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// printable cuts text to what fits a log line, and takes out what could forge one.
func printable(text string) string {
	if len(text) > maxErrorText {
		text = text[:maxErrorText]
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
