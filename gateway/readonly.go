package gateway

import (
	"slices"

	"github.com/sallyport/sallyport/authz/statement"
)

// writing are PostgreSQL's own functions that write and are called like those that read. What a function of the application does, no
// text shows: it is granted by its name, or not.
var writing = []string{
	"nextval", "setval", "lo_creat", "lo_create", "lo_export", "lo_from_bytea", "lo_import", "lo_put", "lo_truncate", "lo_truncate64",
	"lo_unlink", "lowrite",
}

// readOnlyDenial is the denial of a text that writes, or may, in a session or by a decision that is read-only; nil when it only reads.
// It goes by the facts, whatever the policy grants: default_transaction_read_only, which is pinned too, is the client's to change.
func readOnlyDenial(sheet *statement.Sheet) *denial {
	for i := range sheet.Statements {
		if s := &sheet.Statements[i]; writes(s) {
			return &denial{sqlstate: "25006", message: "cannot execute " + s.Command + " in a read-only session", named: true}
		}
	}
	if !sheet.Complete {
		return &denial{sqlstate: "25006", message: "cannot execute what is not fully understood in a read-only session", named: true}
	}
	return nil
}

// writes says whether a statement changes anything that outlives the session. What cannot be seen counts as a write.
func writes(s *statement.Statement) bool {
	switch s.Class {
	case statement.ClassWrite, statement.ClassDefinition, statement.ClassUtility:
		return true
	}
	return len(s.Opaque) > 0 ||
		s.Copy != nil && (s.Copy.Direction != "to" || s.Copy.Endpoint != "client") ||
		slices.ContainsFunc(s.Relations, func(r statement.Relation) bool { return slices.ContainsFunc(r.Access, isWrite) }) ||
		slices.ContainsFunc(s.Functions, func(f statement.Function) bool { return slices.Contains(writing, f.Name) }) ||
		slices.ContainsFunc(s.Attributes, func(name string) bool { return slices.Contains(writing, name) })
}

// isWrite says whether an access is more than reading. SELECT FOR UPDATE is, as in PostgreSQL.
func isWrite(access string) bool { return access != "select" && access != "lookup" }
