package gateway

import (
	"time"

	"github.com/sallyport/sallyport/gateway/wire"
)

// Limits bounds what a client can make the gateway hold. A zero field takes the default.
type Limits struct {
	Connections        int // client connections at once, sessions and those on their way to be one
	PreAuthentication  int // connections that have not authenticated yet
	TextBytes          int // the text of a Query or Parse
	BindBytes          int // a Bind or FunctionCall
	CopyDataBytes      int // one CopyData
	PreparedStatements int // prepared statements of one session
	PreparedBytes      int // the texts of those, together, with their facts
}

// Timeouts bounds how long things may take. A zero field takes the default; Idle: none.
type Timeouts struct {
	Admission      time.Duration // from accept to a complete StartupMessage, TLS included
	Authentication time.Duration // from there to a proven identity
	Connect        time.Duration // connect decision, credential and backend session
	Decision       time.Duration // facts and decision of one statement
	Session        time.Duration // a session's whole life
	Idle           time.Duration // no statement running; 0: no limit
	Write          time.Duration // a client that does not read what it asked for
	Drain          time.Duration // how long a shutdown waits for busy sessions
}

// The defaults, chosen so that no usual client meets them.
const (
	defaultConnections        = 1000
	defaultPreAuthentication  = 200
	defaultTextBytes          = 1 << 20
	defaultBindBytes          = 64 << 20
	defaultCopyDataBytes      = 16 << 20
	defaultPreparedStatements = 1000
	defaultPreparedBytes      = 64 << 20

	defaultAdmission      = 15 * time.Second // PostgreSQL's authentication_timeout is 60 s; a gateway faces more strangers
	defaultAuthentication = 15 * time.Second
	defaultConnect        = 10 * time.Second
	defaultDecision       = time.Second
	defaultSession        = 12 * time.Hour
	defaultWrite          = time.Minute
	defaultDrain          = 30 * time.Second
)

func (l Limits) withDefaults() Limits {
	orDefault(&l.Connections, defaultConnections)
	orDefault(&l.PreAuthentication, defaultPreAuthentication)
	orDefault(&l.TextBytes, defaultTextBytes)
	orDefault(&l.BindBytes, defaultBindBytes)
	orDefault(&l.CopyDataBytes, defaultCopyDataBytes)
	orDefault(&l.PreparedStatements, defaultPreparedStatements)
	orDefault(&l.PreparedBytes, defaultPreparedBytes)
	return l
}

func (t Timeouts) withDefaults() Timeouts {
	orDefault(&t.Admission, defaultAdmission)
	orDefault(&t.Authentication, defaultAuthentication)
	orDefault(&t.Connect, defaultConnect)
	orDefault(&t.Decision, defaultDecision)
	orDefault(&t.Session, defaultSession)
	orDefault(&t.Write, defaultWrite)
	orDefault(&t.Drain, defaultDrain)
	return t
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// textOverhead is what a Query or Parse holds besides its text: names, NULs, parameter types (65535 of four bytes).
const textOverhead = 4*65535 + 256

// ofClient gives the longest body of each message a client may send after authentication; -1: it may not send it.
func (l *Limits) ofClient(t wire.Type) int {
	switch t {
	case wire.Query, wire.Parse:
		return l.TextBytes + textOverhead
	case wire.Bind, wire.FunctionCall:
		return l.BindBytes
	case wire.CopyData:
		return l.CopyDataBytes
	case wire.Close, wire.Describe, wire.Execute, wire.Flush, wire.Sync, wire.Terminate, wire.CopyDone, wire.CopyFail:
		return wire.SmallMessage
	}
	return -1
}

// maxMessage is PostgreSQL's own bound for a message (MaxAllocSize, utils/memutils.h); a longer one is no message.
const maxMessage = 1<<30 - 1

// inspectBytes is how much of an ErrorResponse is looked at; severity, SQLSTATE and the start of the message stand in front.
const inspectBytes = 16 << 10

// ofBackend gives the longest body of each message a backend may send after startup; -1: it may not send it.
func ofBackend(t wire.Type) int {
	switch t {
	case wire.ReadyForQuery:
		return 1
	case wire.ParseComplete, wire.BindComplete, wire.CloseComplete, wire.NoData, wire.EmptyQueryResponse, wire.PortalSuspended, wire.CopyDone:
		return 0
	case wire.ParameterStatus, wire.NotificationResponse, wire.CommandComplete:
		return 64 << 10 // a NOTIFY payload has at most 8000 bytes, a setting's value is a line
	case wire.DataRow, wire.RowDescription, wire.ParameterDescription, wire.CopyData, wire.CopyInResponse, wire.CopyOutResponse,
		wire.CopyBothResponse, wire.ErrorResponse, wire.NoticeResponse, wire.FunctionCallResponse:
		return maxMessage
	}
	return -1
}
