package catalog

import (
	"slices"

	"github.com/sallyport/sallyport/authz/statement"
)

// unknownName notes a name that leads to nothing. A snapshot does not have all that is in information_schema, which nobody adds to.
func (r *resolver) unknownName(schema, name string) {
	if n := (statement.Name{Schema: schema, Name: name}); schema != "information_schema" && !slices.Contains(r.unknown, n) {
		r.unknown = append(r.unknown, n)
	}
}

// fields notes the names in x.name, x being a relation, that are neither columns of one that the text names nor functions: columns that are
// new, or functions that are. A name without x tells nothing: it may be an alias.
func (r *resolver) fields(s *statement.Statement) {
	if len(s.Hints.Fields) == 0 {
		return
	}
	var named []*Relation
	for _, fact := range s.Relations {
		named = append(named, r.lookup(statement.Name{Schema: fact.Schema, Name: fact.Name})...)
	}
	for _, name := range s.Hints.Fields {
		has := func(relation *Relation) bool { return slices.Contains(relation.Columns, name) }
		if !isSystemColumn(name) && !r.snapshot.Builtin[name] && len(r.snapshot.Functions[name]) == 0 && !slices.ContainsFunc(named, has) {
			r.unknownName("", name)
		}
	}
}
