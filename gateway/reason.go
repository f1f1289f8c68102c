package gateway

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Reason is why a session ended, or was never begun. It is the one list from which SQLSTATE, metric label, fault and the words the
// client reads are taken.
type Reason uint8

// The reasons.
const (
	ReasonTerminate Reason = iota // the client said Terminate
	ReasonClientGone
	ReasonDeadline // a phase before the relay took too long
	ReasonProtocol
	ReasonProxyHeader // a trusted proxy began with no PROXY header, or one that is wrong
	ReasonMessageTooLarge
	ReasonNotEncrypted
	ReasonUnsupported // replication, a protocol version
	ReasonParameter   // a startup parameter that is not permitted
	ReasonAuthentication
	ReasonDiscovery // an OAuth client that has no token yet was told where to get one
	ReasonThrottled // too many logins have failed before this one
	ReasonTooManyConnections
	ReasonEvicted // it had to make room for another before it had logged in
	ReasonUnknownDatabase
	ReasonPolicyDenied
	ReasonPolicyFailed
	ReasonRefused        // an operator lets the identity in no more
	ReasonGrantWithdrawn // the policy changed, and no longer grants the session
	ReasonCredentials
	ReasonDatabaseRemoved // its database, or its route, is no longer configured
	ReasonDatabaseFull    // as many sessions as its database may have, for too long
	ReasonBackendUnavailable
	ReasonBackendRefused
	ReasonBackendGone
	ReasonBackendEnded // the backend said FATAL
	ReasonBackendOutOfStep
	ReasonEnvironmentMoved // a pinned setting changed
	ReasonIdentityExpired
	ReasonLeaseExpired
	ReasonLifetime
	ReasonIdle
	ReasonIdleInTransaction
	ReasonNotReading
	ReasonKilled
	ReasonShutdown
	ReasonCapped          // a statement reached a limit of the policy and could not be cancelled in time
	ReasonTooManySessions // of the identity
	ReasonDraining        // a new client while the gateway shuts down
	ReasonAudit
	ReasonInternal
)

// fault says whose doing an end is.
type fault string

const (
	faultNone    fault = "none"
	faultClient  fault = "client"
	faultGateway fault = "gateway"
	faultBackend fault = "backend"
	faultVault   fault = "vault"
	faultPolicy  fault = "policy"
)

// ending is what a Reason means to the client, the metrics and the log.
type ending struct {
	label    string
	fault    fault
	sqlstate string // "" when the client is told nothing
	message  string
}

// describe is the one place where a Reason becomes words. SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html
func (r Reason) describe() ending {
	if int(r) < len(endings) {
		return endings[r]
	}
	return endings[ReasonInternal]
}

func (r Reason) String() string { return r.describe().label }

// Labels lists the labels of all reasons: the closed set of values that metrics may show.
func Labels() []string {
	labels := make([]string, len(endings))
	for i, e := range endings {
		labels[i] = e.label
	}
	return labels
}

