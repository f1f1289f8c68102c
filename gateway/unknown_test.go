package gateway

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/catalog"
)

// emptyCatalog is one that does not know t.
func emptyCatalog() *catalog.Snapshot {
	return &catalog.Snapshot{Generation: generations.Add(1), Relations: map[statement.Name]*catalog.Relation{}}
}

// TestUnknownIsAskedAnew: a name that the snapshot does not know is judged by what it means now, however it is run; and each time it comes,
// for it may mean something since.
func TestUnknownIsAskedAnew(t *testing.T) {
	nothing := emptyCatalog()
	source := &fakeCatalog{current: nothing, fresh: nothing}
	b := startWithCatalog(t, source, false)
	receive := func(n int, want string) {
		t.Helper()
		if got := strings.Join(b.receive(n), " "); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	b.send(query("select t"), parse("s", "select t"), bind("", "s"), execute(""), syncMessage)
	receive(2, "D SELECT 1 ZI 1 2 D SELECT 1 ZI") // what is not there is PostgreSQL's to refuse
	if n := source.askedAnew(); n != 4 {
		t.Errorf("it was asked %d times, want once for each of four decisions", n)
	}
	source.becomesWhenAsked(catalogOf("secrets"))
	b.send(bind("", "s"), execute(""), syncMessage, query("execute s"), query("select t"), parse("", "select t"), syncMessage)
	receive(4, "E42501 ZI E42501 ZI E42501 ZI E42501 ZI")
	if n := source.askedAnew(); n != 5 {
		t.Errorf("it was asked %d times, and once more was enough", n)
	}
	b.end()
	if got := b.log.statements[0].Facts.Relations(); !slices.Equal(got, []string{"t select"}) {
		t.Errorf("recorded %q", got)
	}
}

// TestUnknownUnanswered: when the catalog does not say in time what a name means, what uses it is denied, and the client may try again.
func TestUnknownUnanswered(t *testing.T) {
	source := &fakeCatalog{current: emptyCatalog()}
	b := start(t, func(r *relay) {
		p := &secretsPolicy{}
		r.policy, r.grant.policy, r.catalog = p, p.Policy(), source
		r.timeouts.Decision = 20 * time.Millisecond
	})
	b.send(query("select t"))
	if got := strings.Join(b.receive(1), " "); got != "E58000 ZI" {
		t.Errorf("got %s", got)
	}
	source.becomesWhenAsked(catalogOf(""))
	b.send(query("select t"))
	if got := strings.Join(b.receive(1), " "); got != "D SELECT 1 ZI" {
		t.Errorf("once it answers: %s", got)
	}
}

// TestUnknownToObservers: they are not kept waiting.
func TestUnknownToObservers(t *testing.T) {
	source := &fakeCatalog{current: emptyCatalog(), fresh: catalogOf("secrets")}
	b := startWithCatalog(t, source, true)
	b.send(query("select t"))
	if got := strings.Join(b.receive(1), " "); got != "D SELECT 1 ZI" || source.askedAnew() != 0 {
		t.Errorf("got %s, asked %d times", got, source.askedAnew())
	}
}
