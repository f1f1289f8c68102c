package credentials

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"unicode"

	"github.com/hashicorp/vault/api"
)

// maxErrorText is how much of what Vault says is kept.
const maxErrorText = 512

// Kind says whether trying again can help.
type Kind uint8

// The kinds.
const (
	// Unavailable: the source was not reached, is sealed or overloaded, has lost our token, could not reach its database, or our
	// patience ended.
	Unavailable Kind = iota + 1
	// Refused: it will say the same until somebody changes its policy or the role.
	Refused
)

// String is a metric label.
func (k Kind) String() string {
	switch k {
	case Unavailable:
		return "unavailable"
	case Refused:
		return "refused"
	}
	return "unknown"
}

// Error is why a source of credentials did not do what was asked. It holds no secret.
type Error struct {
	Source Source // "": Vault
	Kind   Kind
	Op     string // "issue", "renew", "revoke", "log in" …
	Status int    // Vault's HTTP status, or 0
	Err    error
}

// Error is one line.
func (e *Error) Error() string {
	source := cmp.Or(e.Source, SourceVault)
	if e.Status != 0 {
		return fmt.Sprintf("%s: %s %s (HTTP status %d): %v", e.Op, source, e.Kind, e.Status, e.Err)
	}
	return fmt.Sprintf("%s: %s %s: %v", e.Op, source, e.Kind, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Explain is one sentence for a client: what is wrong, and whose fault it is. Nothing is quoted in it.
func (e *Error) Explain() string {
	switch {
	case errors.Is(e, errJournal):
		return "The gateway cannot write its journal of leases."
	case e.Source == SourceMinted && e.Kind == Refused:
		return "The backend is refusing to let the gateway's provisioning role in, or to let it make a role."
	case e.Source == SourceMinted:
		return "The backend is unavailable to the gateway's provisioning role."
	case e.Source == SourceStatic:
		return "The gateway cannot read the credential that is configured for this role."
	case e.Kind == Refused:
		return "Vault is refusing to issue a credential to the gateway."
	}
	return "Vault is unavailable to the gateway: " + e.symptom() + "."
}

// symptom is what the gateway has seen of a Vault that is unavailable.
func (e *Error) symptom() string {
	var network net.Error
	switch {
	case e.Status == http.StatusServiceUnavailable:
		return "it is sealed, nobody is active, or its namespace is locked"
	case e.Status == http.StatusTooManyRequests:
		return "it says that it is asked too often"
	case e.Status == http.StatusInternalServerError:
		return "it has failed, or the database that it makes credentials in"
	case errors.Is(e, errTokenLost):
		return "the gateway's login to it has ended"
	case e.Status != 0:
		return "it answered with an error"
	case errors.Is(e, errNotLoggedIn):
		return "the gateway is not logged in to it"
	case errors.Is(e, context.DeadlineExceeded), errors.As(e, &network) && network.Timeout():
		return "it does not answer in time"
	}
	return "it cannot be reached"
}

// ErrQueued says that Vault could not revoke at once and has taken the revocation into its own queue, where it may yet fail.
var ErrQueued = errors.New("vault has queued the revocation")

var (
	errNotLoggedIn = errors.New("not logged in")
	errTokenLost   = errors.New("the gateway's token has ended")
	errMalformed   = errors.New("malformed answer")
	errJournal     = errors.New("the lease is not in the journal")
)

// classify turns the library's error into ours. The library's text is not kept as it is: of an answer that is not Vault's JSON it
// quotes the whole body. token is taken out of what remains, should something on the way have echoed it.
func classify(op string, err error, token string) *Error {
	if failure, ok := errors.AsType[*Error](err); ok {
		return failure
	}
	response, ok := errors.AsType[*api.ResponseError](err)
	if !ok {
		return &Error{Kind: Unavailable, Op: op, Err: scrubbed{err, token}}
	}
	text := "no reason given"
	if !response.RawError && len(response.Errors) > 0 {
		text = printable(strings.Join(response.Errors, "; "), token)
	}
	return &Error{Kind: kindOf(response.StatusCode), Op: op, Status: response.StatusCode, Err: errors.New(text)}
}

// kindOf sorts the statuses of https://developer.hashicorp.com/vault/api-docs#http-status-codes. 412 is a node that has not caught
// up with another; 408 and 429 ask for patience.
func kindOf(status int) Kind {
	switch {
	case status >= 500, status == 408, status == 412, status == 429:
		return Unavailable
	}
	return Refused
}

// scrubbed keeps an error's identity and takes the token out of its text.
type scrubbed struct {
	err   error
	token string
}

func (s scrubbed) Error() string { return printable(s.err.Error(), s.token) }
func (s scrubbed) Unwrap() error { return s.err }

func printable(text, token string) string {
	if token != "" {
		text = strings.ReplaceAll(text, token, "[token]")
	}
	if len(text) > maxErrorText {
		text = text[:maxErrorText]
	}
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
