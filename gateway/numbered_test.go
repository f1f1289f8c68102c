package gateway

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/catalog"
)

// typesPolicy denies what is not complete, and what makes a value of the type withheld.
type typesPolicy struct{ fakePolicy }

func (p *typesPolicy) Statement(_ context.Context, in *authz.StatementInput) (*authz.StatementDecision, error) {
	d := &authz.StatementDecision{Allow: in.Statement.Complete, Cacheable: true, Revision: "r1"}
	for _, s := range in.Statement.Statements {
		if slices.ContainsFunc(s.Types, func(o statement.Object) bool { return o.Name == "withheld" }) {
			d.Allow, d.Reasons = false, []string{"type withheld is not granted"}
		}
	}
	return d, nil
}

func parseTyped(name, text string, types ...uint32) *pgproto3.Parse {
	return &pgproto3.Parse{Name: name, Query: text, ParameterOIDs: types}
}

// TestNumberedTypes: the type that Parse gives to a parameter is judged like one that the text names, however the statement is run; the
// same text with another is another.
func TestNumberedTypes(t *testing.T) {
	const granted, withheld, unknown = 20000, 20001, 20002
	named := func(name string) statement.Name { return statement.Name{Schema: "app", Name: name} }
	known := &catalog.Snapshot{
		Generation: generations.Add(1), TypeNames: map[uint32]statement.Name{granted: named("granted"), withheld: named("withheld")},
		Types: map[string][]*catalog.Type{"granted": {{Name: named("granted")}}, "withheld": {{Name: named("withheld")}}},
	}
	const allowed, denied = "1 2 D SELECT 1 ZI", "E42501 ZI"
	run := func(p *pgproto3.Parse) []pgproto3.FrontendMessage {
		return []pgproto3.FrontendMessage{p, bind("", p.Name), execute(""), syncMessage}
	}
	tests := map[string]struct {
		catalog *catalog.Snapshot // nil: there is none
		want    map[*pgproto3.Parse]string
	}{
		"known": {known, map[*pgproto3.Parse]string{
			parseTyped("a", "select"): allowed, parseTyped("b", "select", 0, 25, 2205): allowed, parseTyped("c", "select", granted): allowed,
			parseTyped("d", "select", withheld): denied, parseTyped("e", "select", 25, withheld, granted): denied,
			parseTyped("f", "select", unknown): denied,
		}},
		"without a catalog": {nil, map[*pgproto3.Parse]string{
			parseTyped("a", "select", 25): allowed, parseTyped("b", "select", granted): denied,
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := start(t, func(r *relay) {
				p := &typesPolicy{}
				r.policy, r.grant.policy = p, p.Policy()
				if tt.catalog != nil {
					r.catalog = &fakeCatalog{current: tt.catalog, fresh: tt.catalog}
				}
			})
			for range 2 { // the second time what was decided is remembered
				for p, want := range tt.want {
					b.send(run(p)...)
					if got := strings.Join(b.receive(1), " "); got != want {
						t.Errorf("%d: got %s, want %s", p.ParameterOIDs, got, want)
					}
					b.send(closeStatement(p.Name), syncMessage)
					b.receive(1)
				}
			}
		})
	}
}

// TestNumberedTypeMoves: what such a number stands for is asked when the statement is run, not when it was prepared.
func TestNumberedTypeMoves(t *testing.T) {
	const number = 20000
	of := func(name string) *catalog.Snapshot {
		n := statement.Name{Schema: "app", Name: name}
		return &catalog.Snapshot{
			Generation: generations.Add(1), TypeNames: map[uint32]statement.Name{number: n}, Types: map[string][]*catalog.Type{name: {{Name: n}}},
		}
	}
	before := of("granted")
	source := &fakeCatalog{current: before, fresh: before}
	b := start(t, func(r *relay) {
		p := &typesPolicy{}
		r.policy, r.grant.policy, r.catalog = p, p.Policy(), source
	})
	b.send(parseTyped("s", "select", number), bind("", "s"), execute(""), syncMessage)
	if got := strings.Join(b.receive(1), " "); got != "1 2 D SELECT 1 ZI" {
		t.Fatalf("got %s", got)
	}
	after := of("withheld")
	source.become(after, nil)
	source.becomesWhenAsked(after)
	b.send(bind("", "s"), execute(""), syncMessage, query("execute s"))
	if got := strings.Join(b.receive(2), " "); got != "E42501 ZI E42501 ZI" {
		t.Errorf("after it was renamed: %s", got)
	}
}

// TestParseThatRuns: PostgreSQL makes values of literals when it parses. Where that may run functions the Parse leaves an event, also when
// nothing is ever bound.
func TestParseThatRuns(t *testing.T) {
	f := &catalog.Function{Name: statement.Name{Schema: "app", Name: "check"}, Language: "plpgsql"}
	runs := &catalog.Snapshot{Generation: generations.Add(1), Coercions: []catalog.Coercion{{Function: f}}}
	plain := &catalog.Snapshot{Generation: generations.Add(1)}
	for name, tt := range map[string]struct {
		catalog *catalog.Snapshot
		want    []string
	}{
		"functions": {runs, []string{"parse select = allow → completed", "bind select = allow → completed"}},
		"nothing":   {plain, []string{"bind select = allow → completed"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, func(r *relay) { r.catalog = &fakeCatalog{current: tt.catalog, fresh: tt.catalog} })
			b.send(parse("s", "select"), syncMessage, bind("", "s"), execute(""), syncMessage)
			if got := strings.Join(b.receive(2), " "); got != "1 ZI 2 D SELECT 1 ZI" {
				t.Errorf("got %s", got)
			}
			b.end()
			if diff := cmp.Diff(tt.want, b.log.lines()); diff != "" {
				t.Error("trail (-want +got):\n" + diff)
			}
		})
	}
	t.Run("an audit log that takes nothing", func(t *testing.T) {
		b := start(t, func(r *relay) { r.catalog = &fakeCatalog{current: runs, fresh: runs} })
		b.log.setBroken(true)
		b.send(parse("s", "select"), syncMessage)
		if got := strings.Join(b.receive(1), " "); got != "E58030 ZI" || len(b.backend.executed()) > 0 {
			t.Errorf("got %s", got)
		}
	})
}
