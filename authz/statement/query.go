package statement

import pg "github.com/pganalyze/pg_query_go/v6"

// selectStatement walks a SELECT, VALUES, TABLE or a set operation.
func (w *walker) selectStatement(n *pg.SelectStmt) {
	w.push()
	defer w.pop()
	w.visit("SelectStmt.with_clause", n.GetWithClause())
	w.from("SelectStmt.from_clause", n.GetFromClause())
	for _, clause := range n.GetLockingClause() {
		w.lock(clause.GetLockingClause(), n.GetFromClause())
	}
	for _, key := range n.GetSortClause() {
		if !namesOutput(key.GetSortBy().GetNode(), n) {
			w.node("SelectStmt.sort_clause", key)
		}
	}
	w.fields(n, "with_clause", "from_clause", "sort_clause")
}

// namesOutput says whether a sort key is an output column by name: ORDER BY looks there first (findTargetlistEntrySQL92 in
// parse_clause.c), and after a set operation nowhere else.
func namesOutput(key *pg.Node, n *pg.SelectStmt) bool {
	fields := key.GetColumnRef().GetFields()
	if len(fields) != 1 || fields[0].GetString_() == nil {
		return false
	}
	if n.GetOp() != pg.SetOperation_SETOP_NONE {
		return true
	}
	for _, target := range n.GetTargetList() {
		if target.GetResTarget().GetName() == fields[0].GetString_().GetSval() {
			return true
		}
	}
	return false
}

// with walks a WITH clause in the current scope, which has no items yet: CTEs do not see the query's own FROM clause.
//
// A name is visible to the CTEs after it, in WITH RECURSIVE to all of them: in "WITH t AS (SELECT * FROM t)" the inner t is a table.
func (w *walker) with(n *pg.WithClause) {
	if n.GetRecursive() {
		for _, cte := range n.GetCtes() {
			w.defineCTE(cte.GetCommonTableExpr())
		}
	}
	for _, cte := range n.GetCtes() {
		w.node("WithClause.ctes", cte)
		w.defineCTE(cte.GetCommonTableExpr())
	}
}

func (w *walker) defineCTE(n *pg.CommonTableExpr) {
	known := columns{}
	for _, name := range n.GetAliascolnames() {
		known.add(name.GetString_().GetSval())
	}
	if len(known) == 0 {
		known = outputColumns(n.GetCtequery().GetSelectStmt())
	}
	w.scope.ctes[n.GetCtename()] = known
}

// from declares the entries of a FROM clause and then walks them.
func (w *walker) from(at place, list []*pg.Node) {
	for _, n := range list {
		w.declare(n)
	}
	w.scope.declaring = true
	w.nodes(at, list)
	w.scope.declaring = false
}

// lock marks the relations that FOR UPDATE and its kin lock: those it names by alias, or all of the FROM clause, also inside subqueries
// (transformLockingClause in analyze.c).
func (w *walker) lock(n *pg.LockingClause, from []*pg.Node) {
	named := map[string]bool{}
	for _, rel := range n.GetLockedRels() {
		named[rel.GetRangeVar().GetRelname()] = true
	}
	for _, entry := range from {
		w.lockEntry(entry, named)
	}
}

// lockEntry marks what is in a FROM entry when its alias is named, or none is. A join's alias does not stand for its sides.
func (w *walker) lockEntry(entry *pg.Node, named map[string]bool) {
	all := len(named) == 0
	switch n := entry.GetNode().(type) {
	case *pg.Node_RangeVar:
		_, isCTE := w.scope.cte(n.RangeVar.GetRelname())
		if n.RangeVar.GetSchemaname() == "" && isCTE {
			return
		}
		if all || named[itemOf(n.RangeVar, nil).name] {
			w.rangeVar(n.RangeVar, "lock")
		}
	case *pg.Node_JoinExpr:
		w.lockEntry(n.JoinExpr.GetLarg(), named)
		w.lockEntry(n.JoinExpr.GetRarg(), named)
	case *pg.Node_RangeTableSample:
		w.lockEntry(n.RangeTableSample.GetRelation(), named)
	case *pg.Node_RangeSubselect:
		if all || named[n.RangeSubselect.GetAlias().GetAliasname()] {
			w.lockQuery(n.RangeSubselect.GetSubquery().GetSelectStmt())
		}
	}
}

func (w *walker) lockQuery(n *pg.SelectStmt) {
	if n == nil {
		return
	}
	w.lockQuery(n.GetLarg())
	w.lockQuery(n.GetRarg())
	for _, entry := range n.GetFromClause() {
		w.lockEntry(entry, nil)
	}
}

// rangeVar records a relation where it is named.
func (w *walker) rangeVar(n *pg.RangeVar, access ...string) *relation {
	r := w.facts.relation(n.GetSchemaname(), n.GetRelname(), access...)
	if n.GetRelpersistence() == "t" {
		r.temporary = true
	}
	return r
}

// rangeVarAt records a relation by the place it is named in. In a FROM clause the name may be a CTE's.
func (w *walker) rangeVarAt(at place, n *pg.RangeVar) {
	if n.GetRelpersistence() != "p" && n.GetRelpersistence() != "t" && n.GetRelpersistence() != "u" {
		w.incomplete("unknown persistence of a relation")
	}
	if fromPlaces[at] {
		if _, ok := w.scope.cte(n.GetRelname()); !ok || n.GetSchemaname() != "" {
			w.rangeVar(n, "select")
		}
		return
	}
	access, ok := accessAt[at]
	if !ok {
		w.incomplete("relation at %s", at)
		access = "unknown"
	}
	if access != notARelation {
		w.rangeVar(n, access)
	}
}

// fromPlaces are the places where a relation is read and a CTE's name comes first.
var fromPlaces = map[place]bool{
	"SelectStmt.from_clause":    true,
	"JoinExpr.larg":             true,
	"JoinExpr.rarg":             true,
	"RangeTableSample.relation": true,
	"DeleteStmt.using_clause":   true,
	"UpdateStmt.from_clause":    true,
	"MergeStmt.source_relation": true,
}
