package statement

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// notARelation marks places where the grammar uses a RangeVar for another name.
const notARelation = ""

// accessAt is what a statement does with a relation named at a place, outside FROM clauses. A place that is missing makes the sheet
// incomplete.
var accessAt = map[place]string{
	"CopyStmt.relation":                  "select", // walked by its handler, as are the targets below
	"InsertStmt.relation":                "insert",
	"UpdateStmt.relation":                "update",
	"DeleteStmt.relation":                "delete",
	"MergeStmt.relation":                 "select",
	"LockingClause.locked_rels":          notARelation, // aliases
	"ConstraintsSetStmt.constraints":     notARelation, // constraints
	"IntoClause.rel":                     "create",
	"LockStmt.relations":                 "lock",
	"TruncateStmt.relations":             "truncate",
	"VacuumRelation.relation":            "maintain",
	"ClusterStmt.relation":               "maintain",
	"ReindexStmt.relation":               "maintain", // a table or an index
	"RefreshMatViewStmt.relation":        "refresh",
	"CreateStmt.relation":                "create",
	"CreateStmt.inh_relations":           "alter",  // the parents, or the partitioned table
	"TableLikeClause.relation":           "select", // the right PostgreSQL asks for
	"Constraint.pktable":                 "references",
	"ColumnDef.identity_sequence":        "create",
	"ViewStmt.view":                      "create",
	"CreateSeqStmt.sequence":             "create",
	"AlterSeqStmt.sequence":              "alter",
	"CompositeTypeStmt.typevar":          "create",
	"IndexStmt.relation":                 "alter",
	"CreateStatsStmt.relations":          "alter",
	"AlterTableStmt.relation":            "alter",
	"AlterTableCmd.def":                  "alter", // INHERIT, NO INHERIT
	"PartitionCmd.name":                  "alter",
	"RenameStmt.relation":                "alter",
	"AlterObjectSchemaStmt.relation":     "alter",
	"AlterObjectDependsStmt.relation":    "alter",
	"AlterOwnerStmt.relation":            "alter",
	"CreateTrigStmt.relation":            "alter",
	"CreateTrigStmt.constrrel":           "references",
	"RuleStmt.relation":                  "alter",
	"CreatePolicyStmt.table":             "alter",
	"AlterPolicyStmt.table":              "alter",
	"GrantStmt.objects":                  "grant",
	"PublicationTable.relation":          "publish",
	"ImportForeignSchemaStmt.table_list": notARelation, // names on the other side
	"AlterExtensionContentsStmt.object":  "alter",
}

// definition adds the facts of commands that define, maintain or name objects. It reports whether it has walked the fields.
func (w *walker) definition(m proto.Message) bool {
	switch n := m.(type) {
	case *pg.CreateSchemaStmt:
		w.createSchema(n)
		return true
	case *pg.IndexStmt:
		return w.about(m, n.GetRelation())
	case *pg.AlterTableStmt:
		return w.about(m, n.GetRelation())
	case *pg.CreatePolicyStmt:
		return w.about(m, n.GetTable())
	case *pg.AlterPolicyStmt:
		return w.about(m, n.GetTable())
	case *pg.CreateTrigStmt:
		w.calls(nameOf(n.GetFuncname()))
		return w.about(m, n.GetRelation())
	case *pg.RuleStmt:
		return w.about(m, n.GetRelation())
	case *pg.PublicationTable:
		return w.about(m, n.GetRelation())
	case *pg.CreateStatsStmt:
		w.push()
		defer w.pop()
		w.from("SelectStmt.from_clause", n.GetRelations())
		w.fields(m)
		return true
	default:
		w.object(m)
		w.hidden(m)
		return false
	}
}

// about walks a command on one relation, whose columns its expressions read: old and new are its rows in rules and triggers.
func (w *walker) about(m proto.Message, n *pg.RangeVar) bool {
	w.push()
	defer w.pop()
	if n != nil {
		r := w.rangeVar(n)
		w.scope.items = append(w.scope.items, itemOf(n, r))
		w.rows(r, "old", "new")
	}
	w.fields(m)
	return true
}

