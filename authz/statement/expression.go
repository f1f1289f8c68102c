package statement

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// expression adds the facts of expression nodes; the walk goes on through their fields.
func (w *walker) expression(at place, message proto.Message) {
	switch n := message.(type) {
	case *pg.ColumnRef:
		w.columnRef(at, n)
	case *pg.A_Indirection:
		w.indirection(n)
	case *pg.A_Expr:
		w.operation(n)
	case *pg.A_ArrayExpr:
		w.facts.builds = true
	case *pg.SubLink:
		w.subLink(n)
	case *pg.CaseExpr:
		if n.GetArg() != nil {
			w.equality()
		}
	case *pg.JoinExpr:
		if n.GetIsNatural() || len(n.GetUsingClause()) > 0 {
			w.equality()
		}
	case *pg.SortBy:
		w.operator(n.GetUseOp())
	case *pg.TypeName:
		w.typeName(n)
	case *pg.TypeCast:
		w.cast(n)
	case *pg.CurrentOfExpr:
		w.currentOf(n)
	case *pg.RangeTableSample:
		w.calls(nameOf(n.GetMethod()))
	case *pg.RoleSpec:
		w.role(n)
	case *pg.IndexElem:
		w.element(n.GetName())
	case *pg.StatsElem:
		w.element(n.GetName())
	default:
		w.keywordFunction(message)
	}
}

// element ties the column an index or statistics element names; it has no name when it is an expression.
func (w *walker) element(column string) {
	if column != "" {
		w.scope.column(column)
	}
}

// columnRef ties a column reference to the relations it may mean (transformColumnRef in parse_expr.c).
//
// Where the row of a relation is a value, a literal beside it is taken for such a row: in "SELECT coalesce(t, '(1)') FROM t" one is built.
// A star is that everywhere but in a list of what is selected.
func (w *walker) columnRef(at place, n *pg.ColumnRef) {
	parts, star := fieldsOf(n.GetFields())
	w.facts.builds = w.facts.builds || star && at != "ResTarget.val"
	column := everyColumn
	if !star && len(parts) > 0 {
		column, parts = parts[len(parts)-1], parts[:len(parts)-1]
	}
	switch len(parts) {
	case 0:
		if star {
			w.scope.star()
		} else if w.scope.column(column) {
			w.facts.builds = true
		}
	case 1:
		w.qualifiedColumn("", parts[0], column)
	case 2, 3: // a catalog in front can only be the current one
		parts = parts[len(parts)-2:]
		w.qualifiedColumn(parts[0], parts[1], column)
	default:
		w.scope.unsure()
	}
}

// qualifiedColumn ties item.column. When the item has no such column it is the call of a function with the whole row: t.row_to_json.
// The row of a function in FROM may be a plain value: in "SELECT t.pg_sleep FROM unnest(ARRAY[1.0::float8]) t" t sleeps.
func (w *walker) qualifiedColumn(schema, name, column string) {
	if !w.scope.qualified(schema, name, column) {
		w.scope.unsure()
	}
	switch {
	case column == everyColumn:
	case w.scope.derived(schema, name):
		w.facts.word(hintCalls, column)
	default:
		w.facts.word(hintFields, column)
	}
	if callableWithRow(column) {
		w.calls(Name{Name: column})
		w.scope.qualified(schema, name, everyColumn)
	}
	if schema == "" && callableWithOne(column) && w.scope.value(name, column) {
		w.facts.word(factAttributes, column)
		w.calls(Name{Name: column})
		w.ownFunction(column, callArgs{{}})
	}
}

// fieldsOf returns the names of a reference and whether a star ends it.
func fieldsOf(fields []*pg.Node) (parts []string, star bool) {
	parts = make([]string, 0, len(fields))
	for _, field := range fields {
		if field.GetAStar() != nil {
			star = true
			continue
		}
		parts = append(parts, field.GetString_().GetSval())
	}
	return parts, star
}

// indirection records the names in (x).name: fields, or calls with x as the argument. (1).pg_sleep sleeps.
func (w *walker) indirection(n *pg.A_Indirection) {
	argument := n.GetArg()
	for _, step := range n.GetIndirection() {
		if name := step.GetString_().GetSval(); name != "" {
			w.facts.word(factAttributes, name)
			w.systemColumn(argument, name)
			if callableWithOne(name) {
				w.calls(Name{Name: name})
				w.ownFunction(name, callArgs{{value: argument}})
			}
		}
		argument = nil // the next step is applied to what this one gives
	}
}

// systemColumn ties (t).ctid and ctid(t). They mean the column that t.* does not have.
func (w *walker) systemColumn(row *pg.Node, name string) {
	parts, star := fieldsOf(row.GetColumnRef().GetFields())
	if star || len(parts) == 0 || !isSystemColumn(name) {
		return
	}
	schema := ""
	if len(parts) > 1 {
		schema = parts[len(parts)-2]
	}
	w.scope.qualified(schema, parts[len(parts)-1], name)
}

// isSystemColumn says whether every table has the column (https://www.postgresql.org/docs/current/ddl-system-columns.html).
func isSystemColumn(name string) bool {
	switch name {
	case "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid":
		return true
	}
	return false
}

