package gateway

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/catalog"
)

// fakeCatalog is a catalog of one name, t: a table, or a view of the table it is told.
type fakeCatalog struct {
	mu      sync.Mutex
	current *catalog.Snapshot
	err     error
	changes int
	asked   int
	ask     func(asked int) // before Current answers, with what was known when it was asked

	fresh *catalog.Snapshot // what becomes current when it is asked anew; nil: it does not answer
	anew  int               // how often it was
}

// generations numbers the snapshots of these tests.
var generations atomic.Uint64

func catalogOf(behind string) *catalog.Snapshot {
	name := func(name string) statement.Name { return statement.Name{Schema: "app", Name: name} }
	t := &catalog.Relation{Name: name("t"), Kind: catalog.KindTable, Columns: []string{"a"}}
	s := &catalog.Snapshot{Generation: generations.Add(1), Relations: map[statement.Name]*catalog.Relation{t.Name: t}}
	if behind != "" {
		t.Kind = catalog.KindView
		t.Definition = &statement.Sheet{Complete: true, Statements: []statement.Statement{{
			Relations: []statement.Relation{{Schema: "app", Name: behind, Access: []string{"select"}}},
		}}}
		s.Relations[name(behind)] = &catalog.Relation{Name: name(behind), Kind: catalog.KindTable}
	}
	return s
}

func (f *fakeCatalog) become(s *catalog.Snapshot, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current, f.err = s, err
}

func (f *fakeCatalog) Current(context.Context) (*catalog.Snapshot, error) {
	f.mu.Lock()
	f.asked++
	asked, current, err := f.asked, f.current, f.err
	f.mu.Unlock()
	if f.ask != nil {
		f.ask(asked)
	}
	return current, err
}

func (f *fakeCatalog) Fresh(ctx context.Context) (*catalog.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.anew++; f.fresh == nil {
		<-ctx.Done()
		return nil, catalog.ErrUnavailable
	}
	f.current = f.fresh
	return f.current, nil
}

func (f *fakeCatalog) askedAnew() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.anew
}

func (f *fakeCatalog) becomesWhenAsked(s *catalog.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fresh = s
}

func (f *fakeCatalog) Now(time.Time) (*catalog.Snapshot, bool) { return nil, false }

func (f *fakeCatalog) Latest() *catalog.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.current
}

func (f *fakeCatalog) Changed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes++
}

func (f *fakeCatalog) counts() (changes, asked int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changes, f.asked
}

// secretsPolicy denies what reads the table secrets.
type secretsPolicy struct{ fakePolicy }

func (p *secretsPolicy) Statement(_ context.Context, in *authz.StatementInput) (*authz.StatementDecision, error) {
	d := &authz.StatementDecision{Allow: in.Statement.Complete, Cacheable: true, Revision: "r1"}
	for _, s := range in.Statement.Statements {
		if slices.ContainsFunc(s.Relations, func(r statement.Relation) bool { return r.Name == "secrets" }) {
			d.Allow, d.Reasons = false, []string{"table secrets is not granted"}
		}
	}
	return d, nil
}

// startWithCatalog runs a relay whose database has a catalog.
func startWithCatalog(t *testing.T, source *fakeCatalog, observe bool) *bench {
	t.Helper()
	return start(t, func(r *relay) {
		p := &secretsPolicy{}
		r.policy, r.grant.policy, r.catalog = p, p.Policy(), source
		r.grant.Observe = observe
		r.input.Session.SearchPath = []string{"app", "pg_temp"}
	})
}