// createSchema walks CREATE SCHEMA. What it creates without saying where is in the new schema.
func (w *walker) createSchema(n *pg.CreateSchemaStmt) {
	schema := n.GetSchemaname()
	if schema == "" {
		schema = n.GetAuthrole().GetRolename()
	}
	for _, element := range n.GetSchemaElts() {
		if created := createdRelation(element); created != nil && created.GetSchemaname() == "" {
			created.Schemaname = schema
		}
	}
	w.fields(n)
}

func createdRelation(n *pg.Node) *pg.RangeVar {
	switch s := inner(n).(type) {
	case *pg.CreateStmt:
		return s.GetRelation()
	case *pg.ViewStmt:
		return s.GetView()
	case *pg.CreateSeqStmt:
		return s.GetSequence()
	case *pg.IndexStmt:
		return s.GetRelation()
	case *pg.CreateTrigStmt:
		return s.GetRelation()
	}
	return nil
}

// object adds the names that commands on objects give as lists of strings.
func (w *walker) object(m proto.Message) {
	switch n := m.(type) {
	case *pg.DropStmt:
		for _, name := range n.GetObjects() {
			w.namedObject(n.GetRemoveType(), name, "drop")
		}
		if n.GetBehavior() == pg.DropBehavior_DROP_CASCADE {
			w.facts.word(factOpaque, "CASCADE")
		}
	case *pg.CommentStmt:
		w.namedObject(n.GetObjtype(), n.GetObject(), "alter")
	case *pg.SecLabelStmt:
		w.namedObject(n.GetObjtype(), n.GetObject(), "alter")
	case *pg.AlterExtensionContentsStmt:
		w.namedObject(n.GetObjtype(), n.GetObject(), "alter")
	case *pg.AlterObjectDependsStmt:
		w.namedObject(n.GetObjectType(), n.GetObject(), "alter")
	case *pg.RenameStmt:
		w.namedObject(n.GetRenameType(), n.GetObject(), "alter")
	case *pg.DefElem:
		w.ownedBy(n)
	case *pg.Constraint:
		w.constraint(n)
	case *pg.GrantRoleStmt:
		for _, role := range n.GetGrantedRoles() {
			w.facts.word(factRoles, role.GetAccessPriv().GetPrivName())
		}
	case *pg.CreateRoleStmt:
		w.facts.word(factRoles, n.GetRole())
	case *pg.CreateEventTrigStmt:
		w.calls(nameOf(n.GetFuncname()))
	case *pg.CreateCastStmt:
		w.calls(nameOf(n.GetFunc().GetObjname()))
	}
}

// namedObject records the relation in an object's name: a table's own, or the one a trigger, rule, policy, constraint or column is of.
func (w *walker) namedObject(kind pg.ObjectType, object *pg.Node, access string) {
	parts, _ := fieldsOf(object.GetList().GetItems())
	switch kind {
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW, pg.ObjectType_OBJECT_SEQUENCE,
		pg.ObjectType_OBJECT_INDEX, pg.ObjectType_OBJECT_FOREIGN_TABLE:
	case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_TRIGGER, pg.ObjectType_OBJECT_RULE, pg.ObjectType_OBJECT_POLICY,
		pg.ObjectType_OBJECT_TABCONSTRAINT:
		if len(parts) > 0 {
			parts = parts[:len(parts)-1]
		}
		access = "alter"
	default:
		return
	}
	switch len(parts) {
	case 0:
	case 1:
		w.facts.relation("", parts[0], access)
	default:
		w.facts.relation(parts[len(parts)-2], parts[len(parts)-1], access)
	}
}

// ownedBy records the table of a sequence's OWNED BY table.column.
func (w *walker) ownedBy(n *pg.DefElem) {
	if n.GetDefname() != "owned_by" {
		return
	}
	if parts := n.GetArg().GetList().GetItems(); len(parts) > 1 {
		table := nameOf(parts[:len(parts)-1])
		w.facts.relation(table.Schema, table.Name, "alter")
	}
}

// constraint records the columns a foreign key refers to.
func (w *walker) constraint(n *pg.Constraint) {
	if n.GetPktable() == nil {
		return
	}
	r := w.rangeVar(n.GetPktable(), "references")
	for _, column := range n.GetPkAttrs() {
		r.columns[column.GetString_().GetSval()] = struct{}{}
	}
}