// operator records an operator written with a schema, other than the one that operators without come from. Which operators those without
// mean, the catalog knows. One of PostgreSQL's own makes text of a value of any type that stands beside a text: 'a' || x is textanycat('a', x).
func (w *walker) operator(name []*pg.Node) {
	n := nameOf(name)
	if n.Name == "||" && (n.Schema == "" || n.Schema == "pg_catalog") {
		w.facts.converts = true
	}
	switch {
	case n.Schema == "" && n.Name != "":
		w.facts.word(hintOperators, n.Name)
	case n.Schema != "" && n.Schema != "pg_catalog":
		w.facts.named(factOperators, n)
	}
}

// operation records the operators of an expression. BETWEEN has words where others have an operator (transformAExprBetween in parse_expr.c).
func (w *walker) operation(n *pg.A_Expr) {
	switch n.GetKind() {
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		for _, name := range []string{"<", "<=", ">", ">="} {
			w.facts.word(hintOperators, name)
		}
	default:
		w.operator(n.GetName())
	}
}

// subLink records the operator of x IN (SELECT …), which has no name, and of x op ANY (SELECT …).
func (w *walker) subLink(n *pg.SubLink) {
	w.operator(n.GetOperName())
	w.facts.builds = w.facts.builds || n.GetSubLinkType() == pg.SubLinkType_ARRAY_SUBLINK
	if n.GetTestexpr() != nil && len(n.GetOperName()) == 0 {
		w.equality()
	}
}

// equality records the operator that CASE x WHEN, IN and JOIN USING look up by its name, without a schema.
func (w *walker) equality() { w.facts.word(hintOperators, "=") }

// typeName records a type that is neither the grammar's own (int, which it writes pg_catalog.int4) nor one of PostgreSQL's. Without
// schema such a name is looked up in pg_catalog first, unless the search path puts another schema before it: the session's is pinned.
func (w *walker) typeName(n *pg.TypeName) {
	w.facts.casts = true
	name := nameOf(n.GetNames())
	if n.GetPctType() { // table.column%TYPE, with or without schema
		w.facts.named(factTypes, name)
		return
	}
	_, own := builtinTypes()[name.Name]
	if own && (name.Schema == "" || name.Schema == "pg_catalog") || name.Name == "" {
		return
	}
	w.facts.named(factTypes, name)
}

// cast records the relation that a constant cast to regclass names: its existence is told, and its oid is what functions take.
func (w *walker) cast(n *pg.TypeCast) {
	name := nameOf(n.GetTypeName().GetNames())
	if name.Name != "regclass" || name.Schema != "" && name.Schema != "pg_catalog" {
		return
	}
	if text, ok := w.constant(n.GetArg()); ok {
		w.relationInText(text, "lookup")
	}
}

// currentOf records the cursor whose row is meant.
func (w *walker) currentOf(n *pg.CurrentOfExpr) {
	w.facts.prepares(Prepared{Action: "current_of", Name: w.name(n.GetCursorName())})
}

func (w *walker) role(n *pg.RoleSpec) {
	switch n.GetRoletype() {
	case pg.RoleSpecType_ROLESPEC_CSTRING:
		w.facts.word(factRoles, n.GetRolename())
	case pg.RoleSpecType_ROLESPEC_CURRENT_ROLE:
		w.facts.word(factRoles, "current_role")
	case pg.RoleSpecType_ROLESPEC_CURRENT_USER:
		w.facts.word(factRoles, "current_user")
	case pg.RoleSpecType_ROLESPEC_SESSION_USER:
		w.facts.word(factRoles, "session_user")
	case pg.RoleSpecType_ROLESPEC_PUBLIC:
		w.facts.word(factRoles, "public")
	}
}

// keywordFunction records what is syntax in the release the grammar is of and an ordinary, user-definable function in older ones:
// json_value(a, b) before 17. Policy sees a function either way.
func (w *walker) keywordFunction(message proto.Message) {
	name := ""
	switch n := message.(type) {
	case *pg.JsonFuncExpr:
		name = jsonFunctions[n.GetOp()]
	case *pg.JsonTable:
		name = "json_table"
	case *pg.JsonParseExpr:
		name = "json"
	case *pg.JsonScalarExpr:
		name = "json_scalar"
	case *pg.JsonSerializeExpr:
		name = "json_serialize"
	case *pg.JsonObjectConstructor:
		name = "json_object"
	case *pg.JsonArrayConstructor, *pg.JsonArrayQueryConstructor:
		name = "json_array"
	case *pg.JsonObjectAgg:
		name = "json_objectagg"
	case *pg.JsonArrayAgg:
		name = "json_arrayagg"
	case *pg.MergeSupportFunc:
		name = "merge_action"
	default:
		return
	}
	w.calls(Name{Name: name})
}

var jsonFunctions = map[pg.JsonExprOp]string{
	pg.JsonExprOp_JSON_EXISTS_OP: "json_exists",
	pg.JsonExprOp_JSON_QUERY_OP:  "json_query",
	pg.JsonExprOp_JSON_VALUE_OP:  "json_value",
	pg.JsonExprOp_JSON_TABLE_OP:  "json_table",
}

func (w *walker) calls(name Name) {
	if name.Name != "" {
		w.facts.calls(Function{Schema: name.Schema, Name: name.Name})
	}
}

// nameOf reads a list of Strings as a name. A catalog in front can only be the current one.
func nameOf(list []*pg.Node) Name {
	parts, _ := fieldsOf(list)
	switch len(parts) {
	case 0:
		return Name{}
	case 1:
		return Name{Name: parts[0]}
	}
	return Name{Schema: parts[len(parts)-2], Name: parts[len(parts)-1]}
}
