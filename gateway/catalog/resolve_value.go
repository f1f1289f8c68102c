package catalog

import (
	"slices"
	"strings"

	"github.com/sallyport/sallyport/authz/statement"
)

// coerced adds the functions that values of something run, but for those that this statement cannot make them run.
func (r *resolver) coerced(list []Coercion, through []statement.Name) {
	if len(list) > 0 && len(through) > maxThrough {
		r.tooMuch = true
		return
	}
	var added []*Function
	for _, c := range list {
		if (!c.Written || r.written) && (!c.Built || r.built) {
			r.coerces = true
			if r.call(c.Function, nil, through) {
				added = append(added, c.Function)
			}
		}
	}
	for _, f := range added { // after all that are nearer
		r.inside(f, through)
	}
}

// coercedIn adds those of the columns of a relation that the text uses.
func (r *resolver) coercedIn(relation *Relation, fact statement.Relation) {
	r.coercedBy(relation, fact, []statement.Name{relation.Name})
}

func (r *resolver) coercedBy(relation *Relation, fact statement.Relation, through []statement.Name) {
	r.coerced(relation.used(fact), through)
}

// used are the coercions of the columns that a fact names.
func (relation *Relation) used(fact statement.Relation) []Coercion {
	if len(relation.Coercions) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(relation.Coercions), func(c Coercion) bool {
		return !fact.AllUnsure && !slices.Contains(fact.Columns, wholeRow) && !slices.Contains(fact.Columns, c.Column)
	})
}

// converted adds the casts that a view's query has values made JSON or text by. Of all that run with a view PostgreSQL finds only these when it
// runs it, so that the view does not depend on them.
func (r *resolver) converted(s *statement.Statement, through []statement.Name) {
	if !s.Hints.Converts {
		return
	}
	defer func(written bool) { r.written = written }(r.written)
	r.written = true
	for _, fact := range s.Relations {
		name := statement.Name{Schema: fact.Schema, Name: fact.Name}
		if relation := r.snapshot.Relations[name]; relation != nil {
			r.coerced(rowsMade(relation.used(fact)), append(slices.Clone(through), name))
		}
	}
	for _, f := range s.Functions {
		for _, found := range r.snapshot.Functions[f.Name] {
			if found.Name.Schema == f.Schema {
				r.coerced(found.Coercions, append(slices.Clone(through), found.Name))
			}
		}
	}
}

// rowsMade are coercions where the row of a relation is a value.
func rowsMade(list []Coercion) []Coercion {
	for i := range list {
		list[i].Built = list[i].Built && list[i].Column != wholeRow
	}
	return list
}

// coercedTo adds those of the types that a name may mean. Where a type is named, a value of it is made.
func (r *resolver) coercedTo(fact statement.Object) {
	schemas := []string{fact.Schema}
	if fact.Schema == "" {
		schemas = r.path
	}
	for _, schema := range schemas {
		for _, name := range []string{fact.Name, strings.TrimLeft(fact.Name, "_")} {
			through := []statement.Name{{Schema: schema, Name: name}}
			for _, t := range r.snapshot.Types[name] {
				if t.Name.Schema == schema {
					r.coerced(made(t.Coercions), through)
				}
			}
			if relation := r.snapshot.Relations[statement.Name{Schema: schema, Name: name}]; relation != nil {
				r.coerced(made(relation.Coercions), through)
			}
		}
	}
}

// made are coercions where a value is made at any rate.
func made(list []Coercion) []Coercion {
	list = slices.Clone(list)
	for i := range list {
		list[i].Built = false
	}
	return list
}
