package authz

import (
	"testing"

	"github.com/sallyport/sallyport/authz/statement"
)

// benchmarkInput is a join with an aggregate under the default policy: what an application's query looks like.
func benchmarkInput() *StatementInput {
	return &StatementInput{
		Identity: Identity{User: "analyst@example.com", Method: "oidc", Issuer: "https://issuer.example", Subject: "1", Groups: []string{"a", "b"}},
		Session: Session{
			ID: "0123456789abcdef", Database: "app", ClientAddress: "192.0.2.1", Application: "app", Role: "readonly",
			SearchPath: []string{"app", "pg_temp"},
		},
		Statement: &statement.Sheet{Complete: true, Statements: []statement.Statement{{
			Command: "SELECT", Class: statement.ClassQuery, Commands: []string{"SELECT"},
			Relations: []statement.Relation{
				{Name: "customers", Access: []string{"select"}, Columns: []string{"email", "id", "name"}},
				{Name: "orders", Access: []string{"select"}, Columns: []string{"amount", "customer_id", "status"}},
			},
			Functions: []statement.Function{{Name: "count"}, {Name: "sum"}, {Name: "coalesce"}},
		}}},
	}
}

func benchmarkEngine(b *testing.B) *Engine {
	b.Helper()
	e, err := New(Config{Directory: "../policies"})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

func BenchmarkStatement(b *testing.B) {
	e, input := benchmarkEngine(b), benchmarkInput()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.statementBy(b.Context(), e.Policy(), input); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkConnect(b *testing.B) {
	e, statement := benchmarkEngine(b), benchmarkInput()
	input := &ConnectInput{Identity: statement.Identity, Session: statement.Session}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Connect(b.Context(), input); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInput(b *testing.B) {
	c, err := newCodec()
	if err != nil {
		b.Fatal(err)
	}
	input := benchmarkInput()
	b.ReportAllocs()
	for b.Loop() {
		c.statement(input)
	}
}

func BenchmarkLoad(b *testing.B) {
	e := benchmarkEngine(b)
	for b.Loop() {
		if _, _, err := e.load(b.Context(), e.origin.read); err != nil {
			b.Fatal(err)
		}
	}
}
