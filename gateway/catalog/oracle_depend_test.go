package catalog

import (
	"context"
	"fmt"
	"testing"
)

// TestOracleKnowsDependencies holds the oracle itself to pg_depend: what a function with a statement for its body depends on is in the
// query tree as it was read. PostgreSQL keeps no dependencies on what initdb made.
func TestOracleKnowsDependencies(t *testing.T) {
	pool := startPool(t)
	onServers(t, func(t *testing.T, s *server) {
		o := newOracle(t, s, pool, oracleScript)
		o.search(t, searchPaths[0])
		g := newGenerator(t, o, 2)
		checked, classes := 0, map[string]bool{}
		texts := corpus(t)
		for range 500 {
			texts = append(texts, g.statement())
		}
		for _, text := range texts {
			says, _, err := o.ask(t.Context(), text)
			if err != nil {
				continue
			}
			if dependencies, ok := o.dependencies(t, text); ok {
				checked++
				for _, d := range dependencies {
					classes[d.Class] = true
					if !o.accounted(says, d) {
						t.Errorf("%s: depends on %v", text, d)
					}
				}
			}
		}
		if checked < 300 || !classes["pg_class"] || !classes["pg_proc"] || !classes["pg_operator"] {
			t.Errorf("%d texts were checked, for dependencies on %v", checked, classes)
		}
	})
}

// dependency is a row of pg_depend.
type dependency struct {
	Class  string
	OID    uint32
	Column int
}

// dependencies are those of a text as the body of a function. Not ok: it cannot be one.
func (o *oracle) dependencies(t *testing.T, text string) (list []dependency, ok bool) {
	t.Helper()
	tx, err := o.conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), fmt.Sprintf("CREATE FUNCTION app.oracle() RETURNS void LANGUAGE sql BEGIN ATOMIC %s; END", text)); err != nil {
		return nil, false
	}
	rows, err := tx.Query(t.Context(), `SELECT d.refclassid::pg_catalog.regclass::text, d.refobjid, d.refobjsubid FROM pg_catalog.pg_depend d
		WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = pg_catalog.to_regprocedure('app.oracle()')`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var d dependency
		if err := rows.Scan(&d.Class, &d.OID, &d.Column); err != nil {
			t.Fatal(err)
		}
		list = append(list, d)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list, true
}

// The types of relations' and functions' names (pg_type.dat).
const (
	regclass     = 2205
	regprocedure = 2202
)

// accounted says whether the oracle knows of a dependency.
func (o *oracle) accounted(m *meaning, d dependency) bool {
	switch d.Class {
	case "pg_class":
		u := m.relations[d.OID]
		if u == nil { // a field of its row type, or a literal: neither is a reading of the relation
			return m.values[o.rowTypes[d.OID]] || m.values[regclass]
		}
		return d.Column == 0 || u.read[d.Column] || u.written[d.Column] || u.read[0] || m.values[o.rowTypes[d.OID]]
	case "pg_proc":
		_, ok := m.functions[d.OID]
		return ok || m.values[regprocedure]
	case "pg_operator":
		return m.operators[d.OID]
	}
	return true // a schema, a type, a collation, a constraint
}
