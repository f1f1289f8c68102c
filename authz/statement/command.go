package statement

import (
	"reflect"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// command records the command tag of a statement wherever it stands. A SELECT counts where it is run for itself, not where it is an
// expression, a FROM entry or the source of an INSERT.
func (w *walker) command(at place, t *messageType, message proto.Message) {
	if n, ok := message.(*pg.SelectStmt); ok {
		if !selectPlaces[at] {
			return
		}
		if selectsInto(n) {
			w.facts.runs("SELECT INTO")
		}
	}
	if tag := t.commandTag(message); tag != "" && !partPlaces[at] {
		w.facts.runs(tag)
	}
}

// partPlaces are where the grammar uses a statement for a part of another.
var partPlaces = map[place]bool{
	"CreateForeignTableStmt.base_stmt":  true,
	"AlterDefaultPrivilegesStmt.action": true,
	"AlterRoleSetStmt.setstmt":          true,
	"AlterDatabaseSetStmt.setstmt":      true,
	"AlterSystemStmt.setstmt":           true,
	"DefElem.arg":                       true, // the SET clause of a function
}

var selectPlaces = map[place]bool{
	"RawStmt.stmt":                true,
	"CommonTableExpr.ctequery":    true,
	"ExplainStmt.query":           true,
	"CopyStmt.query":              true,
	"PrepareStmt.query":           true,
	"DeclareCursorStmt.query":     true,
	"CreateTableAsStmt.query":     true,
	"ViewStmt.query":              true,
	"RuleStmt.actions":            true,
	"CreateFunctionStmt.sql_body": true,
	"List.items":                  true, // the statements of BEGIN ATOMIC
}

// outerCommand is the command a statement is: SELECT INTO is one of its own.
func outerCommand(n *pg.Node) string {
	if selectsInto(n.GetSelectStmt()) {
		return "SELECT INTO"
	}
	message := inner(n)
	if message == nil {
		return ""
	}
	return typeOf(message).commandTag(message)
}

// selectsInto says whether a query makes a table. In UNION and its kin the first SELECT says so.
func selectsInto(n *pg.SelectStmt) bool {
	for n.GetLarg() != nil {
		n = n.GetLarg()
	}
	return n.GetIntoClause() != nil
}

// inner is the message in a Node; nil when there is none.
func inner(n *pg.Node) proto.Message {
	if n.GetNode() == nil {
		return nil
	}
	m, _ := reflect.ValueOf(n.GetNode()).Elem().Field(0).Interface().(proto.Message) // a Node holds nothing else
	return m
}

// class sorts a statement. What only carries another one is of that one's class.
func class(n *pg.Node, commands []string) Class {
	switch s := inner(n).(type) {
	case *pg.SelectStmt:
		switch {
		case selectsInto(s):
			return ClassDefinition
		case slices.ContainsFunc(commands, isWrite):
			return ClassWrite
		}
		return ClassQuery
	case *pg.InsertStmt, *pg.UpdateStmt, *pg.DeleteStmt, *pg.MergeStmt, *pg.TruncateStmt:
		return ClassWrite
	case *pg.ExplainStmt:
		return class(s.GetQuery(), commands)
	case *pg.TransactionStmt, *pg.ConstraintsSetStmt:
		return ClassTransaction
	case *pg.VariableSetStmt:
		if s.GetKind() == pg.VariableSetKind_VAR_SET_MULTI && s.GetName() != "SESSION CHARACTERISTICS" {
			return ClassTransaction
		}
		return ClassSession
	case *pg.VariableShowStmt, *pg.DiscardStmt, *pg.ListenStmt, *pg.UnlistenStmt, *pg.NotifyStmt, *pg.PrepareStmt, *pg.ExecuteStmt,
		*pg.DeallocateStmt, *pg.DeclareCursorStmt, *pg.FetchStmt, *pg.ClosePortalStmt:
		return ClassSession
	case *pg.CopyStmt:
		return ClassCopy
	case *pg.VacuumStmt, *pg.LockStmt, *pg.DoStmt, *pg.CallStmt, *pg.CheckPointStmt, *pg.LoadStmt, *pg.ReindexStmt, *pg.ClusterStmt:
		return ClassUtility
	}
	return ClassDefinition
}

func isWrite(command string) bool {
	return slices.Contains([]string{"INSERT", "UPDATE", "DELETE", "MERGE"}, command)
}

// transactionTags are the command tags of TransactionStmt. ROLLBACK TO completes with the tag ROLLBACK, but is another thing.
var transactionTags = map[pg.TransactionStmtKind]string{
	pg.TransactionStmtKind_TRANS_STMT_BEGIN:             "BEGIN",
	pg.TransactionStmtKind_TRANS_STMT_START:             "START TRANSACTION",
	pg.TransactionStmtKind_TRANS_STMT_COMMIT:            "COMMIT",
	pg.TransactionStmtKind_TRANS_STMT_ROLLBACK:          "ROLLBACK",
	pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT:         "SAVEPOINT",
	pg.TransactionStmtKind_TRANS_STMT_RELEASE:           "RELEASE",
	pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:       "ROLLBACK TO",
	pg.TransactionStmtKind_TRANS_STMT_PREPARE:           "PREPARE TRANSACTION",
	pg.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED:   "COMMIT PREPARED",
	pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_PREPARED: "ROLLBACK PREPARED",
}

// commandTag is PostgreSQL's command tag of a statement (CreateCommandTag in utility.c); "" for what is no statement.
func (t *messageType) commandTag(message proto.Message) string {
	if t.tag != "" {
		return t.tag
	}
	switch n := message.(type) {
	case *pg.TransactionStmt:
		return transactionTags[n.GetKind()]
	case *pg.VariableSetStmt:
		if n.GetKind() == pg.VariableSetKind_VAR_RESET || n.GetKind() == pg.VariableSetKind_VAR_RESET_ALL {
			return "RESET"
		}
		if class(&pg.Node{Node: &pg.Node_VariableSetStmt{VariableSetStmt: n}}, nil) == ClassTransaction {
			return "SET TRANSACTION"
		}
		return "SET"
	case *pg.DiscardStmt:
		return strings.ReplaceAll(n.GetTarget().String(), "_", " ")
	case *pg.FetchStmt:
		return either(n.GetIsmove(), "MOVE", "FETCH")
	case *pg.VacuumStmt:
		return either(n.GetIsVacuumcmd(), "VACUUM", "ANALYZE")
	case *pg.GrantStmt:
		return either(n.GetIsGrant(), "GRANT", "REVOKE")
	case *pg.GrantRoleStmt:
		return either(n.GetIsGrant(), "GRANT ROLE", "REVOKE ROLE")
	case *pg.CreateFunctionStmt:
		return either(n.GetIsProcedure(), "CREATE PROCEDURE", "CREATE FUNCTION")
	}
	return objectTag(message)
}

// objectTag is the tag of commands that name the kind of object they act on.
func objectTag(message proto.Message) string {
	switch n := message.(type) {
	case *pg.CreateTableAsStmt:
		if n.GetObjtype() == pg.ObjectType_OBJECT_MATVIEW {
			return "CREATE MATERIALIZED VIEW"
		}
		return either(n.GetIsSelectInto(), "SELECT INTO", "CREATE TABLE AS")
	case *pg.DropStmt:
		return objectCommand("DROP", n.GetRemoveType())
	case *pg.RenameStmt:
		return objectCommand("ALTER", either(n.GetRelation() != nil && n.GetRenameType() == pg.ObjectType_OBJECT_COLUMN, n.GetRelationType(), n.GetRenameType()))
	case *pg.AlterTableStmt:
		return objectCommand("ALTER", n.GetObjtype())
	case *pg.AlterObjectSchemaStmt:
		return objectCommand("ALTER", n.GetObjectType())
	case *pg.AlterObjectDependsStmt:
		return objectCommand("ALTER", n.GetObjectType())
	case *pg.AlterOwnerStmt:
		return objectCommand("ALTER", n.GetObjectType())
	case *pg.AlterFunctionStmt:
		return objectCommand("ALTER", n.GetObjtype())
	case *pg.DefineStmt:
		return objectCommand("CREATE", n.GetKind())
	}
	return ""
}

func either[T any](condition bool, yes, no T) T {
	if condition {
		return yes
	}
	return no
}
