package gateway

import (
	"fmt"
	"slices"
	"testing"
	"time"

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
	names := &fakeCatalog{}
	names.become(reported(), nil)
	s.judge.catalog = names
	return s
}

func TestFirstSightIsAllowed(t *testing.T) {
	s := newReporting(t)
	p := s.judge.read(t.Context(), []byte(report(1)))
	if v, err := s.judge.decide(t.Context(), p); err != nil || !v.allow || !p.known.facts.Resolved || len(p.known.recorded.Relations()) != len(reportTables) {
		t.Errorf("got %+v, %v, %v", v, err, p.known.recorded.Relations())
	}
}

// BenchmarkFirstSight is what a statement costs that nobody has sent before: a join of ten tables, through a statement worker, the catalog and
// the default policy. It also tells the three apart.
func BenchmarkFirstSight(b *testing.B) {
	s := newReporting(b)
	took := map[string][]time.Duration{}
	for n := 1; b.Loop(); n++ {
		text := []byte(report(n))
		began := time.Now()
		part := began
		done := func(unit string) {
			took[unit] = append(took[unit], time.Since(part))
			part = time.Now()
		}
		p := s.judge.read(b.Context(), text)
		done("worker-p50-ns")
		s.judge.look(b.Context())
		s.judge.facts(p)
		done("catalog-p50-ns")
		s.judgeAgain(b, func() (*prepared, error) { return p, nil })
		done("policy-p50-ns")
		took["p50-ns"] = append(took["p50-ns"], part.Sub(began))
	}
	for unit, durations := range took {
		slices.Sort(durations)
		b.ReportMetric(float64(durations[len(durations)/2].Nanoseconds()), unit)
	}
	b.ReportMetric(float64(took["p50-ns"][len(took["p50-ns"])*99/100].Nanoseconds()), "p99-ns")
}
