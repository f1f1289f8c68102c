package audit

import "time"

// Statement is written before anything of a statement is forwarded: who asked for what, and what was decided.
// When Append fails the statement must not be forwarded.
type Statement struct {
	Time    time.Time // zero: now
	Session string
	Number  uint64 // counts the session's statements from 1; with Session it makes the id

	Identity      *Identity // the session's
	Database      string
	ClientAddress string

	Protocol      Protocol
	StatementName string // of Parse, Bind and Execute; "" is the unnamed one
	Portal        string // of Bind and Execute
	Text          Text   // by Log.Text, once per text; the zero value for a FunctionCall
	Fingerprint   string
	Commands      []string // of all statements in the text, the nested ones too
	Relations     []string // compact: "app.customers select,update (id,name)"
	Incomplete    bool     // the facts that policy was asked about do not say everything; see Reasons
	Resolved      bool     // names were looked up in the catalog

	Decision       Decision
	Reasons        []string
	SQLSTATE       string // what the client hears when it was denied
	PolicyRevision string
	Obligations    []string // what policy obliges this statement to: "max_rows=100", "warn=…"
	Observe        bool     // the session observes

	BackendRole string
	LeaseIDHash string
}

// AppendJSON implements Event.
func (e *Statement) AppendJSON(dst []byte) []byte {
	o := begin(dst, e.Time, "statement", e.Session)
	o.id(e.Session, e.Number)
	if e.Identity != nil {
		o.identity(e.Identity)
	}
	o.string("database", e.Database)
	o.string("client_address", e.ClientAddress)
	o.string("protocol", string(e.Protocol))
	o.optional("statement_name", e.StatementName)
	o.optional("portal", e.Portal)
	o.string("decision", string(e.Decision))
	o.list("reasons", e.Reasons)
	o.optional("sqlstate", e.SQLSTATE)
	o.string("policy_revision", e.PolicyRevision)
	o.some("obligations", e.Obligations)
	o.list("commands", e.Commands)
	o.list("relations", e.Relations)
	o.optional("fingerprint", e.Fingerprint)
	o.text(&e.Text)
	o.flag("incomplete", e.Incomplete)
	o.flag("resolved", e.Resolved)
	o.flag("observe", e.Observe)
	o.string("backend_role", e.BackendRole)
	o.optional("lease", e.LeaseIDHash)
	return o.end()
}

// Outcome follows a Statement under the same id. A Statement without an Outcome ran, or may have run, when the gateway died.
// When Append fails the session must end.
type Outcome struct {
	Time    time.Time // zero: now
	Session string
	Number  uint64

	Status        Status
	Command       string // the command tags of CommandComplete, joined by "; "
	SQLSTATE      string // of the ErrorResponse
	Rows          uint64 // DataRow, CopyData and FunctionCallResponse messages to the client, CopyData messages from it
	Bytes         uint64 // bytes of those messages
	Duration      time.Duration
	JudgeDuration time.Duration // the part of Duration that the gateway took to decide
}

// AppendJSON implements Event.
func (e *Outcome) AppendJSON(dst []byte) []byte {
	o := begin(dst, e.Time, "outcome", e.Session)
	o.id(e.Session, e.Number)
	o.string("status", string(e.Status))
	o.optional("command", e.Command)
	o.optional("sqlstate", e.SQLSTATE)
	o.uint("rows", e.Rows)
	o.uint("bytes", e.Bytes)
	o.micros("duration_us", e.Duration)
	o.micros("judge_us", e.JudgeDuration)
	return o.end()
}
