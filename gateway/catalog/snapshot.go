package catalog

import (
	"sync"
	"time"

	"github.com/sallyport/sallyport/authz/statement"
)

// Kind is what a relation is, by the letters of pg_class.relkind.
type Kind string

// The kinds (https://www.postgresql.org/docs/current/catalog-pg-class.html). What is none of them is KindOther.
const (
	KindTable            Kind = "table"
	KindPartitionedTable Kind = "partitioned table"
	KindView             Kind = "view"
	KindMaterializedView Kind = "materialized view"
	KindForeignTable     Kind = "foreign table"
	KindSequence         Kind = "sequence"
	KindCompositeType    Kind = "composite type"
	KindOther            Kind = "other" // an index, a TOAST table
)

// Snapshot is what the names of one database meant at one moment. It is immutable once published, but for what it remembers of Resolve.
type Snapshot struct {
	Generation uint64    // grows with each snapshot of a Catalog; the first is 1
	ReadAt     time.Time // when its transaction began: everything that had committed by then is in it
	Version    int       // server_version_num, e.g. 150008

	// Relations of all schemas but TOAST's and the sessions' temporary ones, by schema and name. PostgreSQL's own are among them, without
	// more than their name, kind and columns.
	Relations map[statement.Name]*Relation

	// Functions that PostgreSQL did not come with, by name. Those of extensions are among them.
	Functions map[string][]*Function

	// Operators and Types that PostgreSQL did not come with, by name. Row types of relations are not among the types.
	Operators map[string][]*Operator
	Types     map[string][]*Type

	// TypeNames are the names of the types that PostgreSQL did not come with, by OID: of Types, and for row types of relations, and arrays of
	// those, the relation's.
	TypeNames map[uint32]statement.Name

	// Coercions are those between types that PostgreSQL came with, and what its own operators are turned into: any statement may use them.
	Coercions []Coercion

	// Builtin and BuiltinOperators are the names of the functions and operators that PostgreSQL came with.
	Builtin, BuiltinOperators map[string]bool

	resolved resolved
}

// Relation is a table, view or the like.
type Relation struct {
	OID    uint32
	Name   statement.Name
	Kind   Kind
	System bool // PostgreSQL came with it: pg_catalog and information_schema

	Columns []string // in order, without dropped and system columns

	// Ancestors are what it inherits from or is a partition of, at any depth; Descendants the other way round.
	Ancestors, Descendants []*Relation

	// Definition holds the facts of a view's or materialized view's query, which is one statement. All its names are qualified; what has no
	// schema is in pg_catalog, whatever a session's search path says. nil: it is no view, it is PostgreSQL's own, or Opaque says why.
	Definition *statement.Sheet
	Opaque     string // why the definition could not be understood; "" otherwise

	// Invoker says that the view reads with the rights of who uses it (security_invoker).
	Invoker bool

	// OnRead and OnWrite are the functions, none of PostgreSQL's own, that run unseen when the relation is read (row security policies; what a
	// view's query calls and its Definition does not name: casts, the operators of USING) or written (triggers, defaults, generated columns,
	// checks, indexes, row security policies; when a materialized view is refreshed, its query; Planned of what foreign keys connect it with), or
	// one of its descendants. Sorted by name, no duplicates.
	OnRead, OnWrite []*Function

	// Planned are functions, none of PostgreSQL's own, that the planner runs before anything is read or written, since they are called with
	// constants in the expression of an index, a partition key, a statistics object or, where it has a parent, a check.
	Planned []*Function

	// Coercions of values of its columns, beside those in the queries of views.
	Coercions []Coercion

	// Consulted are the relations that its row security policies read.
	Consulted []*Relation

	// Cascades are what foreign keys do to other relations when this one is changed.
	Cascades []Cascade

	Rules bool // it has rewrite rules besides a view's own: what is written to it may do anything

	family family
}

// family are the names of a relation's Ancestors and Descendants, made when they are first asked for. All facts share them.
type family struct {
	once                   sync.Once
	ancestors, descendants []statement.Name
}

func (r *Relation) familyNames() (ancestors, descendants []statement.Name) {
	r.family.once.Do(func() { r.family.ancestors, r.family.descendants = namesOf(r.Ancestors), namesOf(r.Descendants) })
	return r.family.ancestors, r.family.descendants
}

// Cascade is a foreign key that changes the relation that has it, or has columns of types that PostgreSQL did not come with.
type Cascade struct {
	Relation *Relation // that has the key
	Key      []string  // its columns
	To       []string  // the columns that they refer to
	OnDelete string    // what a DELETE does to Relation: "delete", "update", "" for nothing
	OnUpdate string    // and what an UPDATE of To does
	Computed bool      // one of To is a generated column, which changes when others do
}

// Function is a function, procedure or aggregate.
type Function struct {
	OID       uint32
	Name      statement.Name
	Arguments string // identity arguments, as in pg_get_function_identity_arguments
	Minimum   int    // of arguments, without those that have defaults
	Maximum   int    // of arguments; -1: VARIADIC, any number from Minimum

	Language        string // "sql", "plpgsql", "c", …
	Volatility      string // "immutable", "stable", "volatile"
	SecurityDefiner bool
	Procedure       bool
	Aggregate       bool   // or a window function
	Extension       string // that it belongs to; "" for none

	// Coercions of its arguments and of what it returns, and the functions that it is defined by: in defaults of arguments, those that an
	// aggregate is made of, those in a body that PostgreSQL has parsed.
	Coercions []Coercion
}

// Coercion is a function, none of PostgreSQL's own nor of the extension that the type comes from, that may run when there is a value of a
// type: a cast from or to it, the check of a domain, what a range type is made with. What the planner puts in an operator's place is one too.
type Coercion struct {
	Function *Function
	Column   string // of a relation; wholeRow for its row
	Written  bool   // only by a cast that is written: ::, CAST
	Built    bool   // only when a value is built that the text names no type of, e.g. an array of a domain
}

// wholeRow stands for all columns, and for a row as a value.
const wholeRow = "*"

// Operator is an operator.
type Operator struct {
	Name      statement.Name
	Function  *Function // nil when it is one that PostgreSQL came with
	Extension string
	Coercions []Coercion // of its operands and its result
}

// Type is a base, enum, range, domain or composite type.
type Type struct {
	Name      statement.Name
	Extension string
	Coercions []Coercion
}
