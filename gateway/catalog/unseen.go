package catalog

import (
	"context"
	_ "embed" // the queries
	"slices"

	"github.com/sallyport/sallyport/authz/statement"
)

//go:embed sql/checked.sql
var checkedSQL string

//go:embed sql/unseen.sql
var unseenSQL string

//go:embed sql/coercions.sql
var coercionsSQL string

//go:embed sql/converting.sql
var convertingSQL string

//go:embed sql/consulted.sql
var consultedSQL string

//go:embed sql/cascades.sql
var cascadesSQL string

// readUnseen finds the functions that run with a relation. It comes after readRelations and readFunctions.
//
// It follows what PostgreSQL itself records (pg_depend): what triggers, defaults, generated columns, checks, also those of domains in the
// types of columns, expressions of indexes and partition keys, policies in force, and the queries of views call. What a superuser alone can
// bring in is not in it: the functions of base types, operator classes, foreign-data wrappers and event triggers.
func (r *reading) readUnseen(ctx context.Context) error {
	return r.rows(ctx, query{checkedSQL + unseenSQL, maxUnseen, "functions that run unseen"}, func(row *row) {
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

// readCoercions finds the functions that run with values. It comes after readRelations, readFunctions, readOperators and readTypes.
func (r *reading) readCoercions(ctx context.Context) error {
	return r.rows(ctx, query{checkedSQL + coercionsSQL, maxCoercions, "functions that values are made by"}, func(row *row) {
		list := r.coercionsOf(row.text(0), row.oid(1))
		c := Coercion{Function: r.functions[row.oid(3)], Column: r.intern(row.bytes(2)), Written: row.flag(4), Built: row.flag(5)}
		if list != nil && c.Function != nil {
			*list = append(*list, c)
		}
	})
}

// readConverting finds the casts that run unseen where a relation's own expressions make JSON or text of its values. It comes after readCoercions.
func (r *reading) readConverting(ctx context.Context) error {
	return r.rows(ctx, query{convertingSQL, maxUnseen, "relations that make JSON"}, func(row *row) {
		relation := r.relations[row.oid(0)]
		if relation == nil {
			return
		}
		for _, c := range relation.Coercions {
			if c.Built && c.Column != wholeRow { // a domain's check, no cast
				continue
			}
			relation.OnWrite = append(relation.OnWrite, c.Function)
			if row.flag(1) {
				relation.OnRead = append(relation.OnRead, c.Function)
			}
		}
	})
}

// coercionsOf returns where those of an object are kept; nil for one that is not in the snapshot.
func (r *reading) coercionsOf(kind string, oid uint32) *[]Coercion {
	switch kind {
	case "relation":
		if relation := r.relations[oid]; relation != nil {
			return &relation.Coercions
		}
	case "function":
		if f := r.functions[oid]; f != nil {
			return &f.Coercions
		}
	case "operator":
		if o := r.operators[oid]; o != nil {
			return &o.Coercions
		}
	case "type":
		if t := r.types[oid]; t != nil {
			return &t.Coercions
		}
	case "any":
		return &r.snapshot.Coercions
	}
	return nil
}

// readConsulted finds what row security policies read. It comes after readRelations.
func (r *reading) readConsulted(ctx context.Context) error {
	return r.rows(ctx, query{consultedSQL, maxUnseen, "relations that policies read"}, func(row *row) {
		relation, read := r.relations[row.oid(0)], r.relations[row.oid(1)]
		if relation != nil && read != nil {
			relation.Consulted = append(relation.Consulted, read)
		}
	})
}

// consequences are what pg_constraint.confdeltype and confupdtype make of a row that refers to one that is deleted, and updated.
var consequences = map[string][2]string{"c": {"delete", "update"}, "n": {"update", "update"}, "d": {"update", "update"}}

// readCascades comes after readRelations.
func (r *reading) readCascades(ctx context.Context) error {
	return r.rows(ctx, query{cascadesSQL, maxInherits, "foreign keys"}, func(row *row) {
		to, relation := r.relations[row.oid(0)], r.relations[row.oid(1)]
		if to == nil || relation == nil {
			return
		}
		to.Cascades = append(to.Cascades, Cascade{
			Relation: relation, Key: row.texts(4), To: row.texts(5),
			OnDelete: consequences[row.text(2)][0], OnUpdate: consequences[row.text(3)][1], Computed: row.flag(6),
		})
	})
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
