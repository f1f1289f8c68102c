package audit

import (
	"strconv"
	"time"
)

// Event is one line of the log. The types of this package implement it, with pointer receivers: a caller on the hot path keeps one
// Statement and one Outcome per session, fills them again and again, and Append allocates nothing.
//
// AppendJSON appends one JSON object, without the newline. It keeps nothing of the event and changes nothing in it.
type Event interface {
	AppendJSON(dst []byte) []byte
}

// Identity is who the client proved to be, as far as the log records it. Only Connect records Certificate, Name, Groups and Expires.
type Identity struct {
	User        string
	Method      string
	Issuer      string
	Subject     string
	Certificate string // the name in the client certificate, if one was part of the proof
	Name        string
	Groups      []string
	Expires     time.Time // zero: none
}

// Protocol says which message asked for a statement.
type Protocol string

// The messages that are judged.
const (
	ProtocolQuery        Protocol = "query"
	ProtocolParse        Protocol = "parse"
	ProtocolBind         Protocol = "bind"
	ProtocolExecute      Protocol = "execute"
	ProtocolFunctionCall Protocol = "function_call"
)

// Decision is what became of a statement before it ran.
type Decision string

// The decisions. Observe means: forwarded because the session observes, or because policy is not enforced in its database; Reasons say
// what policy has said.
const (
	DecisionAllow   Decision = "allow"
	DecisionDeny    Decision = "deny"
	DecisionObserve Decision = "observe"
)

// Status is how a statement ended.
type Status string

// The ways a statement ends.
const (
	StatusCompleted Status = "completed" // CommandComplete or EmptyQueryResponse
	StatusError     Status = "error"     // ErrorResponse of the backend
	StatusDenied    Status = "denied"    // the gateway's ErrorResponse in its place
	StatusSkipped   Status = "skipped"   // an earlier error of the same pipeline made the backend discard it
	StatusPrepared  Status = "prepared"  // ParseComplete
	StatusBound     Status = "bound"     // BindComplete
	StatusSuspended Status = "suspended" // PortalSuspended: the row limit of an Execute was reached
	StatusCancelled Status = "cancelled" // ended by a cancel request (57014)
	StatusCapped    Status = "capped"    // a limit of the policy was reached; Rows and Bytes are what was delivered
	StatusUnknown   Status = "unknown"   // the session ended first; the backend may or may not have run it
)

// RevocationState is the state of a session's lease when its end was written.
type RevocationState string

// The states of a revocation.
const (
	RevocationNone    RevocationState = "none"    // there was no lease
	RevocationPending RevocationState = "pending" // not yet; a Revocation event follows
	RevocationRevoked RevocationState = "revoked"
	RevocationFailed  RevocationState = "failed" // only in a Revocation event; it is tried again until the lease has ended
)

// Credential is what opened a backend session.
type Credential string

// The credentials.
const (
	CredentialVault  Credential = "vault"  // issued by Vault for the session, with a lease
	CredentialMinted Credential = "minted" // made by the gateway's provisioning role for the session, with a lease
	CredentialStatic Credential = "static" // of a database user that sessions share: there is no lease
	CredentialClient Credential = "client" // the client's own: there is no lease

	CredentialVaultStatic Credential = "vault-static" // of a database user that sessions share, whose password Vault changes: there is no lease
	CredentialVaultKV     Credential = "vault-kv"     // of a database user that sessions share, kept in Vault: there is no lease
	CredentialVaultPKI    Credential = "vault-pki"    // a certificate for a database user, signed by Vault for the session
)

// StatementID is the id that a Statement, its Outcome and the client's error message share: "<session>.<n>".
func StatementID(session string, number uint64) string {
	return session + "." + strconv.FormatUint(number, 10)
}
