package catalog

import (
	"cmp"
	"context"
	_ "embed" // the queries
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/authz/statement"
)

//go:embed sql/relations.sql
var relationsSQL string

//go:embed sql/columns.sql
var columnsSQL string

//go:embed sql/inheritance.sql
var inheritanceSQL string

// kinds are what pg_class.relkind says.
var kinds = map[string]Kind{
	"r": KindTable, "p": KindPartitionedTable, "v": KindView, "m": KindMaterializedView, "f": KindForeignTable, "S": KindSequence,
	"c": KindCompositeType,
}

func (r *reading) readRelations(ctx context.Context) error {
	return r.rows(ctx, query{relationsSQL, maxRelations, "relations"}, func(row *row) {
		relation := &Relation{
			OID:  row.oid(0),
			Name: statement.Name{Schema: r.intern(row.bytes(1)), Name: row.text(2)},
			Kind: cmp.Or(kinds[row.text(3)], KindOther), System: row.flag(4), Invoker: row.flag(5), Rules: row.flag(6),
		}
		r.relations[relation.OID] = relation
		r.snapshot.Relations[relation.Name] = relation
		if !relation.System && (relation.Kind == KindView || relation.Kind == KindMaterializedView) {
			r.views = append(r.views, relation)
		}
	})
}

// readColumns relies on the order of the rows: by relation, then as the columns are.
func (r *reading) readColumns(ctx context.Context) error {
	var columns []string
	var of uint32
	keep := func() {
		if relation := r.relations[of]; relation != nil {
			relation.Columns = slices.Clone(columns)
		}
		columns = columns[:0]
	}
	err := r.rows(ctx, query{columnsSQL, maxColumns, "columns"}, func(row *row) {
		if relation := row.oid(0); relation != of {
			keep()
			of = relation
		}
		columns = append(columns, r.intern(row.bytes(1)))
	})
	keep()
	return err
}

func (r *reading) readInheritance(ctx context.Context) error {
	parents := make(map[*Relation][]*Relation)
	err := r.rows(ctx, query{inheritanceSQL, maxInherits, "inheritance"}, func(row *row) {
		child, parent := r.relations[row.oid(0)], r.relations[row.oid(1)]
		if child != nil && parent != nil { // a temporary table may inherit from one that is not
			parents[child] = append(parents[child], parent)
		}
	})
	if err != nil {
		return err
	}
	return descend(parents)
}

// descend sets Ancestors and Descendants of what has parents.
func descend(parents map[*Relation][]*Relation) error {
	number := 0
	for child, direct := range parents {
		seen := make(map[*Relation]bool)
		for next := direct; len(next) > 0; {
			var above []*Relation
			for _, parent := range next {
				if !seen[parent] {
					seen[parent] = true
					child.Ancestors = append(child.Ancestors, parent)
					parent.Descendants = append(parent.Descendants, child)
					above = append(above, parents[parent]...)
				}
			}
			next = above
		}
		if number += len(child.Ancestors); number > maxDescents {
			return fmt.Errorf("read inheritance: relations have more than %d ancestors together", maxDescents)
		}
	}
	return nil
}

// settle draws what follows from what was read, and puts it in order. It comes last.
func (r *reading) settle() {
	for _, relation := range r.relations {
		slices.SortFunc(relation.Ancestors, byName)
		slices.SortFunc(relation.Descendants, byName)
		slices.SortFunc(relation.OnRead, compareFunctions)
		slices.SortFunc(relation.OnWrite, compareFunctions)
		slices.SortFunc(relation.Planned, compareFunctions)
		slices.SortFunc(relation.Coercions, compareCoercions)
		slices.SortFunc(relation.Consulted, byName)
		slices.SortFunc(relation.Cascades, func(a, b Cascade) int {
			return cmp.Or(byName(a.Relation, b.Relation), slices.Compare(a.Key, b.Key))
		})
		if relation.Kind == KindView {
			relation.OnRead = r.unnamed(relation)
		}
	}
	for _, f := range r.functions {
		slices.SortFunc(f.Coercions, compareCoercions)
	}
	for _, o := range r.operators {
		slices.SortFunc(o.Coercions, compareCoercions)
	}
	for _, t := range r.types {
		slices.SortFunc(t.Coercions, compareCoercions)
	}
	slices.SortFunc(r.snapshot.Coercions, compareCoercions)
}

func byName(a, b *Relation) int { return compareNames(a.Name, b.Name) }

func compareNames(a, b statement.Name) int {
	return cmp.Or(strings.Compare(a.Schema, b.Schema), strings.Compare(a.Name, b.Name))
}
