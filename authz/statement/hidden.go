package statement

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// hidden records what a command does that its text does not show: code in a string, or relations it does not name.
func (w *walker) hidden(m proto.Message) {
	switch n := m.(type) {
	case *pg.DoStmt:
		w.facts.word(factOpaque, "DO")
	case *pg.CallStmt:
		w.facts.word(factOpaque, "CALL")
	case *pg.LoadStmt:
		w.facts.word(factOpaque, "LOAD")
	case *pg.CreateFunctionStmt:
		w.hiddenIf(n.GetSqlBody() == nil, "FUNCTION BODY")
	case *pg.CreateExtensionStmt, *pg.AlterExtensionStmt:
		w.facts.word(factOpaque, "EXTENSION")
	case *pg.ImportForeignSchemaStmt:
		w.facts.word(factOpaque, "IMPORT FOREIGN SCHEMA")
	case *pg.CreateSubscriptionStmt, *pg.AlterSubscriptionStmt:
		w.facts.word(factOpaque, "SUBSCRIPTION")
	case *pg.TruncateStmt:
		w.hiddenIf(n.GetBehavior() == pg.DropBehavior_DROP_CASCADE, "CASCADE")
	case *pg.DropOwnedStmt, *pg.ReassignOwnedStmt, *pg.AlterTableMoveAllStmt, *pg.DropdbStmt, *pg.AlterDefaultPrivilegesStmt:
		w.facts.word(factOpaque, everyRelation)
	default:
		w.everyRelation(m)
	}
}

// everyRelation is in Opaque when a command works on relations that it does not name.
const everyRelation = "UNNAMED RELATIONS"

func (w *walker) everyRelation(m proto.Message) {
	switch n := m.(type) {
	case *pg.VacuumStmt:
		w.hiddenIf(len(n.GetRels()) == 0, everyRelation)
	case *pg.VacuumRelation:
		r := w.rangeVar(n.GetRelation(), "maintain")
		for _, column := range n.GetVaCols() {
			r.columns[column.GetString_().GetSval()] = struct{}{}
		}
	case *pg.ClusterStmt:
		w.hiddenIf(n.GetRelation() == nil, everyRelation)
	case *pg.ReindexStmt:
		w.hiddenIf(n.GetRelation() == nil, everyRelation)
	case *pg.GrantStmt:
		w.hiddenIf(n.GetTargtype() != pg.GrantTargetType_ACL_TARGET_OBJECT, everyRelation)
		w.granted(n)
	case *pg.CreatePublicationStmt:
		w.hiddenIf(n.GetForAllTables(), everyRelation)
	case *pg.AlterPublicationStmt:
		w.hiddenIf(n.GetForAllTables(), everyRelation)
	case *pg.PublicationObjSpec:
		w.hiddenIf(n.GetPubtable() == nil, everyRelation)
	}
}

func (w *walker) hiddenIf(is bool, what string) {
	if is {
		w.facts.word(factOpaque, what)
	}
}

// granted records the columns of GRANT privilege (columns) ON relation.
func (w *walker) granted(n *pg.GrantStmt) {
	for _, object := range n.GetObjects() {
		if object.GetRangeVar() == nil {
			continue
		}
		r := w.rangeVar(object.GetRangeVar(), "grant")
		for _, privilege := range n.GetPrivileges() {
			for _, column := range privilege.GetAccessPriv().GetCols() {
				r.columns[column.GetString_().GetSval()] = struct{}{}
			}
		}
	}
}