// TestMeaningMoves: what was allowed when it was prepared is denied when its name has come to mean something else, by any way to run it,
// and allowed again when it means what it did.
func TestMeaningMoves(t *testing.T) {
	source := &fakeCatalog{current: catalogOf("")}
	b := startWithCatalog(t, source, false)
	receive := func(n int, want string) {
		t.Helper()
		if got := strings.Join(b.receive(n), " "); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	b.send(parse("s", "select t"), bind("", "s"), execute(""), syncMessage, query("execute s"), query("select t"))
	receive(3, "1 2 D SELECT 1 ZI D EXECUTE 1 ZI D SELECT 1 ZI")

	source.become(catalogOf("secrets"), nil)
	b.send(bind("", "s"), execute(""), syncMessage, query("execute s"), query("select t"), parse("", "select t"), syncMessage)
	receive(4, "E42501 ZI E42501 ZI E42501 ZI E42501 ZI")

	source.become(catalogOf("orders"), nil)
	b.send(bind("", "s"), execute(""), syncMessage, query("select t"))
	receive(2, "2 D SELECT 1 ZI D SELECT 1 ZI")
	b.end()

	var relations []string // once more for what EXECUTE ran by its name: only Parse had named it
	for _, s := range b.log.statements {
		if s.Text.String() == "select t" {
			relations = append(relations, strings.Join(s.Facts.Relations(), "; "))
		}
	}
	const table, behindSecrets, behindOrders = "app.t select", "app.t select; app.secrets select through app.t", "app.t select; app.orders select through app.t"
	want := []string{table, table, table, behindSecrets, behindSecrets, behindSecrets, behindOrders, behindOrders}
	if diff := cmp.Diff(want, relations); diff != "" {
		t.Errorf("the audit log has (-want +got)\n%s", diff)
	}
}

// TestMeaningBetweenBindAndExecute: a portal is judged once more when it runs.
func TestMeaningBetweenBindAndExecute(t *testing.T) {
	source := &fakeCatalog{current: catalogOf("")}
	b := startWithCatalog(t, source, false)
	b.send(query("begin"))
	b.receive(1)
	b.send(parse("", "select t"), bind("p", ""), syncMessage)
	b.receive(1)
	source.become(catalogOf("secrets"), nil)
	b.send(execute("p"), syncMessage)
	if got := strings.Join(b.receive(1), " "); got != "E42501 ZE" {
		t.Errorf("got %s", got)
	}
	if ran := b.backend.executed(); slices.Contains(ran, "select t") {
		t.Errorf("the backend ran %q", ran)
	}
}

// TestMeaningUnknown: without a catalog that can be asked nothing that names anything runs. What ends a transaction does.
func TestMeaningUnknown(t *testing.T) {
	source := &fakeCatalog{current: catalogOf("")}
	b := startWithCatalog(t, source, false)
	b.send(query("begin"), query("select t"))
	b.receive(2)
	source.become(nil, errors.New("the last poll is too long ago"))
	b.send(query("select t"), query("rollback"), query("select t"), parse("", "select t"), syncMessage, query("dotted"), query("operated"), query("commit"))
	want := "E58000 ZE ROLLBACK 1 ZI E58000 ZI E58000 ZI E58000 ZI E58000 ZI COMMIT 1 ZI"
	if got := strings.Join(b.receive(7), " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	source.become(catalogOf(""), nil)
	b.send(query("select t"))
	if got := strings.Join(b.receive(1), " "); got != "D SELECT 1 ZI" {
		t.Errorf("once it is back: %s", got)
	}
}

// TestMeaningOfHints: what only the catalog knows to be a name is uncertain after DDL as well: a column that may be a call, an operator.
func TestMeaningOfHints(t *testing.T) {
	b := startWithCatalog(t, &fakeCatalog{current: catalogOf("")}, false)
	b.send(query("begin"), query("create"), query("dotted"), query("rollback"), query("begin"), query("create"), query("operated"))
	want := "BEGIN 1 ZT D CREATE 1 ZT E42501 ZE ROLLBACK 1 ZI BEGIN 1 ZT D CREATE 1 ZT E42501 ZE"
	if got := strings.Join(b.receive(7), " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestMeaningMovesWhileItIsLookedUp: what the session's own DDL has changed is not judged by what was known before, though all of it be
// over when the decision is made.
func TestMeaningMovesWhileItIsLookedUp(t *testing.T) {
	asking, answer := make(chan struct{}), make(chan struct{})
	source := &fakeCatalog{current: catalogOf(""), ask: func(asked int) {
		if asked == 2 {
			close(asking)
			<-answer
		}
	}}
	b := startWithCatalog(t, source, false)
	b.send(query("copyout 1; wait; create x"))
	for _, want := range []string{"H", "d", "c", "COPYOUT 1"} { // what it says before it waits
		if m, err := b.client.Receive(); err != nil || word(m) != want {
			t.Fatalf("got %v, %v", m, err)
		}
	}
	b.send(query("select t"))
	<-asking
	close(b.backend.release)
	if got := strings.Join(b.receive(1), " "); got != "WAIT 1 D CREATE 1 ZI" {
		t.Errorf("got %s", got)
	}
	source.become(catalogOf("secrets"), nil)
	close(answer)
	if got := strings.Join(b.receive(1), " "); got != "E42501 ZI" {
		t.Errorf("got %s", got)
	}
}

// TestMeaningHoldsNoSnapshot: a snapshot may have hundreds of megabytes. A session that has nothing to do must not keep those from being
// forgotten that are no longer current.
func TestMeaningHoldsNoSnapshot(t *testing.T) {
	source := &fakeCatalog{current: catalogOf("orders")}
	first := weak.Make(source.current)
	b := startWithCatalog(t, source, false)
	b.send(query("select t"), parse("s", "select t, u"), bind("", "s"), execute(""), syncMessage)
	b.receive(2)
	source.become(catalogOf("orders"), nil)
	for range 10 {
		if runtime.GC(); first.Value() == nil {
			return
		}
	}
	t.Error("the snapshot is still held")
}

// TestMeaningToObservers: a session that observes does not wait, and runs what it likes.
func TestMeaningToObservers(t *testing.T) {
	source := &fakeCatalog{current: catalogOf("secrets"), err: errors.New("not now")}
	b := startWithCatalog(t, source, true)
	b.send(query("select t"))
	if got := strings.Join(b.receive(1), " "); got != "D SELECT 1 ZI" {
		t.Errorf("got %s", got)
	}
	b.end()
	if _, asked := source.counts(); asked != 0 {
		t.Errorf("it waited %d times", asked)
	}
	if got := b.log.statements[0].Facts.Relations(); !slices.Contains(got, "app.secrets select through app.t") {
		t.Errorf("recorded %q", got)
	}
}

// TestChangesAreTold: every completion of DDL, and of its transaction, is told to the catalog before the client hears of it; nothing else is.
func TestChangesAreTold(t *testing.T) {
	source := &fakeCatalog{current: catalogOf("")}
	b := startWithCatalog(t, source, true)
	told := func(messages int, send ...pgproto3.FrontendMessage) int {
		t.Helper()
		before, _ := source.counts()
		b.send(send...)
		b.receive(messages)
		after, _ := source.counts()
		return after - before
	}
	for _, test := range []struct {
		name     string
		ready    int
		send     []pgproto3.FrontendMessage
		min, max int
	}{
		{"a query", 1, []pgproto3.FrontendMessage{query("select t")}, 0, 0},
		{"autocommitted", 1, []pgproto3.FrontendMessage{query("create x")}, 2, 2},
		{"after it", 1, []pgproto3.FrontendMessage{query("select t")}, 0, 0},
		{"in a transaction", 2, []pgproto3.FrontendMessage{query("begin"), query("create x")}, 2, 4},
		{"still in it", 1, []pgproto3.FrontendMessage{query("select t")}, 1, 2},
		{"its commit", 1, []pgproto3.FrontendMessage{query("commit")}, 1, 2},
		{"after the commit", 1, []pgproto3.FrontendMessage{query("select t")}, 0, 0},
		{"extended", 1, []pgproto3.FrontendMessage{parse("", "create x"), bind("", ""), execute(""), syncMessage}, 1, 2},
		{"after the pipeline", 1, []pgproto3.FrontendMessage{query("select t")}, 0, 0},
		{"with a search path of its own", 1, []pgproto3.FrontendMessage{query("create x setpath")}, 2, 2},
		{"behind another search path", 1, []pgproto3.FrontendMessage{query("setpath; create x")}, 2, 3},
	} {
		if got := told(test.ready, test.send...); got < test.min || got > test.max {
			t.Errorf("%s: told %d times, want %d to %d", test.name, got, test.min, test.max)
		}
	}
}
