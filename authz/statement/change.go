package statement

import pg "github.com/pganalyze/pg_query_go/v6"

// target records the relation a data change is aimed at and enters it into the scope. A target is never a CTE, whatever its name.
func (w *walker) target(n *pg.RangeVar, access ...string) (*item, *relation) {
	r := w.rangeVar(n, access...)
	it := itemOf(n, r)
	w.scope.items = append(w.scope.items, it)
	return it, r
}

// rows adds names for rows of the target: excluded in ON CONFLICT; old and new in RETURNING, which PostgreSQL 18 knows and the grammar
// here takes for aliases.
func (w *walker) rows(r *relation, names ...string) {
	for _, name := range names {
		w.scope.items = append(w.scope.items, &item{name: name, aliased: true, pseudo: true, rels: []*relation{r}})
	}
}

// insert walks an INSERT. Its source does not see the target.
func (w *walker) insert(n *pg.InsertStmt) {
	w.push()
	defer w.pop()
	w.visit("InsertStmt.with_clause", n.GetWithClause())
	w.node("InsertStmt.select_stmt", n.GetSelectStmt())

	_, r := w.target(n.GetRelation(), "insert")
	w.assigned(r, n.GetCols())
	if len(n.GetCols()) == 0 {
		r.write(everyColumn)
	}
	w.onConflict(r, n.GetOnConflictClause())
	w.rows(r, "old", "new")
	w.fields(n, "with_clause", "select_stmt", "relation", "on_conflict_clause")
}

// onConflict walks ON CONFLICT. DO UPDATE reads the row that is there; DO NOTHING tells whether there is one, which takes the right to
// read the columns it names, or the constraint that it names has.
func (w *walker) onConflict(r *relation, n *pg.OnConflictClause) {
	if n == nil {
		return
	}
	w.rows(r, "excluded")
	if n.GetInfer().GetConname() != "" {
		r.readUnsure() // the columns of a constraint, which the text does not name
	}
	if n.GetAction() == pg.OnConflictAction_ONCONFLICT_UPDATE {
		r.accessed("select")
		r.accessed("update")
		w.assigned(r, n.GetTargetList())
	}
	w.visit("InsertStmt.on_conflict_clause", n)
}

// assigned records the columns a list of assignments or an INSERT's column list names.
func (w *walker) assigned(r *relation, list []*pg.Node) {
	for _, n := range list {
		if target := n.GetResTarget(); target != nil {
			r.write(target.GetName())
		}
	}
}

func (w *walker) update(n *pg.UpdateStmt) {
	w.push()
	defer w.pop()
	w.visit("UpdateStmt.with_clause", n.GetWithClause())
	it, r := w.target(n.GetRelation(), "update")
	w.assigned(r, n.GetTargetList())
	w.from("UpdateStmt.from_clause", n.GetFromClause())
	w.where(it, n.GetRelation(), "UpdateStmt.where_clause", n.GetWhereClause())
	w.nodes("UpdateStmt.target_list", n.GetTargetList())
	w.rows(r, "old", "new")
	w.fields(n, "with_clause", "relation", "from_clause", "where_clause", "target_list")
	w.writesSettings(n.GetRelation())
}

func (w *walker) delete(n *pg.DeleteStmt) {
	w.push()
	defer w.pop()
	w.visit("DeleteStmt.with_clause", n.GetWithClause())
	it, r := w.target(n.GetRelation(), "delete")
	w.from("DeleteStmt.using_clause", n.GetUsingClause())
	w.where(it, n.GetRelation(), "DeleteStmt.where_clause", n.GetWhereClause())
	w.rows(r, "old", "new")
	w.fields(n, "with_clause", "relation", "using_clause", "where_clause")
}

// merge walks a MERGE. Whatever it does, it reads the target to find its rows. Each WHEN sees the target, the source or both, so none of
// them ends the search for a name.
func (w *walker) merge(n *pg.MergeStmt) {
	w.push()
	defer w.pop()
	w.visit("MergeStmt.with_clause", n.GetWithClause())
	it, r := w.target(n.GetRelation(), "select")
	w.from("MergeStmt.source_relation", []*pg.Node{n.GetSourceRelation()})
	w.scope.declaring = true
	w.node("MergeStmt.join_condition", n.GetJoinCondition())
	joined := it.touched && !w.alwaysTrue(n.GetJoinCondition())
	for _, clause := range n.GetMergeWhenClauses() {
		w.mergeWhen(r, n.GetRelation(), clause.GetMergeWhenClause(), joined)
	}
	w.rows(r, "old", "new")
	w.fields(n, "with_clause", "relation", "source_relation", "join_condition")
	w.writesSettings(n.GetRelation())
}

func (w *walker) mergeWhen(r *relation, target *pg.RangeVar, n *pg.MergeWhenClause, joined bool) {
	unfiltered := !joined && n.GetCondition() == nil
	switch n.GetCommandType() {
	case pg.CmdType_CMD_INSERT:
		r.accessed("insert")
		if len(n.GetTargetList()) == 0 {
			r.write(everyColumn)
		}
		unfiltered = false
	case pg.CmdType_CMD_UPDATE:
		r.accessed("update")
	case pg.CmdType_CMD_DELETE:
		r.accessed("delete")
	case pg.CmdType_CMD_NOTHING:
		unfiltered = false
	default:
		w.incomplete("MERGE action %s", n.GetCommandType())
	}
	w.assigned(r, n.GetTargetList())
	if unfiltered {
		w.unfiltered(target)
	}
}

// where walks the WHERE of an UPDATE or DELETE and records the target as unfiltered when it is missing, is always true, or says nothing
// about a row of the target. That finds slips; a WHERE that is true of every row in some other way is not seen.
func (w *walker) where(it *item, target *pg.RangeVar, at place, condition *pg.Node) {
	it.touched = false
	w.node(at, condition)
	if condition.GetCurrentOfExpr() != nil {
		return
	}
	if condition == nil || !it.touched || w.alwaysTrue(condition) {
		w.unfiltered(target)
	}
}

func (w *walker) unfiltered(target *pg.RangeVar) {
	w.facts.named(factUnfiltered, Name{Schema: target.GetSchemaname(), Name: target.GetRelname()})
}

// writesSettings records that an UPDATE of pg_settings sets settings: a rule makes it call set_config.
func (w *walker) writesSettings(target *pg.RangeVar) {
	if target.GetRelname() == "pg_settings" && (target.GetSchemaname() == "" || target.GetSchemaname() == "pg_catalog") {
		w.facts.setting(Setting{Name: everySetting, Action: "set"})
	}
}
