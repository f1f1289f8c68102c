package catalog

import (
	"context"
	_ "embed" // the queries
	"slices"

	"github.com/sallyport/sallyport/authz/statement"
)

//go:embed sql/unseen.sql
var unseenSQL string

// readUnseen finds the functions that run with a relation. It comes after readRelations and readFunctions.
//
// It follows what PostgreSQL itself records (pg_depend): what triggers, defaults, generated columns, checks, also those of domains in the
// types of columns, expressions of indexes and partition keys, policies in force, and the queries of views call. What a superuser alone can
// bring in is not in it: the functions of base types, operator classes, foreign-data wrappers and event triggers.
func (r *reading) readUnseen(ctx context.Context) error {
	return r.rows(ctx, query{unseenSQL, maxUnseen, "functions that run unseen"}, func(row *row) {
		relation, function := r.relations[row.oid(0)], r.functions[row.oid(1)]
		if relation == nil || function == nil || relation.Kind == KindCompositeType { // a temporary relation, or one that holds nothing
			return
		}
		if row.flag(2) {
			relation.OnRead = append(relation.OnRead, function)
		}
		if row.flag(3) {
			relation.OnWrite = append(relation.OnWrite, function)
		}
	})
}

// ofParts adds to what a table runs when it is written what its parts run: their triggers and checks run for the rows that go there. (Their
// row security policies do not when the table is named.)
func (r *reading) ofParts() {
	for _, part := range r.relations {
		for _, whole := range part.Ancestors {
			for _, f := range part.OnWrite {
				if !slices.Contains(whole.OnWrite, f) {
					whole.OnWrite = append(whole.OnWrite, f)
				}
			}
		}
	}
}

// unnamed are those of a view's functions that its text does not show: casts that are made without a word.
func (r *reading) unnamed(view *Relation) []*Function {
	if view.Definition == nil {
		return view.OnRead
	}
	facts := view.Definition.Statements[0]
	named := make(map[statement.Name]bool)
	for _, f := range facts.Functions {
		named[statement.Name{Schema: f.Schema, Name: f.Name}] = true
	}
	for _, used := range facts.Operators {
		for _, operator := range r.snapshot.Operators[used.Name] {
			if operator.Name == (statement.Name{Schema: used.Schema, Name: used.Name}) && operator.Function != nil {
				named[operator.Function.Name] = true
			}
		}
	}
	return slices.DeleteFunc(view.OnRead, func(f *Function) bool { return named[f.Name] })
}
