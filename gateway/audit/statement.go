package audit

import (
	"bytes"
	"hash/maphash"
	"time"
	"unique"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// Statement is written before anything of a statement is forwarded: who asked for what, and what was decided.
// When Append fails the statement must not be forwarded.
type Statement struct {
	Time    time.Time // zero: now
	Session string
	Number  uint64 // counts the session's statements from 1; with Session it makes the id
	Who     *Who   // the session's; nil: nobody is named

	Protocol      Protocol
	StatementName string  // of Parse, Bind and Execute; "" is the unnamed one
	Portal        string  // of Bind and Execute
	Text          Text    // by Log.Text, once per text; the zero value for a FunctionCall
	Normalized    Text    // with its constants replaced, by Log.Text too; it is not recorded where it is Text, nor where a password was taken out of that
	Values        *Values // of a Bind; nil: none are recorded. Never of a text that speaks of a secret
	Facts         *Facts  // of the text; nil: there are none
	Incomplete    bool    // the facts that policy was asked about do not say everything; see Reasons
	Resolved      bool    // names were looked up in the catalog

	Decision       Decision
	Reasons        []string
	SQLSTATE       string // what the client hears when it was denied
	PolicyRevision string
	Obligations    []string // what policy obliges this statement to: "max_rows=100", "warn=…"
	Observe        bool     // the session observes
}

// AppendJSON implements Event. All texts are in it.
func (e *Statement) AppendJSON(dst []byte) []byte { return e.append(dst, omitted{}, new(clock)) }

// append leaves out texts. What statements with the same text have in common comes first.
func (e *Statement) append(dst []byte, omit omitted, c *clock) []byte {
	o := e.begin(dst, omit)
	o.text(&e.Text, omit.text)
	o.beginID()
	return e.end(&o, c)
}

// begin appends what statements of the same shape have in common.
func (e *Statement) begin(dst []byte, omit omitted) object {
	o := beginAlike(dst, "statement", e.Session)
	if e.Who != nil {
		o.buf = append(o.buf, e.Who.fields...)
	}
	o.string("protocol", string(e.Protocol))
	o.optional("statement_name", e.StatementName)
	o.optional("portal", e.Portal)
	o.string("decision", string(e.Decision))
	o.list("reasons", e.Reasons)
	o.optional("sqlstate", e.SQLSTATE)
	o.string("policy_revision", e.PolicyRevision)
	o.some("obligations", e.Obligations)
	o.facts(e.Facts)
	o.flag("incomplete", e.Incomplete)
	o.flag("resolved", e.Resolved)
	o.flag("observe", e.Observe)
	o.normalized(e.normalized(), omit.normalized)
	return o
}

// end appends what is one statement's own.
func (e *Statement) end(o *object, c *clock) []byte {
	o.endID(e.Number)
	o.values(e.Values, e.Text.speaks || !e.Text.some)
	return o.endAt(e.Time, c)
}

// normalized is the normalized form as far as it is recorded: not where it is the text itself, nor where a password was taken out of the
// text, for nobody has looked for that in this form of it. nil: there is none.
func (e *Statement) normalized() *Text {
	if e.Text.redacted || e.Normalized.digest == e.Text.digest {
		return nil
	}
	return &e.Normalized
}

// maxLineGroups is how many groups stand in every statement's line; the session's connect event has up to maxListEntries.
const maxLineGroups = 16

// Who is what the statements of a session say alike: whose they are, where they came from, and as what they run. It is encoded once, and
// so is what else many lines of the session begin with. It is safe for concurrent use.
type Who struct {
	fields     []byte
	prefix     proof.Prefix // of every statement's line
	seed       maphash.Seed
	statements templates
	outcomes   templates
}

// Statements says for NewWho what a session's statements have in common.
type Statements struct {
	Session       string
	Identity      *Identity
	Database      string
	ClientAddress string
	BackendHost   string
	BackendRole   string
	LeaseIDHash   string
}

// NewWho encodes it. Of the groups there are no more than the first few.
func NewWho(s Statements) *Who {
	o := beginAlike([]byte{0}, "statement", s.Session)
	begun := len(o.buf)
	if id := s.Identity; id != nil {
		o.identity(id)
		o.optional("name", id.Name)
		o.someOf("groups", id.Groups, maxLineGroups)
	}
	o.string("database", s.Database)
	o.string("client_address", s.ClientAddress)
	o.optional("backend_host", s.BackendHost)
	o.string("backend_role", s.BackendRole)
	o.optional("lease", s.LeaseIDHash)
	line := bytes.Clone(o.buf) // a session keeps it
	return &Who{fields: line[begun:], prefix: proof.NewPrefix(line), seed: maphash.MakeSeed()}
}

func (w *Who) hash(word string) uint64 {
	if word == "" {
		return 0
	}
	return maphash.String(w.seed, word)
}

// Facts are what was found out about a text, as far as the log records it. They are encoded once for all statements with it.
type Facts struct {
	fields    unique.Handle[string] // the same memory for all sessions that have the same facts
	relations []string
}

// NewFacts encodes them. The commands are of all statements in the text, the nested ones too, and so are the relations, which are compact:
// "app.customers select,update (id,name)". The fingerprint is that of the text's shape; "": there is none.
func NewFacts(commands, relations []string, fingerprint string) *Facts {
	var o object
	o.list("commands", commands)
	o.list("relations", relations)
	o.optional("fingerprint", fingerprint)
	return &Facts{fields: unique.Make(string(o.buf)), relations: relations}
}

// Relations are those that it was made of; nil has none.
func (f *Facts) Relations() []string {
	if f == nil {
		return nil
	}
	return f.relations
}

// facts appends them. The lists are there even if nobody knows what belongs into them.
func (o *object) facts(f *Facts) {
	if f == nil {
		o.buf = append(o.buf, `,"commands":[],"relations":[]`...)
		return
	}
	o.buf = append(o.buf, f.fields.Value()...)
}

// Outcome follows a Statement under the same id. A Statement without an Outcome ran, or may have run, when the gateway died.
// When Append fails the session must end.
//
// Duration is from the message that asked for the statement, whole, to its last answer. It is the sum of what the gateway took to decide,
// of what it made the statement wait, and of the rest, which is the backend's and the network's.
type Outcome struct {
	Time    time.Time // zero: now
	Session string
	Number  uint64
	Who     *Who // the session's; nil: its line costs more

	Status        Status
	Command       string // the command tags of CommandComplete, joined by "; "
	SQLSTATE      string // of the ErrorResponse
	Rows          uint64 // DataRow, CopyData and FunctionCallResponse messages to the client; what the tag of a COPY from it says
	Bytes         uint64 // bytes of those messages, and of the CopyData messages from it
	Duration      time.Duration
	JudgeDuration time.Duration
	WaitDuration  time.Duration // for its turn, for what came before it, and for the audit log
}

// AppendJSON implements Event.
func (e *Outcome) AppendJSON(dst []byte) []byte {
	o := e.begin(dst)
	return e.end(&o, new(clock))
}

// begin appends what many outcomes have in common.
func (e *Outcome) begin(dst []byte) object {
	o := beginAlike(dst, "outcome", e.Session)
	o.string("status", string(e.Status))
	o.optional("command", e.Command)
	o.optional("sqlstate", e.SQLSTATE)
	o.uint("rows", e.Rows)
	o.uint("bytes", e.Bytes)
	o.beginID()
	return o
}

// end appends what is one outcome's own.
func (e *Outcome) end(o *object, c *clock) []byte {
	o.endID(e.Number)
	o.buf = appendMicros(append(o.buf, `,"duration_us":`...), e.Duration) // whole keys: these are in no template
	o.buf = appendMicros(append(o.buf, `,"judge_us":`...), e.JudgeDuration)
	o.buf = appendMicros(append(o.buf, `,"wait_us":`...), e.WaitDuration)
	o.buf = appendMicros(append(o.buf, `,"backend_us":`...), max(0, e.Duration-e.JudgeDuration-e.WaitDuration))
	return o.endAt(e.Time, c)
}
