package catalog

import (
	"context"
	_ "embed" // the queries

	"github.com/sallyport/sallyport/authz/statement"
)

//go:embed sql/operators.sql
var operatorsSQL string

//go:embed sql/types.sql
var typesSQL string

// readOperators comes after readFunctions.
func (r *reading) readOperators(ctx context.Context) error {
	return r.rows(ctx, query{operatorsSQL, maxOperators, "operators"}, func(row *row) {
		name := statement.Name{Schema: r.intern(row.bytes(0)), Name: row.text(1)}
		r.snapshot.Operators[name.Name] = append(r.snapshot.Operators[name.Name],
			&Operator{Name: name, Function: r.functions[row.oid(2)], Extension: row.text(3)})
	})
}

func (r *reading) readTypes(ctx context.Context) error {
	return r.rows(ctx, query{typesSQL, maxTypes, "types"}, func(row *row) {
		name := statement.Name{Schema: r.intern(row.bytes(0)), Name: row.text(1)}
		r.snapshot.Types[name.Name] = append(r.snapshot.Types[name.Name], &Type{Name: name, Extension: row.text(2)})
	})
}
