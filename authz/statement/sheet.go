// Package statement turns SQL text into the facts that policies read.
//
// The facts come from PostgreSQL's own grammar, in a worker process of its own: the parser can die, the gateway cannot.
package statement

// Sheet is what one SQL text says, statement by statement: the facts that policies read.
//
// It is immutable once returned and shared between sessions. Its JSON form is the `statement` part of the policy input
// (policies/README.md); between the worker process and the gateway it travels as CBOR, under the same names.
type Sheet struct {
	Complete    bool        `json:"complete"`             // every node was understood; policy denies what is not
	Resolved    bool        `json:"resolved"`             // names were looked up in the catalog: the facts are about what they mean
	Incomplete  []string    `json:"incomplete,omitempty"` // why not, e.g. "unknown node FooBar"
	Fingerprint string      `json:"fingerprint"`          // pg_query fingerprint, hex
	Normalized  string      `json:"normalized"`           // the text with its constants replaced by $n; "" for an empty text
	Statements  []Statement `json:"statements"`           // in order; empty for an empty text
}

// Statement is one statement of a text, with everything nested in it.
type Statement struct {
	Command string `json:"command"` // PostgreSQL's command tag words: SELECT, INSERT, UPDATE, CREATE TABLE, SET, COPY, EXPLAIN, BEGIN …
	Class   Class  `json:"class"`   // what kind of command it is

	// Commands holds every command that runs with this statement, the outer one first: a DELETE in a CTE, what EXPLAIN, COPY (query),
	// PREPARE, DECLARE and CREATE TABLE AS carry. No duplicates.
	Commands []string `json:"commands"`

	Relations []Relation `json:"relations"` // every relation named, one entry a name
	Functions []Function `json:"functions"` // every function called, wherever it stands

	// Attributes are the names in (x).name and the like: a field of x or, when x has none of that name, a call of the function
	// name(x). PostgreSQL's own functions of such names are in Functions already; whether another is meant, the catalog knows.
	Attributes []string `json:"attributes"`

	Operators []Object  `json:"operators"` // operators written with a schema other than pg_catalog; resolved: all that are not PostgreSQL's own
	Types     []Object  `json:"types"`     // types named that are not the grammar's own or pg_catalog's
	Settings  []Setting `json:"settings"`  // settings changed or read by SET, RESET, SHOW, set_config, current_setting
	Channels  []Channel `json:"channels"`  // LISTEN, UNLISTEN, NOTIFY
	Roles     []string  `json:"roles"`     // roles named (SET ROLE, GRANT, ALTER ROLE …)

	// Unfiltered says which relations an UPDATE or DELETE touches without a WHERE, at any depth.
	Unfiltered []Name `json:"unfiltered"`

	// Opaque names what the text cannot show: code in a string ("DO", "CALL", "FUNCTION BODY", "COPY PROGRAM", "LOAD", "FUNCTION
	// query_to_xml" for a function that runs SQL it is given), files ("COPY FILE"), or relations without a name ("CASCADE", "UNNAMED
	// RELATIONS").
	Opaque []string `json:"opaque"`

	// Unknown are names of relations, functions, operators and types that the catalog does not have. Whoever asks policy by a catalog has asked
	// that anew for them: when the statement came there was no such thing, but for temporary ones, which no catalog knows.
	Unknown []Name `json:"unknown"`

	Copy     *Copy     `json:"copy,omitempty"`
	Prepared *Prepared `json:"prepared,omitempty"` // what it does to the session's statement and portal names
	Explain  *Explain  `json:"explain,omitempty"`

	// Hints are what a catalog needs to see more than the text shows, and the like. They are no facts, and policies do not see them.
	Hints Hints `json:"hints" policy:"-"`
}

// Hints are names that may mean something which the catalog alone knows, and what a cache must know.
type Hints struct {
	Operators []string `json:"operators,omitempty"` // operators without a schema, those that the grammar uses by itself too (IN, BETWEEN, USING)
	Calls     []string `json:"calls,omitempty"`     // the name in x.name, where x is no relation: a column of x, or a call of name(x)
	Fields    []string `json:"fields,omitempty"`    // the name in x.name, where x is a relation: nearly always a column of x
	Casts     bool     `json:"casts,omitempty"`     // a type is named: there may be a cast
	Builds    bool     `json:"builds,omitempty"`    // an array or a record is built of values, so that there is one of a type that is not named
	Converts  bool     `json:"converts,omitempty"`  // values are made JSON or text, by the casts of their types where there are any
	Literals  bool     `json:"literals,omitempty"`  // the facts depend on the value of a literal
	Coerces   bool     `json:"coerces,omitempty"`   // values run functions that PostgreSQL did not come with; only a catalog knows
}

// Class sorts commands for policies and for the relay.
type Class string

// The classes.
const (
	ClassQuery       Class = "query"       // SELECT, VALUES, TABLE without data changes anywhere inside
	ClassWrite       Class = "write"       // INSERT, UPDATE, DELETE, MERGE, a SELECT that carries one, SELECT FOR UPDATE stays query
	ClassTransaction Class = "transaction" // BEGIN, COMMIT, ROLLBACK, SAVEPOINT …, SET TRANSACTION
	ClassSession     Class = "session"     // SET, RESET, SHOW, DISCARD, LISTEN, PREPARE, DECLARE, FETCH, CLOSE …
	ClassCopy        Class = "copy"        // COPY
	ClassDefinition  Class = "definition"  // DDL: CREATE, ALTER, DROP, COMMENT, GRANT …
	ClassUtility     Class = "utility"     // VACUUM, ANALYZE, LOCK, DO, CALL, CHECKPOINT, LOAD …
)

