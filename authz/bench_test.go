package authz

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
			Functions: []statement.Function{{Name: "count"}, {Name: "sum"}, {Name: "max"}},
		}}},
	}
}

func benchmarkEngine(b *testing.B) *Engine {
	b.Helper()
	e, err := New(Config{Timeout: patience, Directory: "../policies"})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// benchmarkReport is a join of ten tables that were found in the catalog.
func benchmarkReport() *StatementInput {
	input := benchmarkInput()
	report := statement.Statement{
		Command: "SELECT", Class: statement.ClassQuery, Commands: []string{"SELECT"},
		Functions: []statement.Function{{Schema: "pg_catalog", Name: "count"}, {Schema: "pg_catalog", Name: "sum"}, {Schema: "pg_catalog", Name: "max"}},
	}
	for _, table := range []string{
		"customers", "orders", "items", "products", "categories", "suppliers", "shipments", "addresses", "countries", "payments",
	} {
		report.Relations = append(report.Relations, statement.Relation{
			Schema: "app", Name: table, Kind: "table", Access: []string{"select"}, Columns: []string{"id", "name", table + "_id"},
		})
	}
	input.Statement = &statement.Sheet{
		Complete: true, Resolved: true, Statements: []statement.Statement{report},
		Fingerprint: "86c471b7d01e349e", Normalized: "SELECT customers.id" + strings.Repeat(" JOIN items ON orders.id = items.orders_id", 20),
	}
	return input
}

// benchmarkBegin is the least that a statement can be.
func benchmarkBegin() *StatementInput {
	input := benchmarkInput()
	input.Statement = &statement.Sheet{Complete: true, Statements: []statement.Statement{{
		Command: "BEGIN", Class: statement.ClassTransaction, Commands: []string{"BEGIN"},
	}}}
	return input
}

// BenchmarkStatement is what a decision costs that is not remembered.
func BenchmarkStatement(b *testing.B) {
	e := benchmarkEngine(b)
	for name, input := range map[string]*StatementInput{"begin": benchmarkBegin(), "join": benchmarkInput(), "report": benchmarkReport()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				decision, err := e.statementBy(b.Context(), e.Policy(), input)
				if err != nil || !decision.Allow {
					b.Fatal(decision, err)
				}
			}
		})
	}
}

// teams is the default policy with those of n teams beside it, of fifty rules each, about databases of their own.
func teams(tb testing.TB, n int) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../policies")); err != nil {
		tb.Fatal(err)
	}
	for team := range n {
		text := "package sallyport.statement\n"
		for rule := range 50 {
			text += fmt.Sprintf("\nreasons contains \"team %[1]d keeps t%[2]d\" if {\n\tinput.session.database == \"team%[1]d\"\n"+
				"\tsome statement in input.statement.statements\n\tsome relation in statement.relations\n\trelation.name == \"t%[2]d\"\n}\n", team, rule)
		}
		put(tb, filepath.Join(dir, fmt.Sprintf("team%d.rego", team)), text)
	}
	return dir
}

// BenchmarkPolicies is what more policies cost: the same for a decision that is remembered, and little more for one that is not, because
// rules about another database are not tried.
func BenchmarkPolicies(b *testing.B) {
	for name, dir := range map[string]string{"default": "../policies", "100 x 50 more": teams(b, 100)} {
		e, err := New(Config{Timeout: patience, Directory: dir})
		if err != nil {
			b.Fatal(err)
		}
		input := benchmarkReport()
		b.Run(name+"/remembered", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Statement(b.Context(), input); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/decided", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.statementBy(b.Context(), e.Policy(), input); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkConnect(b *testing.B) {
	e, statement := benchmarkEngine(b), benchmarkInput()
	input := &ConnectInput{Identity: statement.Identity, Session: statement.Session}
	for name, connect := range map[string]func(context.Context, *ConnectInput) (*ConnectDecision, error){"remembered": e.Connect, "claimed": e.ConnectClaimed} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := connect(b.Context(), input); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkInput(b *testing.B) {
	c, err := newCodec()
	if err != nil {
		b.Fatal(err)
	}
	input := benchmarkReport()
	b.ReportAllocs()
	who := c.who(input)
	for b.Loop() {
		c.statement(who, input)
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
