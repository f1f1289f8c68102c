package gateway

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
)

func TestReadOnlyDenial(t *testing.T) {
	relation := func(access ...string) statement.Statement {
		return statement.Statement{Class: statement.ClassQuery, Relations: []statement.Relation{{Name: "t", Access: access}}}
	}
	function := func(name string) statement.Statement {
		return statement.Statement{Class: statement.ClassQuery, Functions: []statement.Function{{Name: name}}}
	}
	tests := map[string]struct {
		statement statement.Statement
		denied    bool
	}{
		"a query":                        {relation("lookup", "select"), false},
		"a function":                     {function("lower"), false},
		"transaction control":            {statement.Statement{Class: statement.ClassTransaction}, false},
		"COPY to the client":             {statement.Statement{Class: statement.ClassCopy, Copy: &statement.Copy{Direction: "to", Endpoint: "client"}}, false},
		"a write":                        {statement.Statement{Class: statement.ClassWrite}, true},
		"a definition":                   {statement.Statement{Class: statement.ClassDefinition}, true},
		"maintenance":                    {statement.Statement{Class: statement.ClassUtility}, true},
		"COPY from the client":           {statement.Statement{Class: statement.ClassCopy, Copy: &statement.Copy{Direction: "from", Endpoint: "client"}}, true},
		"COPY to a file":                 {statement.Statement{Class: statement.ClassCopy, Copy: &statement.Copy{Direction: "to", Endpoint: "file"}}, true},
		"a cursor of a write":            {relation("insert"), true},
		"SELECT FOR UPDATE":              {relation("lock", "select"), true},
		"a sequence that is moved":       {relation("usage"), true},
		"nextval of what is not shown":   {function("nextval"), true},
		"a large object":                 {function("lo_put"), true},
		"('s'::regclass).nextval":        {statement.Statement{Class: statement.ClassQuery, Attributes: []string{"nextval"}}, true},
		"what the text does not show":    {statement.Statement{Class: statement.ClassQuery, Opaque: []string{"FUNCTION query_to_xml"}}, true},
		"an access that nobody heard of": {relation("select", "transmogrify"), true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			sheet := &statement.Sheet{Complete: true, Statements: []statement.Statement{relation("select"), tt.statement}}
			if got := readOnlyDenial(sheet); got != nil != tt.denied {
				t.Errorf("got %+v, want denied %v", got, tt.denied)
			}
		})
	}
	if readOnlyDenial(&statement.Sheet{Statements: []statement.Statement{relation("select")}}) == nil {
		t.Error("what is not fully understood is let through")
	}
}

func TestRelayReadOnly(t *testing.T) {
	tests := map[string]func(r *relay){
		"by the connect decision": func(r *relay) {
			r.grant.ReadOnly = true
			r.policy = &fakePolicy{grants: authz.ConnectDecision{Allow: true, ReadOnly: true}}
		},
		"by the statement decision": func(r *relay) {
			r.policy = &fakePolicy{obligations: map[string]authz.StatementDecision{"CREATE": {ReadOnly: true}, "SELECT": {ReadOnly: true}}}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			b := start(t, change)
			b.send(query("select"), query("create"))
			if got, want := strings.Join(b.receive(2), " "), "D SELECT 1 ZI E25006 ZI"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			b.send(parse("", "create"), bind("", ""), execute(""), syncMessage)
			if got, want := strings.Join(b.receive(1), " "), "E25006 ZI"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if ran := strings.Join(b.backend.executed(), " "); ran != "select" {
				t.Errorf("the backend ran %q", ran)
			}
			b.end()
		})
	}
}

func TestRelayReadOnlySaysWhy(t *testing.T) {
	b := start(t, func(r *relay) { r.grant.ReadOnly = true })
	b.send(query("create"))
	m, err := b.client.Receive()
	if err != nil {
		t.Fatal(err)
	}
	got, ok := m.(*pgproto3.ErrorResponse)
	if !ok || got.Message != "cannot execute CREATE in a read-only session" || got.Hint != "Decision s.1." {
		t.Errorf("got %+v", m)
	}
	b.end()
	if reasons := b.log.statements[0].Reasons; len(reasons) != 1 || reasons[0] != "cannot execute CREATE in a read-only session" {
		t.Errorf("the trail says %q", reasons)
	}
}

// TestRelayObserveIsNotReadOnly: to observe is to let everything through.
func TestRelayObserveIsNotReadOnly(t *testing.T) {
	b := start(t, func(r *relay) { r.grant.ReadOnly, r.grant.Observe = true, true })
	b.send(query("create"))
	if got, want := strings.Join(b.receive(1), " "), "D CREATE 1 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.end()
}
