package catalog

import (
	"cmp"
	"context"
	_ "embed" // the queries
	"strings"

	"github.com/sallyport/sallyport/authz/statement"
)

//go:embed sql/functions.sql
var functionsSQL string

//go:embed sql/builtins.sql
var builtinsSQL string

// volatilities are what pg_proc.provolatile says.
var volatilities = map[string]string{"i": "immutable", "s": "stable", "v": "volatile"}

func (r *reading) readFunctions(ctx context.Context) error {
	return r.rows(ctx, query{functionsSQL, maxFunctions, "functions"}, func(row *row) {
		kind := row.text(10)
		f := &Function{
			OID: row.oid(0), Name: statement.Name{Schema: r.intern(row.bytes(1)), Name: row.text(2)}, Arguments: row.text(3),
			Minimum: row.number(4), Maximum: row.number(5), Language: r.intern(row.bytes(7)), Volatility: volatilities[row.text(8)],
			SecurityDefiner: row.flag(9), Procedure: kind == "p", Aggregate: kind == "a" || kind == "w", Extension: row.text(11),
		}
		if row.flag(6) {
			f.Maximum = -1
		}
		r.functions[f.OID] = f
		if !passing(f.Name.Schema) {
			r.snapshot.Functions[f.Name.Name] = append(r.snapshot.Functions[f.Name.Name], f)
		}
	})
}

// passing says whether a schema is a session's own.
func passing(schema string) bool { return strings.HasPrefix(schema, "pg_temp_") }

func (r *reading) readBuiltins(ctx context.Context) error {
	return r.rows(ctx, query{builtinsSQL, maxFunctions, "PostgreSQL's own functions and operators"}, func(row *row) {
		if row.flag(1) {
			r.snapshot.BuiltinOperators[row.text(0)] = true
		} else {
			r.snapshot.Builtin[row.text(0)] = true
		}
	})
}

func compareFunctions(a, b *Function) int {
	return cmp.Or(compareNames(a.Name, b.Name), strings.Compare(a.Arguments, b.Arguments))
}

func compareCoercions(a, b Coercion) int {
	return cmp.Or(compareFunctions(a.Function, b.Function), strings.Compare(a.Column, b.Column))
}
