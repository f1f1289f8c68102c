package gateway

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/catalog"
)

var reportTables = []string{
	"customers", "orders", "items", "products", "categories", "suppliers", "shipments", "addresses", "countries", "payments",
}

// report joins ten tables. Each n gives a text, and facts, that nobody has seen before.
func report(n int) string {
	text := "SELECT customers.id, customers.name, count(orders.id), sum(items.amount), max(payments.created) FROM app.customers"
	for i, table := range reportTables[1:] {
		column := [...]string{"id", "name", "code", "state"}[n>>(2*i)&3]
		text += fmt.Sprintf(" JOIN %s ON %s.%s = %s.%s_id", table, reportTables[i], column, table, reportTables[i])
	}
	return text + fmt.Sprintf(" WHERE orders.state = 'open' AND countries.code IN ('DE', 'FR') AND customers.name = $%d"+
		" GROUP BY customers.id, customers.name", n)
}

// reported is a database with these tables.
func reported() *catalog.Snapshot {
	s := &catalog.Snapshot{Generation: 1, Relations: map[statement.Name]*catalog.Relation{}, Builtin: map[string]bool{"count": true, "sum": true, "max": true}, BuiltinOperators: map[string]bool{"=": true}}
	for _, table := range reportTables {
		name := statement.Name{Schema: "app", Name: table}
		columns := []string{"id", "name", "state", "code", "amount", "created"}
		for _, other := range reportTables {
			columns = append(columns, other+"_id")
		}
		s.Relations[name] = &catalog.Relation{Name: name, Kind: catalog.KindTable, Columns: columns}
	}
	return s
}

func newReporting(tb testing.TB) *standing {
	s := newStanding(tb)
	s.judge.catalog = known{reported()}
	return s
}

func TestFirstSightIsAllowed(t *testing.T) {
	s := newReporting(t)
	p := s.judge.read(t.Context(), []byte(report(1)))
	if v, err := s.judge.decide(t.Context(), p); err != nil || !v.allow || !p.known.facts.Resolved || len(p.known.recorded.Relations()) != len(reportTables) {
		t.Errorf("got %+v, %v, %v", v, err, p.known.recorded.Relations())
	}
}

// stages are the times that the parts of a first sight took, by the unit they are reported in.
type stages map[string][]time.Duration

// since notes what has passed since a moment as one part, and returns the moment it is now.
func (s stages) since(began time.Time, unit string) time.Time {
	now := time.Now()
	s[unit] = append(s[unit], now.Sub(began))
	return now
}

func (s stages) report(b *testing.B) {
	for unit, durations := range s {
		slices.Sort(durations)
		b.ReportMetric(float64(durations[len(durations)/2].Nanoseconds()), unit)
	}
	whole := s["p50-ns"]
	b.ReportMetric(float64(whole[len(whole)*99/100].Nanoseconds()), "p99-ns")
}

// timedAnalyzer notes when the facts were there, and how long the names were waited for after what was done meanwhile.
type timedAnalyzer struct {
	analyzer
	stages stages
}

func (a timedAnalyzer) AnalyzeAhead(ctx context.Context, text string, ahead func(*statement.Sheet)) (*statement.Sheet, error) {
	part := time.Now()
	sheet, err := a.analyzer.AnalyzeAhead(ctx, text, func(facts *statement.Sheet) {
		a.stages.since(part, "facts-p50-ns")
		ahead(facts)
		part = time.Now()
	})
	a.stages.since(part, "names-p50-ns")
	return sheet, err
}

// timedPolicy notes how long policy took where it was asked first.
type timedPolicy struct {
	decider
	stages stages
	asked  *bool
}

func (p timedPolicy) Statement(ctx context.Context, input *authz.StatementInput) (*authz.StatementDecision, error) {
	if !*p.asked {
		*p.asked = true
		defer p.stages.since(time.Now(), "policy-p50-ns")
	}
	return p.decider.Statement(ctx, input)
}

// BenchmarkFirstSight is what a statement costs that nobody has sent before: a join of ten tables, through a statement worker, the catalog and
// the default policy. It also tells apart how long the facts took, policy, and the wait for the text's names after that; the rest is the
// catalog's and the event's.
func BenchmarkFirstSight(b *testing.B) {
	s, took, asked := newReporting(b), stages{}, false
	s.judge.analyzer, s.judge.policy = timedAnalyzer{s.judge.analyzer, took}, timedPolicy{s.judge.policy, took, &asked}
	for n := 1; b.Loop(); n++ {
		text := []byte(report(n))
		asked = false
		began := time.Now()
		s.judgeAgain(b, func() (*prepared, error) { return s.judge.read(b.Context(), text), nil })
		took.since(began, "p50-ns")
	}
	took.report(b)
}