var endings = [...]ending{
	ReasonTerminate:          {"terminate", faultNone, "", ""},
	ReasonClientGone:         {"client_gone", faultClient, "", ""},
	ReasonDeadline:           {"deadline", faultClient, "", ""},
	ReasonProtocol:           {"protocol", faultClient, "08P01", "protocol violation"},
	ReasonProxyHeader:        {"proxy_header", faultClient, "", ""},
	ReasonMessageTooLarge:    {"message_too_large", faultClient, "54000", "message is larger than the gateway permits"},
	ReasonNotEncrypted:       {"not_encrypted", faultClient, "28000", "connection requires TLS (sslmode=require or stronger)"},
	ReasonUnsupported:        {"unsupported", faultClient, "0A000", "feature not supported"},
	ReasonParameter:          {"parameter", faultClient, "42501", "parameter is not permitted by policy"},
	ReasonAuthentication:     {"authentication", faultClient, "28P01", "password authentication failed"},
	ReasonDiscovery:          {"discovery", faultNone, "28000", "OAuth bearer authentication failed"},
	ReasonThrottled:          {"throttled", faultClient, "53300", "too many failed logins, try again later"},
	ReasonTooManyConnections: {"too_many_connections", faultGateway, "53300", "sorry, too many clients already"},
	ReasonEvicted:            {"evicted", faultClient, "", ""},
	ReasonUnknownDatabase:    {"unknown_database", faultClient, "3D000", "database does not exist"},
	ReasonPolicyDenied:       {"policy_denied", faultPolicy, "42501", "connection is not permitted by policy"},
	ReasonPolicyFailed:       {"policy_failed", faultPolicy, "57P03", "policy could not decide about this connection"},
	ReasonRefused:            {"refused", faultPolicy, "28000", "logins of this identity are refused by an operator"},
	ReasonGrantWithdrawn:     {"grant_withdrawn", faultPolicy, "57P01", "terminating connection because policy no longer permits it"},
	ReasonCredentials:        {"credentials", faultVault, "57P03", "no credential could be issued for this session"},
	ReasonDatabaseFull:       {"database_full", faultGateway, "53300", "the database has as many sessions as it may have, try again later"},
	ReasonDatabaseRemoved:    {"database_removed", faultNone, "57P01", "terminating connection because its database is no longer configured"},
	ReasonBackendUnavailable: {"backend_unavailable", faultBackend, "57P03", "the database cannot be reached"},
	ReasonBackendRefused:     {"backend_refused", faultBackend, "08004", "the database refused the session"},
	ReasonBackendGone:        {"backend_gone", faultBackend, "08006", "the database closed the connection unexpectedly"},
	ReasonBackendEnded:       {"backend_ended", faultBackend, "", ""},
	ReasonBackendOutOfStep:   {"backend_out_of_step", faultBackend, "08P01", "the database's answer does not belong to what was asked"},
	ReasonEnvironmentMoved:   {"environment_moved", faultClient, "57P01", "terminating connection because a setting that policy rests on was changed"},
	ReasonIdentityExpired:    {"identity_expired", faultNone, "57P01", "terminating connection because the token it was opened with has expired"},
	ReasonLeaseExpired:       {"lease_expired", faultVault, "57P01", "terminating connection because its database credential has expired"},
	ReasonLifetime:           {"lifetime", faultNone, "57P01", "terminating connection because the session reached its maximum length"},
	ReasonIdle:               {"idle", faultNone, "57P05", "terminating connection due to idle-session timeout"},
	ReasonIdleInTransaction:  {"idle_in_transaction", faultNone, "25P03", "terminating connection due to idle-in-transaction timeout"},
	ReasonNotReading:         {"not_reading", faultClient, "", ""},
	ReasonKilled:             {"killed", faultNone, "57P01", "terminating connection: terminated by an operator"},
	ReasonShutdown:           {"shutdown", faultNone, "57P01", "terminating connection because the gateway is shutting down"},
	ReasonCapped:             {"capped", faultPolicy, "53400", "terminating connection because a statement reached a limit of the policy"},
	ReasonTooManySessions:    {"too_many_sessions", faultPolicy, "53300", "too many sessions"},
	ReasonDraining:           {"draining", faultNone, "57P03", "the gateway is shutting down"},
	ReasonAudit:              {"audit", faultGateway, "58030", "terminating connection because its audit trail cannot be written"},
	ReasonInternal:           {"internal", faultGateway, "XX000", "internal error of the gateway"},
}

// sessionError ends a session. Only what is in message, detail and hint reaches the client; err is for the log.
type sessionError struct {
	reason   Reason
	sqlstate string // instead of the reason's own
	message  string // instead of the reason's own
	detail   string
	hint     string
	err      error
}

func (e *sessionError) Error() string {
	message := e.message
	if message == "" {
		message = e.reason.describe().message
	}
	if message == "" {
		message = e.reason.String()
	}
	if e.err != nil {
		return fmt.Sprintf("%s: %v", message, e.err)
	}
	return message
}

func (e *sessionError) Unwrap() error { return e.err }

// fail ends a session for a reason; err is for the log and may be nil.
func fail(reason Reason, err error) *sessionError { return &sessionError{reason: reason, err: err} }

// failf ends a session for a reason, with words of its own for the client.
func failf(reason Reason, format string, args ...any) *sessionError {
	return &sessionError{reason: reason, message: fmt.Sprintf(format, args...)}
}

// asSessionError makes any error one that ends a session.
func asSessionError(err error) *sessionError {
	var e *sessionError
	if errors.As(err, &e) {
		return e
	}
	return fail(ReasonInternal, err)
}

// code is the SQLSTATE the client hears; "" when it is told nothing.
func (e *sessionError) code() string {
	if e.sqlstate != "" {
		return e.sqlstate
	}
	return e.reason.describe().sqlstate
}

// fatal encodes the FATAL that the client hears, nil when it is told nothing.
func (e *sessionError) fatal() []byte {
	if e.code() == "" {
		return nil
	}
	message := e.message
	if message == "" {
		message = e.reason.describe().message
	}
	return encodeError(&pgproto3.ErrorResponse{
		Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: e.code(), Message: message, Detail: e.detail, Hint: e.hint,
	})
}

// encodeError encodes an ErrorResponse; it cannot fail for what the gateway says of its own.
func encodeError(m *pgproto3.ErrorResponse) []byte {
	b, err := m.Encode(nil)
	if err != nil {
		b, _ = (&pgproto3.ErrorResponse{Severity: m.Severity, SeverityUnlocalized: m.SeverityUnlocalized, Code: m.Code, Message: "message too long"}).Encode(nil)
	}
	return b
}
