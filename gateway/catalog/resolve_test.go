package catalog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sallyport/sallyport/authz/statement"
)

// A database with something of each kind that a name can lead to.
//
//	app.customers(id, name, ssn)   app.orders(id, customer_id, amount): triggers, a policy   app.secrets(id, value)
//	app.payments, its partitions payments_old and payments_new; app.ruled has rules
//	app.totals → customers, orders; app.nested → totals, secrets; app.open → secrets; app.blind cannot be read; app.kept ← secrets
//	app.letters: columns of types with casts and checks; app.accounts: a policy that reads app.members; app.parents → app.children
//	functions app.total, app.lower, hidden.total (not in the path), app.make; extension citext in public
func database(t *testing.T, pool *statement.Pool) *Snapshot {
	t.Helper()
	s := &Snapshot{
		Generation: 1, Version: 150000, Relations: map[statement.Name]*Relation{}, Functions: map[string][]*Function{},
		Operators: map[string][]*Operator{}, Types: map[string][]*Type{}, Builtin: map[string]bool{}, BuiltinOperators: map[string]bool{},
	}
	for _, name := range []string{"lower", "count", "sum", "now", "coalesce", "set_config", "query_to_xml", "nextval", "pg_timezone_names", "generate_series", "name", "to_regclass", "jsonb_populate_record"} {
		s.Builtin[name] = true
	}
	s.Builtin["newer"] = true // in no list of this program's
	for _, name := range strings.Fields("= <> < <= > >= + - * / || ~~ ~ @>") {
		s.BuiltinOperators[name] = true
	}
	table := func(schema, name string, columns ...string) *Relation {
		r := &Relation{Name: statement.Name{Schema: schema, Name: name}, Kind: KindTable, Columns: columns}
		s.Relations[r.Name] = r
		return r
	}
	function := func(schema, name string, f Function) *Function {
		f.Name = statement.Name{Schema: schema, Name: name}
		s.Functions[name] = append(s.Functions[name], &f)
		return &f
	}
	table("pg_catalog", "pg_class", "oid", "relname").System = true
	table("pg_catalog", "pg_timezone_names", "name").System = true
	table("app", "customers", "id", "name", "ssn")
	orders := table("app", "orders", "id", "customer_id", "amount")
	table("app", "secrets", "id", "value")
	table("public", "customers", "id")
	table("app", "ruled", "id").Rules = true

	payments, old, recent := table("app", "payments", "id", "amount"), table("app", "payments_old", "id", "amount"), table("hidden", "payments_new", "id", "amount")
	payments.Kind, payments.Descendants = KindPartitionedTable, []*Relation{old, recent}
	old.Ancestors, recent.Ancestors = []*Relation{payments}, []*Relation{payments}

	function("app", "total", Function{Minimum: 1, Maximum: 1, Language: "plpgsql", Volatility: "volatile", SecurityDefiner: true})
	function("hidden", "total", Function{Minimum: 1, Maximum: 1, Language: "sql", Volatility: "stable"})
	function("app", "lower", Function{Minimum: 1, Maximum: 1, Language: "sql", Volatility: "immutable"})
	function("app", "make", Function{Minimum: 2, Maximum: -1, Language: "sql", Volatility: "immutable"})
	orders.OnWrite = []*Function{function("app", "touch", Function{Language: "plpgsql", Volatility: "volatile"})}
	orders.OnRead = []*Function{function("app", "may_see", Function{Minimum: 1, Maximum: 1, Language: "sql", Volatility: "stable"})}

	old.OnWrite = []*Function{function("app", "sort_in", Function{Language: "plpgsql", Volatility: "volatile"})}
	toNumber := addUnseen(s, table, function)

	equal := function("public", "citext_eq", Function{Minimum: 2, Maximum: 2, Language: "c", Volatility: "immutable", Extension: "citext"})
	function("public", "crosstab", Function{Minimum: 1, Maximum: 1, Language: "c", Volatility: "stable", Extension: "tablefunc"})
	s.Operators["="] = []*Operator{{Name: statement.Name{Schema: "public", Name: "="}, Function: equal, Extension: "citext"}}
	s.Operators["<="] = []*Operator{{Name: statement.Name{Schema: "hidden", Name: "<="}}}
	s.Types["citext"] = []*Type{{Name: statement.Name{Schema: "public", Name: "citext"}, Extension: "citext"}}

	view := func(name, definition string, columns ...string) {
		r := table("app", name, columns...)
		r.Kind = KindView
		if definition == "" {
			r.Opaque = "not understood"
			return
		}
		r.Definition = analyzed(t, pool, definition)
	}
	view("totals", "SELECT c.name, sum(o.amount) AS amount FROM app.customers c JOIN app.orders o ON o.customer_id OPERATOR(public.=) c.id GROUP BY c.name", "name", "amount")
	view("nested", "SELECT t.name, s.value FROM app.totals t, app.secrets s", "name", "value")
	view("open", "SELECT secrets.id, secrets.value FROM app.secrets WHERE app.total(secrets.id) > (SELECT count(*) FROM pg_class)", "id", "value")
	view("copied", "SELECT secrets.id FROM app.secrets", "id")
	copied := s.Relations[statement.Name{Schema: "app", Name: "copied"}]
	copied.Kind, copied.OnWrite = KindMaterializedView, []*Function{toNumber}
	view("xml", "SELECT query_to_xml('select 1', true, false, '') AS x", "x")
	view("crossed", "SELECT c.a FROM public.crosstab('SELECT 1') c(a)", "a")
	view("blind", "", "id")
	kept := table("app", "kept", "id")
	kept.Kind, kept.Definition = KindMaterializedView, analyzed(t, pool, "SELECT secrets.id FROM app.secrets")
	kept.OnWrite = []*Function{function("app", "as_id", Function{Language: "sql", Volatility: "immutable"})}
	return s
}

