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

//go:embed sql/rowtypes.sql
var rowTypesSQL string

// readOperators comes after readFunctions.
func (r *reading) readOperators(ctx context.Context) error {
	return r.rows(ctx, query{operatorsSQL, maxOperators, "operators"}, func(row *row) {
		o := &Operator{
			Name:     statement.Name{Schema: r.intern(row.bytes(1)), Name: row.text(2)},
			Function: r.functions[row.oid(3)], Extension: row.text(4),
		}
		r.operators[row.oid(0)] = o
		r.snapshot.Operators[o.Name.Name] = append(r.snapshot.Operators[o.Name.Name], o)
	})
}

func (r *reading) readTypes(ctx context.Context) error {
	return r.rows(ctx, query{typesSQL, maxTypes, "types"}, func(row *row) {
		t := &Type{Name: statement.Name{Schema: r.intern(row.bytes(1)), Name: row.text(2)}, Extension: row.text(3)}
		r.types[row.oid(0)] = t
		r.snapshot.Types[t.Name.Name] = append(r.snapshot.Types[t.Name.Name], t)
		r.snapshot.TypeNames[row.oid(0)] = t.Name
	})
}

// readRowTypes comes after readRelations.
func (r *reading) readRowTypes(ctx context.Context) error {
	return r.rows(ctx, query{rowTypesSQL, 2 * maxRelations, "row types"}, func(row *row) {
		if relation := r.relations[row.oid(1)]; relation != nil {
			r.snapshot.TypeNames[row.oid(0)] = relation.Name
		}
	})
}
