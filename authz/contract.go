// Package authz decides: may this identity have this connection, may it run this statement. Decisions come from Rego policies
// through an embedded OPA engine; the documents going in and out are versioned and described in policies/README.md.
package authz

import (
	"time"

	"github.com/sallyport/sallyport/authz/statement"
)

// ContractVersion is the version of the input and decision documents described in policies/README.md. 2: names have the schema they were
// found in, and relations that the text does not name are listed too.
const ContractVersion = 2

// Identity is the authenticated client as policies see it.
type Identity struct {
	User    string   `json:"user"`
	Method  string   `json:"method"`
	Issuer  string   `json:"issuer"`
	Subject string   `json:"subject"`
	Name    string   `json:"name"`
	Groups  []string `json:"groups"`
}

// Session is the client session as policies see it.
type Session struct {
	ID            string `json:"id"`
	Database      string `json:"database"`
	ClientAddress string `json:"client_address"`
	Application   string `json:"application_name"`
	Role          string `json:"role"`    // the role the connect decision gave; "" while connecting
	Route         string `json:"route"`   // the route it gave; "" while connecting, and for the database's own hosts
	Observe       bool   `json:"observe"` // the connect decision's observe
	Replication   string `json:"replication"`
	Reason        string `json:"reason"`         // why the client says it comes; "" when it does not
	RequestedRole string `json:"requested_role"` // the role it asks for; "" when it does not

	// SearchPath is the schemas that an unqualified name may resolve in, as pinned on the backend: pg_catalog, which PostgreSQL puts
	// first by itself, is not among them; pg_temp is when the gateway put it there. Empty while connecting.
	SearchPath []string `json:"search_path"`
}

// ConnectInput is the input document of the connect decision.
type ConnectInput struct {
	Version  int      `json:"version"`
	Action   string   `json:"action"` // "connect"
	Identity Identity `json:"identity"`
	Session  Session  `json:"session"`
}

// ConnectDecision is what policy says about a connection.
type ConnectDecision struct {
	Allow    bool     `json:"allow"`
	Reasons  []string `json:"reasons"`
	Revision string   `json:"-"` // the policy revision that decided

	Role             string        `json:"role"`    // a name the database's configuration maps to a Vault role
	Route            string        `json:"route"`   // one of the database's routes; "" = its own hosts
	Observe          bool          `json:"observe"` // everything is judged and recorded, nothing denied
	MaxSession       time.Duration `json:"-"`       // from max_session_seconds; 0 = the configuration's
	IdleTimeout      time.Duration `json:"-"`       // from idle_timeout_seconds; 0 = the configuration's
	StatementTimeout time.Duration `json:"-"`       // from statement_timeout_ms; 0 = none
	ReadOnly         bool          `json:"read_only"`

	// What is delivered to the client, in DataRow and CopyData messages and the bytes in them; 0 = no limit.
	MaxRows         uint64 `json:"max_rows"`          // by one statement
	MaxBytes        uint64 `json:"max_bytes"`         // …
	MaxRowsPerHour  uint64 `json:"max_rows_per_hour"` // by all sessions of the identity
	MaxBytesPerHour uint64 `json:"max_bytes_per_hour"`

	BindValues BindValues `json:"bind_values"` // what the audit log keeps of the values of parameters; "" = nothing

	MaxSessions            uint64 `json:"max_sessions"`              // of the identity at once; 0 = no limit
	MaxStatementsPerSecond uint64 `json:"max_statements_per_second"` // by all sessions of the identity; 0 = no limit
}

// BindValues is what the audit log keeps of what is bound to the parameters of statements.
type BindValues string

// The ways to keep bind values.
const (
	BindValuesOff      BindValues = "off"      // nothing
	BindValuesTypes    BindValues = "types"    // their types, how long they are, and which are NULL
	BindValuesRedacted BindValues = "redacted" // and a keyed hash
	BindValuesFull     BindValues = "full"     // and the value
)

// StatementInput is the input document of a statement decision. A session has one for all its statements: only Statement may change once
// a decision was asked for (in a copy anything may), and it is not for several goroutines at once.
type StatementInput struct {
	Version   int              `json:"version"`
	Action    string           `json:"action"` // "statement"
	Identity  Identity         `json:"identity"`
	Session   Session          `json:"session"`
	Statement *statement.Sheet `json:"statement"`

	asker asker `policy:"-"`
}

// StatementDecision is what policy says about a text. It is shared between sessions and must not be changed.
type StatementDecision struct {
	Allow     bool     `json:"allow"`
	Reasons   []string `json:"reasons"` // why denied (or why allowed, if the policy says so); shown to the client in DETAIL
	Revision  string   `json:"-"`
	Cacheable bool     `json:"-"` // the same input gives the same decision while Revision is current

	ReadOnly bool   `json:"read_only"` // it must not write
	MaxRows  uint64 `json:"max_rows"`  // as in ConnectDecision, for this text; the smaller one holds
	MaxBytes uint64 `json:"max_bytes"`

	StatementTimeout time.Duration `json:"-"` // from statement_timeout_ms; 0 = none of its own

	Warnings []string `json:"warn"` // what the client is told, each as a WARNING before the statement's first answer
}