// addUnseen adds what no text shows: casts and checks, what a policy reads, what foreign keys change. It returns a function that casts.
func addUnseen(s *Snapshot, table func(schema, name string, columns ...string) *Relation, function func(schema, name string, f Function) *Function) *Function {
	isEmail := function("app", "is_email", Function{Minimum: 1, Maximum: 1, Language: "sql", Volatility: "immutable"})
	toNumber := function("app", "to_number", Function{Minimum: 1, Maximum: 1, Language: "sql", Volatility: "immutable"})
	fromNumber := function("app", "from_number", Function{Minimum: 1, Maximum: 1, Language: "sql", Volatility: "immutable"})
	check, implicit, explicit := Coercion{Function: isEmail}, Coercion{Function: toNumber}, Coercion{Function: fromNumber, Written: true}
	table("app", "letters", "sender", "mood", "readers").Coercions = []Coercion{
		{Function: isEmail, Column: "sender", Built: true},
		{Function: toNumber, Column: "mood"},
		{Function: fromNumber, Column: "mood", Written: true},
		{Function: isEmail, Column: "readers"},
	}
	s.Types["email"] = []*Type{{Name: statement.Name{Schema: "app", Name: "email"}, Coercions: []Coercion{check}}}
	s.Types["mood"] = []*Type{{Name: statement.Name{Schema: "app", Name: "mood"}, Coercions: []Coercion{implicit, explicit}}}
	function("app", "send", Function{Minimum: 1, Maximum: 1, Language: "plpgsql", Volatility: "volatile", Coercions: []Coercion{check}})
	s.Operators["==="] = []*Operator{{Name: statement.Name{Schema: "app", Name: "==="}, Coercions: []Coercion{implicit, explicit}}}

	table("app", "accounts", "id", "owner").Consulted = []*Relation{table("app", "members", "member", "level")}
	children := table("app", "children", "id", "parent")
	children.OnWrite = []*Function{function("app", "mourn", Function{Language: "plpgsql", Volatility: "volatile"})}
	table("app", "parents", "id", "name").Cascades = []Cascade{{Relation: children, Key: []string{"parent"}, To: []string{"id"}, OnDelete: "delete", OnUpdate: "update"}}
	children.Cascades = []Cascade{{Relation: children, Key: []string{"parent"}, To: []string{"id"}, OnDelete: "update"}}
	return toNumber
}