// Name is a possibly schema-qualified name as the text has it: Schema is "" when it was not written.
type Name struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
}

// Object is a Name of something that an extension may have brought.
type Object struct {
	Schema    string `json:"schema"`
	Name      string `json:"name"`
	Extension string `json:"extension"` // "" for none, and when the catalog was not asked
}

// Relation is one relation and what the statement does with it. CTE names are not relations; the tables inside them are.
//
// Access is any of select, insert, update, delete, truncate, lock (FOR UPDATE and its kin, LOCK), usage (a sequence is moved or read), lookup
// (only its existence and oid: regclass), references, create, alter, drop, grant, maintain (VACUUM, ANALYZE, CLUSTER, REINDEX), refresh and
// publish. A column that is read adds select: RETURNING, a WHERE, the arbiter of ON CONFLICT.
//
// Without the catalog a name that is not qualified may be a column of any relation in sight, the outer queries' included: it is listed
// with each of them. The facts say too much rather than too little.
type Relation struct {
	Schema    string   `json:"schema"`     // as written; "" = resolved by search_path
	Name      string   `json:"name"`       // folded and truncated as PostgreSQL does
	Temporary bool     `json:"temporary"`  // CREATE TEMP, or schema pg_temp
	Access    []string `json:"access"`     // select, insert, update, delete, truncate, lock, create, alter, drop, references …; sorted, no duplicates
	Columns   []string `json:"columns"`    // columns named that are or may be this relation's; "*" = all of them (star, whole-row)
	Written   []string `json:"written"`    // the ones among Columns that INSERT, UPDATE, MERGE or COPY FROM assign; "*" = all of them
	AllUnsure bool     `json:"all_unsure"` // a column reference in scope could not be tied to one relation: treat as all columns

	// What follows is known of a relation that was found in the catalog. Kind is "" for one that was not.
	Kind        string `json:"kind"`                  // table, partitioned table, view, materialized view, foreign table, sequence, …
	Through     []Name `json:"through,omitempty"`     // what it is reached through, outermost first: views, row security, foreign keys; none: the text names it
	Ancestors   []Name `json:"ancestors,omitempty"`   // what it is a partition of or inherits from, at any depth
	Descendants []Name `json:"descendants,omitempty"` // its partitions and what inherits from it, at any depth
	Rules       bool   `json:"rules"`                 // it has rewrite rules: what is written to it may do anything
}

// Function is a called function; Schema "" when not written.
type Function struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	// Constants are the first arguments where they are constants, "" for others and for long ones. PostgreSQL's own functions have them only
	// when they take the name of something (nextval, set_config, has_table_privilege …): what the others are given is data.
	Constants []string `json:"constants,omitempty"`

	// What follows is known of a function that was found in the catalog and is not PostgreSQL's own. Language is "" for others.
	Language        string `json:"language"`
	Volatility      string `json:"volatility"` // immutable, stable, volatile
	SecurityDefiner bool   `json:"security_definer"`
	Extension       string `json:"extension"`         // that it belongs to
	Through         []Name `json:"through,omitempty"` // what runs it: relations (a trigger, a default, a view), types, functions; none: the text calls it
}

// Setting is a configuration parameter touched.
type Setting struct {
	Name   string `json:"name"`   // lower case; "*" for RESET ALL / SHOW ALL; "role", "session_authorization", "transaction_isolation" …
	Action string `json:"action"` // set, set_local, reset, show
	Value  string `json:"value"`  // constant value joined by ", "; "" for DEFAULT or when it is not constant
	Known  bool   `json:"known"`  // Name and Value are constants in the text
}

// Channel is a notification channel.
type Channel struct {
	Name   string `json:"name"`   // "*" for UNLISTEN *
	Action string `json:"action"` // listen, unlisten, notify
}

// Copy describes a COPY.
type Copy struct {
	Direction string `json:"direction"` // from, to
	Endpoint  string `json:"endpoint"`  // client (STDIN/STDOUT), file, program
}

// Explain describes an EXPLAIN.
type Explain struct {
	Analyze bool `json:"analyze"` // runs the statement; the last of repeated options counts
}

// Prepared says what a statement does to the one namespace that SQL and the wire protocol share.
type Prepared struct {
	Action string `json:"action"` // prepare, execute, deallocate, declare, fetch, move, close, current_of, discard (DISCARD ALL alone)
	Name   string `json:"name"`   // "*" for ALL
	Hold   bool   `json:"hold"`   // DECLARE … WITH HOLD
	// Further names used by the same statement (EXPLAIN EXECUTE, CREATE TABLE AS EXECUTE, several WHERE CURRENT OF).
	Uses []Use `json:"uses,omitempty"`
}

// Use is a further name a statement depends on.
type Use struct {
	Kind string `json:"kind"` // statement, portal
	Name string `json:"name"`
}
