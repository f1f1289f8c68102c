package statement

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// scope is one query's names, as PostgreSQL's ParseState is: the items of its FROM clause and the CTEs its WITH clause defines.
//
// Which item PostgreSQL would take a name from depends on the catalog. A reference is therefore tied to every relation that it may mean:
// the facts may name too much, never too little.
type scope struct {
	parent *scope
	items  []*item
	ctes   map[string]columns

	// declaring is set while the FROM clause itself is walked, and for a MERGE. What stands there may not see all the items, so none of
	// them ends the search for a name.
	declaring bool
	unsureOf  int // how many items have been given up on, because there are more than maxTied
}

// maxTied is how many items of one level an unqualified name is tied to. It keeps thousands of names from being tied to thousands of
// tables; beyond it every relation of the level is treated as read in full.
const maxTied = 64

// columns are the output columns a derived table is known to have; it may have more.
type columns map[string]struct{}

// item is an entry of a FROM clause, or the target of a data change.
type item struct {
	name    string      // the name it goes by
	schema  string      // of a relation without alias
	aliased bool        // schema.name does not reach it
	rels    []*relation // whose columns are read through it: one relation, those of a join, none for a subquery, function or CTE
	renamed bool        // it has a column alias list: its column names are not the relation's
	pseudo  bool        // excluded, old, new: not part of *
	known   columns
	touched bool // a reference was tied to it
	scalar  bool // a function, or an expression in the place of one: its row may be a plain value
}

func (it *item) read(column string) {
	it.touched = true
	for _, r := range it.rels {
		if it.renamed && column != everyColumn {
			r.readUnsure()
			continue
		}
		r.read(column)
	}
}

func (w *walker) push() *scope {
	w.scope = &scope{parent: w.scope, ctes: map[string]columns{}}
	return w.scope
}

func (w *walker) pop() { w.scope = w.scope.parent }

// cte returns the CTE a name without schema means, if it means one.
func (s *scope) cte(name string) (columns, bool) {
	for ; s != nil; s = s.parent {
		if known, ok := s.ctes[name]; ok {
			return known, true
		}
	}
	return nil, false
}

// column ties an unqualified name. It is a column of some item or, when no item has such a column, the whole row of the item of that name;
// row says whether it may be one.
func (s *scope) column(name string) (row bool) {
	for ; s != nil; s = s.parent {
		if !s.declaring && s.derives(name) {
			return row
		}
		if len(s.items) > maxTied {
			s.giveUp()
			row = true
			continue
		}
		for _, it := range s.items {
			if !it.pseudo {
				it.read(name)
			}
			if it.name == name {
				it.read(everyColumn)
				row = true
			}
		}
	}
	return row
}

// giveUp treats every relation of a level as read in full.
func (s *scope) giveUp() {
	for _, it := range s.items[s.unsureOf:] {
		it.touched = true
		for _, r := range it.rels {
			r.readUnsure()
		}
	}
	s.unsureOf = len(s.items)
}

// derives says whether a subquery, function or CTE of this very level has the column: if a relation beside it had it too, PostgreSQL
// would call the name ambiguous.
func (s *scope) derives(name string) bool {
	for _, it := range s.items {
		if _, ok := it.known[name]; ok {
			return true
		}
	}
	return false
}

// qualified ties item.column, with schema "" when it was not written. It reports whether any item goes by that name.
func (s *scope) qualified(schema, name, column string) bool {
	found := false
	for ; s != nil; s = s.parent {
		for _, it := range s.items {
			if it.name != name || schema != "" && (it.aliased || it.schema != "" && it.schema != schema) {
				continue
			}
			found = true
			it.read(column)
		}
	}
	return found
}

// derived says whether an item of the name shows other columns than one relation's own: a subquery, function, CTE, join, or a list of
// column aliases. In x.name of such an x, name may be the function name(x).
func (s *scope) derived(schema, name string) bool {
	for ; s != nil; s = s.parent {
		for _, it := range s.items {
			if (it.name == name || it.name == "") && (schema == "" || !it.aliased) && (len(it.rels) != 1 || it.renamed) {
				return true
			}
		}
	}
	return false
}

// value says whether name may be a plain value that has no such column: what a function in a FROM clause gives (makeWholeRowVar in
// makefuncs.c). One without alias has a name that is not known here, so it may be any.
func (s *scope) value(name, column string) bool {
	for ; s != nil; s = s.parent {
		for _, it := range s.items {
			_, known := it.known[column]
			if it.scalar && !known && (it.name == name || it.name == "") {
				return true
			}
		}
	}
	return false
}

// star ties the * of a target list.
func (s *scope) star() {
	if s == nil {
		return
	}
	for _, it := range s.items {
		if !it.pseudo {
			it.read(everyColumn)
		}
	}
}

// unsure gives up on a reference: it may be any column of anything in sight.
func (s *scope) unsure() {
	for ; s != nil; s = s.parent {
		for _, it := range s.items {
			it.touched = true
			for _, r := range it.rels {
				r.readUnsure()
			}
		}
	}
}

