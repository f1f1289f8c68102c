package audit

import "time"

// PolicyChange is written when a policy was loaded, or could not be: then Revision is the one that stays in force.
type PolicyChange struct {
	Time     time.Time // zero: now
	Revision string
	Previous string
	Error    string // why the new policy was refused
}

// AppendJSON implements Event.
func (e *PolicyChange) AppendJSON(dst []byte) []byte {
	o := begin(dst, e.Time, "policy_change", "")
	o.string("policy_revision", e.Revision)
	o.optional("previous_revision", e.Previous)
	o.optional("error", e.Error)
	return o.end()
}

// ConfigurationChange is written at the start, at the end, and for every reload of the configuration.
type ConfigurationChange struct {
	Time    time.Time // zero: now
	Action  string    // "start", "reload", "stop"; "userlist": that file was read again, and has no digest here; "audit_key": it holds another
	Version string    // of the gateway
	File    string
	Digest  string // SHA-256 of the file, hex
	// Previous is the digest of the one that was in force before.
	Previous       string
	PolicyRevision string   // at the start: the policy that is in force
	Pending        []string // keys that have changed, and that only a restart puts in force
	Error          string   // why a reload was refused: the configuration before it stays in force
	// Key signs the checkpoints behind the next one, which PreviousKey signs still: name and hash, with which their public halves begin.
	Key, PreviousKey string
}

// AppendJSON implements Event.
func (e *ConfigurationChange) AppendJSON(dst []byte) []byte {
	o := begin(dst, e.Time, "configuration_change", "")
	o.string("action", e.Action)
	o.optional("version", e.Version)
	o.optional("file", e.File)
	o.optional("digest", e.Digest)
	o.optional("previous_digest", e.Previous)
	o.optional("policy_revision", e.PolicyRevision)
	o.some("pending", e.Pending)
	o.optional("key", e.Key)
	o.optional("previous_key", e.PreviousKey)
	o.optional("error", e.Error)
	return o.end()
}

// OperatorAction is what an operator does through the control API. What changes something is written before it is done, and again with the
// result, under the same id.
type OperatorAction struct {
	Time          time.Time // zero: now
	ID            string
	Action        string // "end", "refuse", "lift"
	Operator      Operator
	ClientAddress string    // the operator's
	Session       string    // the session it is done to
	User          string    // whom it is done to: an account, or …
	Issuer        string    // … whomever an issuer
	Subject       string    // calls by this
	Expires       time.Time // of a refusal; zero: none
	Reason        string    // the operator's
	Result        string    // "begun", "done", "not_found", "failed"; "forbidden": nothing was begun
	Ended         []string  // the sessions that were ended
}

// Operator is who acts. All but the method are empty for the shared token.
type Operator struct {
	Name    string // for people to read
	Method  string // "oidc", "cert", "token"
	Issuer  string
	Subject string
}

// AppendJSON implements Event.
func (e *OperatorAction) AppendJSON(dst []byte) []byte {
	o := begin(dst, e.Time, "operator_action", e.Session)
	o.string("id", e.ID)
	o.string("action", e.Action)
	o.optional("operator", e.Operator.Name)
	o.string("operator_method", e.Operator.Method)
	o.optional("operator_issuer", e.Operator.Issuer)
	o.optional("operator_subject", e.Operator.Subject)
	o.string("client_address", e.ClientAddress)
	o.optional("user", e.User)
	o.optional("issuer", e.Issuer)
	o.optional("subject", e.Subject)
	o.moment("expires", e.Expires)
	o.optional("stated_reason", e.Reason)
	o.string("result", e.Result)
	o.some("ended_sessions", e.Ended)
	return o.end()
}

// GrantChange is written when policy has changed and with it what a running session is granted, or when its identity is in other groups:
// before the statement that it noticed that by.
type GrantChange struct {
	Time           time.Time // zero: now
	Session        string
	Identity       Identity
	Allow          bool
	Reasons        []string
	PolicyRevision string
	Role           string
	Observe        bool
	Obligations    []string
	Regrouped      bool // the identity's groups are others than before
	Ended          bool // the session ends: what differs cannot be changed in one that runs
}

// AppendJSON implements Event.
func (e *GrantChange) AppendJSON(dst []byte) []byte {
	o := begin(dst, e.Time, "grant_change", e.Session)
	o.identity(&e.Identity)
	if e.Regrouped {
		o.list("groups", e.Identity.Groups)
	}
	o.bool("allow", e.Allow)
	o.list("reasons", e.Reasons)
	o.string("policy_revision", e.PolicyRevision)
	o.optional("role", e.Role)
	o.flag("observe", e.Observe)
	o.some("obligations", e.Obligations)
	o.flag("ended", e.Ended)
	return o.end()
}

// LogRepair stands where something went wrong with the log itself: behind a line that was torn by a crash or a full disk, behind
// events that could not be written, behind what a gateway wrote that was killed. A torn line before it is not to be trusted, nor to be
// parsed.
type LogRepair struct {
	Time  time.Time // zero: now
	Cause string    // "open": found when the file was opened; "write": an append failed and this one succeeded; "wait": the file took nothing for a while;
	// "removed": the file was, and what was in it was written again
	Lost     uint64 // events refused since the last line that was written whole
	Unsealed uint64 // events before it that had no checkpoint when the file was opened: until then anyone could change them
}

// AppendJSON implements Event.
func (e *LogRepair) AppendJSON(dst []byte) []byte {
	o := begin(dst, e.Time, "log_repair", "")
	o.string("cause", e.Cause)
	o.uint("lost", e.Lost)
	if e.Unsealed > 0 {
		o.uint("unsealed", e.Unsealed)
	}
	return o.end()
}
