package statement

import (
	"slices"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// TestEveryNodeIsKnown fails when a release of pg_query brings a node that nobody has looked at, or when a list names one that is gone.
func TestEveryNodeIsKnown(t *testing.T) {
	reachable := map[string]bool{}
	collect((&pg.Node{}).ProtoReflect().Descriptor(), reachable)
	delete(reachable, "Node")
	for name := range reachable {
		if understood[name] == neverRaw[name] {
			t.Errorf("%s: understood %t, never in a raw parse tree %t", name, understood[name], neverRaw[name])
		}
	}
	for _, list := range []map[string]bool{understood, neverRaw} {
		for name := range list {
			if !reachable[name] && name != "RawStmt" {
				t.Errorf("%s is no node", name)
			}
		}
	}
}

// collect gathers the messages that can stand anywhere in a tree.
func collect(m protoreflect.MessageDescriptor, into map[string]bool) {
	if into[string(m.Name())] {
		return
	}
	into[string(m.Name())] = true
	for i := range m.Fields().Len() {
		if field := m.Fields().Get(i); field.Kind() == protoreflect.MessageKind {
			collect(field.Message(), into)
		}
	}
}

// TestEveryRelationPlaceIsKnown fails when there is a field for a relation that accessAt does not know.
func TestEveryRelationPlaceIsKnown(t *testing.T) {
	messages := pg.File_pg_query_proto.Messages()
	for i := range messages.Len() {
		m := messages.Get(i)
		if !understood[string(m.Name())] {
			continue
		}
		for j := range m.Fields().Len() {
			field := m.Fields().Get(j)
			if field.Kind() != protoreflect.MessageKind || field.Message().Name() != "RangeVar" {
				continue
			}
			at := place(string(m.Name()) + "." + string(field.Name()))
			if _, ok := accessAt[at]; !ok && !fromPlaces[at] {
				t.Errorf("nothing says what a relation at %s is for", at)
			}
		}
	}
}

// TestEveryStatementHasATag fails when a statement has no command tag: policies judge by it.
func TestEveryStatementHasATag(t *testing.T) {
	inside := []string{"RawStmt", "ReturnStmt", "ReplicaIdentityStmt"} // what carries a statement, and parts of statements
	fields := (&pg.Node{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		m := fields.Get(i).Message()
		if !strings.HasSuffix(string(m.Name()), "Stmt") || !understood[string(m.Name())] || slices.Contains(inside, string(m.Name())) {
			continue
		}
		message := (&pg.Node{}).ProtoReflect().NewField(fields.Get(i)).Message().Interface()
		if _, isTransaction := message.(*pg.TransactionStmt); !isTransaction && typeOf(message).commandTag(message) == "" {
			t.Errorf("%s has no command tag", m.Name())
		}
	}
	for kind := range pg.TransactionStmtKind_name {
		if k := pg.TransactionStmtKind(kind); k != pg.TransactionStmtKind_TRANSACTION_STMT_KIND_UNDEFINED && transactionTags[k] == "" {
			t.Errorf("%s has no command tag", k)
		}
	}
}

// TestUnknownIsIncomplete holds the walker to saying so when it meets what it does not know.
func TestUnknownIsIncomplete(t *testing.T) {
	column := func() *pg.SelectStmt {
		return &pg.SelectStmt{
			LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
			TargetList: []*pg.Node{pg.MakeResTargetNodeWithVal(pg.MakeColumnRefNode([]*pg.Node{pg.MakeStrNode("a")}, 0), 0)},
		}
	}
	tests := map[string]func(*pg.SelectStmt){
		"a node the raw grammar never makes": func(s *pg.SelectStmt) {
			s.WhereClause = &pg.Node{Node: &pg.Node_OpExpr{OpExpr: &pg.OpExpr{}}}
		},
		"an enum value without a name": func(s *pg.SelectStmt) { s.LimitOption = 99 },
		"an enum value libpg_query does not know": func(s *pg.SelectStmt) {
			s.Op = pg.SetOperation_SET_OPERATION_UNDEFINED
		},
		"a field this program does not know": func(s *pg.SelectStmt) {
			s.ProtoReflect().SetUnknown([]byte{0xfa, 0x7f, 0x01, 0x00}) // field 2047, one byte
		},
		"a node this program does not know": func(s *pg.SelectStmt) {
			s.WhereClause = &pg.Node{}
			s.WhereClause.ProtoReflect().SetUnknown([]byte{0xfa, 0x7f, 0x01, 0x00})
		},
		"a relation where none belongs": func(s *pg.SelectStmt) {
			s.WhereClause = pg.MakeSimpleRangeVarNode("t", 0)
		},
		"a FROM entry that is none": func(s *pg.SelectStmt) { s.FromClause = []*pg.Node{pg.MakeStrNode("t")} },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			s := column()
			change(s)
			w := &walker{facts: newFacts()}
			w.statement(&pg.RawStmt{Stmt: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: s}}})
			if len(w.reasons) == 0 {
				t.Error("the sheet is complete")
			}
		})
	}
	w := &walker{facts: newFacts()}
	w.statement(&pg.RawStmt{Stmt: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: column()}}})
	if len(w.reasons) > 0 {
		t.Errorf("without a change it is incomplete: %v", w.reasons)
	}
}
