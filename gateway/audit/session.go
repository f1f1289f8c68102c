package audit

import "time"

// SessionStart is written once a StartupMessage was read. The user is only claimed.
type SessionStart struct {
	Time            time.Time // zero: now
	Session         string
	User            string
	Database        string
	ClientAddress   string
	Application     string
	TLSVersion      string // "TLS 1.3"
	TLSCipher       string
	ProtocolVersion string // "3.0"
	StatedReason    string // why the client says it comes
	RequestedRole   string // the role of the policy that it wants
	Replication     string // what kind of replication session was asked for; "": none
}

// AppendJSON implements Event.
func (e *SessionStart) AppendJSON(dst []byte) []byte {
	o := begin(dst, e.Time, "session_start", e.Session)
	o.string("claimed_user", e.User)
	o.string("database", e.Database)
	o.string("client_address", e.ClientAddress)
	o.optional("application_name", e.Application)
	o.optional("stated_reason", e.StatedReason)
	o.optional("requested_role", e.RequestedRole)
	o.optional("tls_version", e.TLSVersion)
	o.optional("tls_cipher", e.TLSCipher)
	o.optional("protocol_version", e.ProtocolVersion)
	o.optional("replication", e.Replication)
	return o.end()
}

// Connect is the connect decision, and what was opened for it: the backend fields are set when it was allowed and the backend
// session stands. It is written before the client hears AuthenticationOk.
type Connect struct {
	Time     time.Time // zero: now
	Session  string
	Identity Identity
	Claimed  bool // nothing is proved: the client's own credential was not tried, for policy refused who it says it is

	StatedReason  string // as in SessionStart
	RequestedRole string

	Allow          bool
	Reasons        []string
	PolicyRevision string
	Role           string // the policy's name
	VaultRole      string // what the database's configuration maps it to
	Route          string // the policy's; "": the database's own hosts
	Observe        bool
	Obligations    []string // what policy obliges the session to: "max_rows=100", "read_only"
	Enforcement    string   // "observe" when policy is not enforced in this database
	SearchPath     []string // what was pinned; nil: there was no backend session

	BackendHost     string
	BackendAddress  string // address:port that was reached
	BackendDatabase string
	BackendRole     string
	BackendPID      uint32
	Credential      Credential // "" when no backend session stands
	LeaseIDHash     string
	LeaseExpires    time.Time // zero: none

	CredentialVersion int // of a key/value secret; 0: it has none
}

// AppendJSON implements Event.
func (e *Connect) AppendJSON(dst []byte) []byte {
	o := begin(dst, e.Time, "connect", e.Session)
	o.identity(&e.Identity)
	o.optional("certificate", e.Identity.Certificate)
	o.optional("name", e.Identity.Name)
	o.list("groups", e.Identity.Groups)
	o.moment("expires", e.Identity.Expires)
	o.flag("claimed", e.Claimed)
	o.optional("stated_reason", e.StatedReason)
	o.optional("requested_role", e.RequestedRole)
	o.bool("allow", e.Allow)
	o.list("reasons", e.Reasons)
	o.string("policy_revision", e.PolicyRevision)
	o.optional("role", e.Role)
	o.optional("vault_role", e.VaultRole)
	o.optional("route", e.Route)
	o.flag("observe", e.Observe)
	o.some("obligations", e.Obligations)
	o.optional("enforcement", e.Enforcement)
	if e.SearchPath != nil {
		o.list("search_path", e.SearchPath)
	}
	o.optional("backend_host", e.BackendHost)
	o.optional("backend_address", e.BackendAddress)
	o.optional("backend_database", e.BackendDatabase)
	o.optional("backend_role", e.BackendRole)
	if e.BackendPID != 0 {
		o.uint("backend_pid", uint64(e.BackendPID))
	}
	o.optional("credential", string(e.Credential))
	if e.CredentialVersion > 0 {
		o.uint("credential_version", uint64(e.CredentialVersion))
	}
	o.optional("lease", e.LeaseIDHash)
	o.moment("lease_expires", e.LeaseExpires)
	return o.end()
}

// Cancel is a cancel request that named a session by the right key. Others leave no event: anyone can send them.
type Cancel struct {
	Time          time.Time // zero: now
	Session       string    // the session to be cancelled
	ClientAddress string    // where the request came from
	Forwarded     bool      // the backend was asked to cancel
	Error         string    // the kind of failure when it could not be asked
}

// AppendJSON implements Event.
func (e *Cancel) AppendJSON(dst []byte) []byte {
	o := begin(dst, e.Time, "cancel", e.Session)
	o.string("client_address", e.ClientAddress)
	o.bool("forwarded", e.Forwarded)
	o.optional("error", e.Error)
	return o.end()
}

// LoginRefused is written, right before its SessionEnd, for a session whose client was told why it may not come in. A client that leaves by
// itself, or takes too long, was not refused.
type LoginRefused struct {
	Time          time.Time // zero: now
	Session       string
	User          string // the claimed user of SessionStart
	Database      string // as in SessionStart
	ClientAddress string
	Method        string // how it was to prove itself; "" if it did not come to that
	Reason        string // one word of the gateway's closed list of reasons
	SQLSTATE      string // what the client heard
}

// AppendJSON implements Event.
func (e *LoginRefused) AppendJSON(dst []byte) []byte {
	o := begin(dst, e.Time, "login_refused", e.Session)
	o.string("claimed_user", e.User)
	o.string("database", e.Database)
	o.string("client_address", e.ClientAddress)
	o.optional("method", e.Method)
	o.string("reason", e.Reason)
	o.string("sqlstate", e.SQLSTATE)
	return o.end()
}

// SessionEnd is written exactly once for every SessionStart, also when the login was refused.
type SessionEnd struct {
	Time          time.Time // zero: now
	Session       string
	User          string // the claimed user of SessionStart
	ClientAddress string
	Method        string // how it was to prove itself; "" if it did not come to that
	Reason        string // one word of the gateway's closed list of reasons
	SQLSTATE      string // what the client heard last; "" for a Terminate
	Duration      time.Duration
	Statements    uint64
	Rows          uint64
	BytesIn       uint64 // from the client
	BytesOut      uint64 // to the client
	Revocation    RevocationState
}

// AppendJSON implements Event.
func (e *SessionEnd) AppendJSON(dst []byte) []byte {
	o := begin(dst, e.Time, "session_end", e.Session)
	o.string("claimed_user", e.User)
	o.string("client_address", e.ClientAddress)
	o.optional("method", e.Method)
	o.string("reason", e.Reason)
	o.optional("sqlstate", e.SQLSTATE)
	o.micros("duration_us", e.Duration)
	o.uint("statements", e.Statements)
	o.uint("rows", e.Rows)
	o.uint("bytes_in", e.BytesIn)
	o.uint("bytes_out", e.BytesOut)
	o.string("revocation", string(e.Revocation))
	return o.end()
}

// Revocation tells what became of a lease whose SessionEnd said pending.
type Revocation struct {
	Time        time.Time // zero: now
	Session     string
	LeaseIDHash string
	State       RevocationState
	Error       string // the kind of failure, never Vault's own text
}

// AppendJSON implements Event.
func (e *Revocation) AppendJSON(dst []byte) []byte {
	o := begin(dst, e.Time, "revocation", e.Session)
	o.optional("lease", e.LeaseIDHash)
	o.string("state", string(e.State))
	o.optional("error", e.Error)
	return o.end()
}