func analyzed(t *testing.T, pool *statement.Pool, text string) *statement.Sheet {
	t.Helper()
	sheet, err := pool.Analyze(t.Context(), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return sheet
}

// TestResolve holds what texts mean in the database above, for the search path app, public, to testdata/resolve.txtar.
func TestResolve(t *testing.T) {
	path := filepath.Join("testdata", "resolve.txtar")
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pool := startPool(t)
	snapshot := database(t, pool)
	for i, file := range archive.Files {
		text, want, _ := strings.Cut(string(file.Data), mark)
		text = strings.TrimSpace(text)
		got := describeFacts(snapshot.Resolve(analyzed(t, pool, text), []string{"app", "public", "pg_temp"}))
		archive.Files[i].Data = []byte(text + "\n" + mark + got)
		if diff := cmp.Diff(want, got); diff != "" && !*update {
			t.Errorf("%s: %s\n(-want +got)\n%s", file.Name, text, diff)
		}
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(archive.Files) < 30 {
		t.Errorf("%d texts", len(archive.Files))
	}
}

// TestResolveChangesNothing: the sheet is shared between sessions.
func TestResolveChangesNothing(t *testing.T) {
	pool := startPool(t)
	snapshot := database(t, pool)
	for _, text := range []string{"SELECT * FROM nested, orders o WHERE o.total = 1", "UPDATE open SET value = '' WHERE id = 1"} {
		sheet := analyzed(t, pool, text)
		before := describeFacts(sheet)
		first := describeFacts(snapshot.Resolve(sheet, []string{"app"}))
		if diff := cmp.Diff(before, describeFacts(sheet)); diff != "" {
			t.Errorf("%s changed (-before +after)\n%s", text, diff)
		}
		if second := describeFacts(snapshot.Resolve(sheet, []string{"app"})); first != second {
			t.Errorf("%s: a second time\n%s\nthen\n%s", text, first, second)
		}
	}
}

// TestResolveSharesNames: a session remembers the facts of many texts, and a table may have thousands of parts.
func TestResolveSharesNames(t *testing.T) {
	pool := startPool(t)
	snapshot := database(t, pool)
	payments := func(text string) statement.Relation {
		return snapshot.Resolve(analyzed(t, pool, text), []string{"app"}).Statements[0].Relations[0]
	}
	one, two := payments("SELECT id FROM payments"), payments("SELECT amount FROM payments")
	if len(one.Descendants) != 2 || &one.Descendants[0] != &two.Descendants[0] {
		t.Errorf("%v and %v are not the same list", one.Descendants, two.Descendants)
	}
}

// TestResolveBounded: what a text comes to mean is bounded, however many partitions stand behind each of its names.
func TestResolveBounded(t *testing.T) {
	pool := startPool(t)
	snapshot := database(t, pool)
	payments := snapshot.Relations[statement.Name{Schema: "app", Name: "payments"}]
	for i := range 5000 {
		part := &Relation{Name: statement.Name{Schema: "app", Name: fmt.Sprintf("part_%d", i)}, Kind: KindTable, Ancestors: []*Relation{payments}}
		snapshot.Relations[part.Name] = part
		payments.Descendants = append(payments.Descendants, part)
	}
	view := func(i int) string { return fmt.Sprintf("paid_%d", i) }
	for i := range 100 {
		name := statement.Name{Schema: "app", Name: view(i)}
		snapshot.Relations[name] = &Relation{Name: name, Kind: KindView, Columns: []string{"id"}, Definition: analyzed(t, pool, "SELECT id FROM app.payments")}
	}
	several := func(between string, n int) string {
		text := "SELECT id FROM payments"
		for i := range n {
			text += fmt.Sprintf(between, view(i))
		}
		return text
	}
	for text, complete := range map[string]bool{
		"SELECT id FROM payments":               true,
		several("; SELECT id FROM %s", 2):       true,
		several(" UNION SELECT id FROM %s", 2):  true,
		several(" UNION SELECT id FROM %s", 99): false,
		several("; SELECT id FROM %s", 99):      false,
	} {
		sheet := snapshot.Resolve(analyzed(t, pool, text), []string{"app"})
		names := 0
		for _, s := range sheet.Statements {
			for _, r := range s.Relations {
				names += 1 + len(r.Columns) + len(r.Through) + len(r.Ancestors) + len(r.Descendants)
			}
		}
		if sheet.Complete != complete || names > maxNames {
			t.Errorf("%.60s: complete %t with %d names", text, sheet.Complete, names)
		}
	}
}

// TestResolveTooMuch: views upon views that double at each step end as facts that are incomplete.
func TestResolveTooMuch(t *testing.T) {
	pool := startPool(t)
	snapshot := database(t, pool)
	for i := range 20 {
		name := fmt.Sprintf("v%d", i+1)
		below := fmt.Sprintf("app.v%d", i)
		if i == 0 {
			below = "app.secrets"
		}
		snapshot.Relations[statement.Name{Schema: "app", Name: name}] = &Relation{
			Name: statement.Name{Schema: "app", Name: name}, Kind: KindView, Columns: []string{"id"},
			Definition: analyzed(t, pool, fmt.Sprintf("SELECT a.id FROM %s a, app.w%d b", below, i)),
		}
		snapshot.Relations[statement.Name{Schema: "app", Name: fmt.Sprintf("w%d", i)}] = &Relation{
			Name: statement.Name{Schema: "app", Name: fmt.Sprintf("w%d", i)}, Kind: KindView, Columns: []string{"id"},
			Definition: analyzed(t, pool, fmt.Sprintf("SELECT a.id FROM %s a", below)),
		}
	}
	sheet := snapshot.Resolve(analyzed(t, pool, "SELECT id FROM v20"), []string{"app"})
	if sheet.Complete || len(sheet.Statements[0].Relations) > maxResolved {
		t.Errorf("complete %t with %d relations", sheet.Complete, len(sheet.Statements[0].Relations))
	}
	if len(sheet.Incomplete) == 0 {
		t.Error("no reason is given")
	}
}
