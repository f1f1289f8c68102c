package statement

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// handle gives a message to its handler. It reports whether the handler has walked the fields; if not, the walk goes on through them.
func (w *walker) handle(at place, message proto.Message) bool {
	switch n := message.(type) {
	case *pg.SelectStmt:
		w.selectStatement(n)
	case *pg.InsertStmt:
		w.insert(n)
	case *pg.UpdateStmt:
		w.update(n)
	case *pg.DeleteStmt:
		w.delete(n)
	case *pg.MergeStmt:
		w.merge(n)
	case *pg.WithClause:
		w.with(n)
	case *pg.FuncCall:
		w.call(n)
		return false
	case *pg.RangeVar:
		w.rangeVarAt(at, n)
		return false
	case *pg.CopyStmt:
		w.copyStatement(n)
	case *pg.ExplainStmt:
		w.explainStatement(n)
	default:
		w.expression(at, message)
		w.sessionStatement(message)
		return w.definition(message)
	}
	return true
}