// declare enters a FROM clause's entry, and what is joined in it, into the current scope. It returns the relations in it.
func (w *walker) declare(node *pg.Node) []*relation {
	switch n := node.GetNode().(type) {
	case *pg.Node_RangeVar:
		return w.declareRelation(n.RangeVar)
	case *pg.Node_JoinExpr:
		return w.declareJoin(n.JoinExpr)
	case *pg.Node_RangeTableSample:
		return w.declare(n.RangeTableSample.GetRelation())
	case *pg.Node_RangeSubselect:
		known := aliasColumns(n.RangeSubselect.GetAlias())
		if len(known) == 0 {
			known = outputColumns(n.RangeSubselect.GetSubquery().GetSelectStmt())
		}
		w.declareDerived(n.RangeSubselect.GetAlias(), known)
	case *pg.Node_RangeFunction:
		known := aliasColumns(n.RangeFunction.GetAlias())
		for _, definition := range n.RangeFunction.GetColdeflist() {
			known.add(definition.GetColumnDef().GetColname())
		}
		w.declareDerived(n.RangeFunction.GetAlias(), known).scalar = true
	case *pg.Node_RangeTableFunc:
		w.declareDerived(n.RangeTableFunc.GetAlias(), aliasColumns(n.RangeTableFunc.GetAlias()))
	case *pg.Node_JsonTable:
		w.declareDerived(n.JsonTable.GetAlias(), aliasColumns(n.JsonTable.GetAlias()))
	default:
		w.incomplete("FROM entry %T", node.GetNode())
	}
	return nil
}

func (w *walker) declareDerived(alias *pg.Alias, known columns) *item {
	it := &item{name: alias.GetAliasname(), aliased: true, known: known}
	w.scope.items = append(w.scope.items, it)
	return it
}

func (w *walker) declareRelation(n *pg.RangeVar) []*relation {
	if n.GetSchemaname() == "" {
		if known, ok := w.scope.cte(n.GetRelname()); ok {
			w.declareCTE(n, known)
			return nil
		}
	}
	r := w.rangeVar(n, "select")
	w.scope.items = append(w.scope.items, itemOf(n, r))
	return []*relation{r}
}

func (w *walker) declareCTE(n *pg.RangeVar, known columns) {
	name := n.GetRelname()
	if n.GetAlias() != nil {
		name = n.GetAlias().GetAliasname()
		if len(n.GetAlias().GetColnames()) > 0 {
			known = aliasColumns(n.GetAlias())
		}
	}
	w.scope.items = append(w.scope.items, &item{name: name, aliased: true, known: known})
}

// itemOf is the item of a relation that stands in a FROM clause or is a target.
func itemOf(n *pg.RangeVar, r *relation) *item {
	it := &item{name: n.GetRelname(), schema: n.GetSchemaname(), rels: []*relation{r}}
	if alias := n.GetAlias(); alias != nil {
		it.name, it.aliased, it.renamed = alias.GetAliasname(), true, len(alias.GetColnames()) > 0
	}
	return it
}

// declareJoin enters both sides of a join and, when the join has an alias, the join. The columns of USING are read on both sides; those of
// NATURAL are not known.
func (w *walker) declareJoin(n *pg.JoinExpr) []*relation {
	before := len(w.scope.items)
	rels := append(w.declare(n.GetLarg()), w.declare(n.GetRarg())...)
	sides := w.scope.items[before:]
	for _, it := range sides {
		for _, column := range n.GetUsingClause() {
			it.read(column.GetString_().GetSval())
		}
		if n.GetIsNatural() {
			for _, r := range it.rels {
				r.readUnsure()
			}
		}
	}
	if len(n.GetAlias().GetColnames()) > 0 {
		for _, it := range sides {
			it.known = nil // the list hides these names
		}
	}
	for _, alias := range []*pg.Alias{n.GetAlias(), n.GetJoinUsingAlias()} {
		if alias != nil {
			w.scope.items = append(w.scope.items, joinItem(alias, rels, sides))
		}
	}
	return rels
}

// joinItem is the item of a join's alias. Without a column list it adds only a name: the columns are found through the sides. It shows
// the names that a side's own list gives.
func joinItem(alias *pg.Alias, rels []*relation, sides []*item) *item {
	listed := len(alias.GetColnames()) > 0
	renamed := listed || slices.ContainsFunc(sides, func(it *item) bool { return it.renamed })
	return &item{name: alias.GetAliasname(), aliased: true, rels: rels, renamed: renamed, pseudo: !listed}
}

func (c columns) add(name string) {
	if name != "" {
		c[name] = struct{}{}
	}
}

// aliasColumns are the columns of an alias's own list.
func aliasColumns(alias *pg.Alias) columns {
	known := columns{}
	for _, name := range alias.GetColnames() {
		known.add(name.GetString_().GetSval())
	}
	return known
}

// outputColumns are the columns of a query that are named in it: AS, or a bare column. The leftmost arm of a set operation names them.
func outputColumns(n *pg.SelectStmt) columns {
	for n.GetLarg() != nil {
		n = n.GetLarg()
	}
	known := columns{}
	for _, target := range n.GetTargetList() {
		known.add(outputName(target.GetResTarget()))
	}
	return known
}

// outputName is the name of a target list's entry where the grammar alone gives it (FigureColname in parse_target.c); "" otherwise.
func outputName(target *pg.ResTarget) string {
	if target.GetName() != "" {
		return target.GetName()
	}
	fields := target.GetVal().GetColumnRef().GetFields()
	if len(fields) == 0 {
		return ""
	}
	return fields[len(fields)-1].GetString_().GetSval()
}
