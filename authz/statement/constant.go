package statement

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// constant is constantOf for facts. They depend on a literal's value then: another text of this shape may have other facts.
func (w *walker) constant(n *pg.Node) (string, bool) {
	value, ok := constantOf(n)
	w.literals = w.literals || ok
	return value, ok
}

// constantOf returns the value of a literal, also under casts and a name: 'x', 'x'::text, cast('x' as regclass), 1, true. Whoever lets a
// fact depend on it uses walker.constant. What a cast cuts off makes another value of it, which is none here: 'secrets_of'::varchar(7).
func constantOf(n *pg.Node) (string, bool) {
	for {
		switch v := n.GetNode().(type) {
		case *pg.Node_TypeCast:
			if cuts(v.TypeCast.GetTypeName()) {
				return "", false
			}
			n = v.TypeCast.GetArg()
		case *pg.Node_CollateClause:
			n = v.CollateClause.GetArg()
		case *pg.Node_AConst:
			return literal(v.AConst)
		case *pg.Node_Integer:
			return strconv.Itoa(int(v.Integer.GetIval())), true
		case *pg.Node_Float:
			return v.Float.GetFval(), true
		case *pg.Node_Boolean:
			return strconv.FormatBool(v.Boolean.GetBoolval()), true
		case *pg.Node_String_:
			return v.String_.GetSval(), true
		default:
			return "", false
		}
	}
}

// cuts says whether a cast to the type may leave a part of a text: to a length, to a name or to the single byte that "char" is.
func cuts(n *pg.TypeName) bool {
	name := nameOf(n.GetNames()).Name
	return len(n.GetTypmods()) > 0 || len(n.GetArrayBounds()) > 0 || name == "name" || name == "char"
}

func literal(c *pg.A_Const) (string, bool) {
	if c.GetIsnull() {
		return "", false
	}
	switch v := c.GetVal().(type) {
	case *pg.A_Const_Ival:
		return strconv.Itoa(int(v.Ival.GetIval())), true
	case *pg.A_Const_Fval:
		return v.Fval.GetFval(), true
	case *pg.A_Const_Boolval:
		return strconv.FormatBool(v.Boolval.GetBoolval()), true
	case *pg.A_Const_Sval:
		return v.Sval.GetSval(), true
	}
	return "", false
}

// boolean reads a setting's or option's boolean as defGetBoolean does (src/backend/commands/define.c): absent means true.
func (w *walker) boolean(n *pg.Node) (value, ok bool) {
	if n.GetNode() == nil {
		return true, true
	}
	text, ok := w.constant(n)
	switch strings.ToLower(text) {
	case "true", "on", "1":
		return true, ok
	case "false", "off", "0":
		return false, ok
	}
	return false, false
}

// alwaysTrue says whether a condition is true of every row by its form: true, 1 = 1, x = x, NOT false, and AND and OR of such.
func (w *walker) alwaysTrue(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_AConst, *pg.Node_TypeCast:
		value, ok := w.constant(n)
		return ok && isTrue(value)
	case *pg.Node_AExpr:
		return w.alwaysEqual(v.AExpr)
	case *pg.Node_BoolExpr:
		return w.alwaysTrueExpr(v.BoolExpr)
	case *pg.Node_BooleanTest:
		return v.BooleanTest.GetBooltesttype() == pg.BoolTestType_IS_TRUE && w.alwaysTrue(v.BooleanTest.GetArg())
	}
	return false
}

func (w *walker) alwaysTrueExpr(n *pg.BoolExpr) bool {
	switch n.GetBoolop() {
	case pg.BoolExprType_AND_EXPR:
		for _, arg := range n.GetArgs() {
			if !w.alwaysTrue(arg) {
				return false
			}
		}
		return true
	case pg.BoolExprType_OR_EXPR:
		for _, arg := range n.GetArgs() {
			if w.alwaysTrue(arg) {
				return true
			}
		}
	case pg.BoolExprType_NOT_EXPR:
		value, ok := w.constant(n.GetArgs()[0])
		return ok && !isTrue(value)
	}
	return false
}

// alwaysEqual recognises comparisons that do not look at a row: 1 = 1, and of a column with itself.
func (w *walker) alwaysEqual(n *pg.A_Expr) bool {
	if n.GetKind() != pg.A_Expr_Kind_AEXPR_OP || n.GetLexpr() == nil {
		return false
	}
	left, ok := constantOf(n.GetLexpr())
	right, alsoOK := constantOf(n.GetRexpr())
	if ok && alsoOK { // of id = 1 the value does not matter
		w.literals = true
		return (operatorName(n) == "=") == (left == right)
	}
	return operatorName(n) == "=" && sameColumn(n.GetLexpr().GetColumnRef(), n.GetRexpr().GetColumnRef())
}

func sameColumn(a, b *pg.ColumnRef) bool {
	if a == nil || b == nil || len(a.GetFields()) != len(b.GetFields()) {
		return false
	}
	for i, field := range a.GetFields() {
		if field.GetString_().GetSval() != b.GetFields()[i].GetString_().GetSval() {
			return false
		}
	}
	return true
}

func operatorName(n *pg.A_Expr) string {
	if len(n.GetName()) == 0 {
		return ""
	}
	return n.GetName()[len(n.GetName())-1].GetString_().GetSval()
}

func isTrue(value string) bool {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "t", "true", "y", "yes", "on", "1":
		return true
	}
	return false
}
