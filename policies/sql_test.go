package policies_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
)

// TestMain makes the test binary a worker of the statement pool when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "statement-worker" {
		os.Exit(statement.WorkerMain(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// query is one entry of testdata/*.sql: what account sends, and what becomes of it.
type query struct {
	verdict string
	account string
	label   string
	text    string
}

// readQueries reads entries that begin with a line "--- allow|deny|refuse account: label" and go on to the next such line. What the
// analyzer already refuses is an entry of its own kind: a denial that is a typing error tests nothing.
func readQueries(t *testing.T, path string) []query {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var queries []query
	for entry := range strings.SplitSeq("\n"+string(content), "\n--- ") {
		head, text, _ := strings.Cut(entry, "\n")
		rule, label, ok := strings.Cut(head, ":")
		if !ok {
			continue // the comment above the first
		}
		verdict, account, _ := strings.Cut(rule, " ")
		if verdict != "allow" && verdict != "deny" && verdict != "refuse" {
			t.Fatalf("%s: neither allow nor deny nor refuse: %q", path, head)
		}
		queries = append(queries, query{verdict: verdict, account: account, label: strings.TrimSpace(label), text: text})
	}
	if len(queries) == 0 {
		t.Fatalf("%s holds no queries", path)
	}
	return queries
}

// judge is the gateway's way from a text to a decision: the connect decision gives the session its role, the pool the facts.
type judge struct {
	engine *authz.Engine
	pool   *statement.Pool
}

// patience is what a question may take here: these tests are about the answers, and the machine may have much else to do.
const patience = time.Minute

func newJudge(t *testing.T) *judge {
	t.Helper()
	engine, err := authz.New(authz.Config{Directory: ".", Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := statement.NewPool(statement.Config{Command: []string{os.Args[0], "statement-worker"}, Workers: 1, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- pool.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &judge{engine: engine, pool: pool}
}

// people are the accounts by the short names testdata uses.
var people = map[string]authz.Identity{
	"analyst":  {User: "analyst@example.com", Method: "oidc"},
	"engineer": {User: "engineer@example.com", Method: "oidc"},
	"dba":      {User: "dba@example.com", Method: "oidc"},
	"report":   {User: "svc_report", Method: "scram-sha-256"},
}

// session is the session an account gets in database app.
func (j *judge) session(t *testing.T, identity authz.Identity) authz.Session {
	t.Helper()
	session := authz.Session{ID: "test", Database: "app", ClientAddress: "192.0.2.1"}
	decision, err := j.engine.Connect(t.Context(), &authz.ConnectInput{Identity: identity, Session: session})
	if err != nil {
		t.Fatal(err)
	}
	if !decision.Allow {
		t.Fatalf("%s may not connect: %s", identity.User, decision.Reasons)
	}
	session.Role, session.Observe, session.SearchPath = decision.Role, decision.Observe, []string{"app", "pg_temp"}
	return session
}

// statement decides; what the analyzer refuses is "refuse".
func (j *judge) statement(t *testing.T, account, text string) (verdict string, reasons []string) {
	t.Helper()
	identity, ok := people[account]
	if !ok {
		t.Fatalf("unknown account %q", account)
	}
	sheet, err := j.pool.Analyze(t.Context(), text)
	syntax, limit := (*statement.SyntaxError)(nil), (*statement.LimitError)(nil)
	if errors.As(err, &syntax) || errors.As(err, &limit) {
		return "refuse", []string{err.Error()}
	}
	if err != nil {
		t.Fatal(err)
	}
	decision, err := j.engine.Statement(t.Context(), &authz.StatementInput{
		Identity: identity, Session: j.session(t, identity), Statement: sheet,
	})
	if err != nil {
		t.Fatal(err)
	}
	if decision.Allow {
		return "allow", decision.Reasons
	}
	if len(decision.Reasons) == 0 {
		t.Errorf("denied without a reason: %s", text)
	}
	return "deny", append(decision.Reasons, sheet.Incomplete...)
}

// TestSQL judges real texts by the whole way.
func TestSQL(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.sql")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no queries: %v", err)
	}
	j := newJudge(t)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			for _, q := range readQueries(t, path) {
				verdict, reasons := j.statement(t, q.account, q.text)
				if verdict != q.verdict {
					t.Errorf("%s: %s: got %s, want %s\n%s\nreasons: %q", q.account, q.label, verdict, q.verdict, q.text, reasons)
				}
				if strings.Contains(strings.Join(reasons, " "), "hunter2") {
					t.Errorf("%s: %s: a reason shows a literal: %q", q.account, q.label, reasons)
				}
			}
		})
	}
}
