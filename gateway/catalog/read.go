package catalog

import (
	"context"
	_ "embed" // the queries
	"fmt"
	"time"

	"github.com/sallyport/sallyport/authz/statement"
)

// What a snapshot may have at most. A gateway that is asked to hold more says so, and judges nothing: each relation with ten columns takes
// about a kilobyte, and every change has all of them read again.
const (
	maxRelations  = 200_000
	maxColumns    = 4_000_000
	maxDescents   = 1_000_000 // entries of Ancestors; those of Descendants are as many
	maxFunctions  = 200_000
	maxOperators  = 100_000
	maxTypes      = 200_000
	maxUnseen     = 1_000_000 // pairs of a relation and a function that runs with it
	maxCoercions  = 1_000_000 // pairs of a column, function, operator or type and a function that runs with its values
	maxInherits   = 2 * maxRelations
	maxDefinition = 1 << 20 // characters of a view's text, as many as a statement may have bytes (statements.max_text_bytes)
)

// readTime bounds the reading of one snapshot.
const readTime = 2 * time.Minute

// reading is one snapshot while it is read. Everything but the texts of views is as of one moment, its transaction's: those are what
// they are a moment later, and what has changed between is noticed as any change is.
type reading struct {
	*connection
	analyze  Analyze
	known    definitions // texts of the snapshot before
	snapshot *Snapshot
	texts    definitions // texts of this one

	relations map[uint32]*Relation
	functions map[uint32]*Function
	operators map[uint32]*Operator
	types     map[uint32]*Type
	views     []*Relation // with a definition to be read
	columns   map[string]string

	// locked are the views whose text was not to be had because somebody has locked what they read.
	locked int
}

// read reads a snapshot. digest is that of the database as the snapshot has it. With an error the reading has only the texts that were
// understood by then.
func (c *connection) read(ctx context.Context, analyze Analyze, known definitions, seed string) (r *reading, d digest, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	r = &reading{
		connection: c, analyze: analyze, known: known, texts: make(definitions),
		relations: make(map[uint32]*Relation), functions: make(map[uint32]*Function), columns: make(map[string]string),
		operators: make(map[uint32]*Operator), types: make(map[uint32]*Type),
		snapshot: &Snapshot{
			ReadAt:    time.Now(), // before the transaction begins, so not after it
			Relations: make(map[statement.Name]*Relation), Functions: make(map[string][]*Function),
			Operators: make(map[string][]*Operator), Types: make(map[string][]*Type), TypeNames: make(map[uint32]statement.Name), Builtin: make(map[string]bool),
			BuiltinOperators: make(map[string]bool),
		},
	}
	if err := c.run(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return r, digest{}, fmt.Errorf("begin: %w", err)
	}
	d, err = c.digest(ctx, seed, digest{})
	for _, part := range []func(context.Context) error{
		r.readVersion, r.readRelations, r.readColumns, r.readInheritance, r.readFunctions, r.readBuiltins, r.readOperators, r.readTypes,
		r.readRowTypes, r.readUnseen, r.readPlanned, r.readCoercions, r.readConverting, r.readConsulted, r.readCascades, r.readViews,
	} {
		if err == nil {
			err = part(ctx)
		}
	}
	if err != nil {
		return r, digest{}, err // whoever goes on with the session rolls back
	}
	r.settle()
	if err := c.run(ctx, "COMMIT"); err != nil {
		return r, digest{}, fmt.Errorf("commit: %w", err)
	}
	return r, d, nil
}

func (r *reading) readVersion(ctx context.Context) error {
	q := query{sql: "SELECT pg_catalog.current_setting('server_version_num') LIMIT $1", most: 1, what: "the server's version"}
	return r.rows(ctx, q, func(row *row) { r.snapshot.Version = row.number(0) })
}

// intern returns one string for all that are equal: tables have the same columns again and again.
func (r *reading) intern(name []byte) string {
	if known, ok := r.columns[string(name)]; ok {
		return known
	}
	r.columns[string(name)] = string(name)
	return r.columns[string(name)]
}
