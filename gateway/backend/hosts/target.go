package hosts

import (
	"context"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/gateway/backend"
)

// Target is what a session's server must be: libpq's target_session_attrs
// (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS).
type Target string

// The targets.
const (
	Any           Target = "any"
	ReadWrite     Target = "read-write"     // sessions may write by default: no standby, and default_transaction_read_only is off
	ReadOnly      Target = "read-only"      // the opposite
	Primary       Target = "primary"        // not in hot standby mode
	Standby       Target = "standby"        // in hot standby mode
	PreferStandby Target = "prefer-standby" // a standby if there is one, or else any

	// PreferPrimary is a primary if there is one, or else any. libpq has no such thing: it is for sessions of the gateway's own.
	PreferPrimary Target = "prefer-primary"
)

// Targets are libpq's.
func Targets() []Target { return []Target{Any, ReadWrite, ReadOnly, Primary, Standby, PreferStandby} }

// wanted is what is looked for first, and whether anything else will do if there is no such host.
func (t Target) wanted() (first Target, orAny bool) {
	switch t {
	case PreferStandby:
		return Standby, true
	case PreferPrimary:
		return Primary, true
	case "":
		return Any, false
	}
	return t, false
}

// LikesStandbys says whether a standby is as good as any other host, or better.
func (t Target) LikesStandbys() bool {
	return slices.Contains([]Target{Standby, PreferStandby, ReadOnly}, t)
}

// fact is something about a server that may not be known.
type fact uint8

const (
	unknown fact = iota
	no
	yes
)

func factOf(word string) fact {
	switch word {
	case "on", "t":
		return yes
	case "off", "f":
		return no
	}
	return unknown
}

// nature is what a server says of itself. PostgreSQL 14 and newer report both when a session begins.
type nature struct {
	standby  fact // in_hot_standby
	readOnly fact // default_transaction_read_only
}

// natureOf is what a session's server has reported. ours says that the gateway itself has set default_transaction_read_only: then it tells
// nothing of the server.
func natureOf(session *backend.Session, ours bool) nature {
	standby, _ := session.Reported("in_hot_standby")
	readOnly, _ := session.Reported("default_transaction_read_only")
	n := nature{factOf(standby), factOf(readOnly)}
	if ours {
		n.readOnly = no
	}
	return n
}

// The questions to servers that do not report; they are libpq's own.
const (
	askReadOnly = "SHOW transaction_read_only"
	askStandby  = "SELECT pg_catalog.pg_is_in_recovery()"
)

// check finds out whether a session's server is what is wanted, and what it is. It asks no more than it has to.
func (t Target) check(ctx context.Context, session *backend.Session, ours bool) (n nature, err error) {
	n = natureOf(session, ours)
	switch t {
	case ReadWrite, ReadOnly:
		if !ours && (n.standby == unknown || n.readOnly == unknown) {
			answer, err := session.Ask(ctx, askReadOnly)
			if err != nil {
				return n, err
			}
			n.readOnly = factOf(answer)
			break
		}
		fallthrough // what the gateway has set would be the answer
	case Primary, Standby:
		if n.standby != unknown {
			break
		}
		answer, err := session.Ask(ctx, askStandby)
		if err != nil {
			return n, err
		}
		n.standby = factOf(answer)
	}
	return n, t.suits(n)
}

// suits says why a server is not what is wanted.
func (t Target) suits(n nature) error {
	readOnly := n.standby == yes || n.readOnly == yes
	switch {
	case t == ReadWrite && readOnly:
		return unsuited("sessions of it are read-only", t)
	case t == ReadOnly && !readOnly:
		return unsuited("sessions of it are not read-only", t)
	case t == Primary && n.standby == yes:
		return unsuited("it is a standby", t)
	case t == Standby && n.standby != yes:
		return unsuited("it is no standby", t)
	}
	return nil
}

func unsuited(what string, t Target) error {
	return &backend.Error{Stage: backend.StageTarget, Err: fmt.Errorf("%s: %w (%s)", what, backend.ErrUnsuited, t)}
}
