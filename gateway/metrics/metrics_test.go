package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// scrape returns the lines that the handler serves, without comments, those of the gateway only.
func scrape(t *testing.T, m *Metrics) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	series := make(map[string]string)
	for line := range strings.Lines(w.Body.String()) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(name, namespace) {
			series[name] = value
		}
	}
	return series
}

func TestLabelsAreClosed(t *testing.T) {
	m := New("idle", "killed")
	before := len(scrape(t, m))
	for _, label := range []string{"idle", "x", "y", "\xff", ""} {
		m.SessionEnds.Inc(label)
		m.AdmissionFailures.Inc(label)
		m.Logins.Inc(label, label)
		m.Statements.Inc("query", label)
		m.Statements.Inc(label, "allow")
	}
	after := scrape(t, m)
	if before != len(after) {
		t.Errorf("%d time series became %d", before, len(after))
	}
	for series, want := range map[string]string{
		`sallyport_session_ends_total{reason="other"}`:                   "4",
		`sallyport_session_ends_total{reason="idle"}`:                    "1",
		`sallyport_session_ends_total{reason="killed"}`:                  "0",
		`sallyport_logins_total{method="other",result="other"}`:          "5",
		`sallyport_statements_total{decision="allow",protocol="other"}`:  "5",
		`sallyport_statements_total{decision="deny",protocol="execute"}`: "0",
		`sallyport_credential_issue_failures_total{kind="unavailable"}`:  "0",
		`sallyport_statement_duration_seconds_bucket{le="+Inf"}`:         "0",
	} {
		if got := after[series]; got != want {
			t.Errorf("%s = %q, want %q", series, got, want)
		}
	}
}

func TestSourcesAreAskedForEveryScrape(t *testing.T) {
	m := New()
	n := 0.0
	count := func() float64 { n++; return n }
	zero := func() float64 { return 0 }
	m.Watch(Sources{RevocationsPending: count, CredentialsReady: zero, WorkerRestarts: zero, TextsAnalyzed: zero, TextCacheHits: zero, PolicyChecked: zero, Catalogs: noCatalogs, Tails: noTails, Places: noPlaces, Hosts: noHosts})
	scrape(t, m)
	if got := scrape(t, m)["sallyport_revocations_pending"]; got != "2" {
		t.Errorf("got %s, want 2", got)
	}
}

func noCatalogs() []Catalog { return nil }

func noTails() []Tail { return nil }

func noPlaces() []Place { return nil }

func noHosts() []Host { return nil }

func TestTails(t *testing.T) {
	m := New()
	zero := func() float64 { return 0 }
	m.Watch(Sources{zero, zero, zero, zero, zero, zero, noCatalogs, func() []Tail {
		return []Tail{{
			Receiver: "syslog", Delivered: 7, Lost: 2, Behind: 5, BehindTime: 90 * time.Second,
			Failing: "tls", Failures: map[string]uint64{"tls": 3, "network": 1},
		}}
	}, noPlaces, noHosts})
	series := scrape(t, m)
	for name, want := range map[string]string{
		`sallyport_audit_tail_delivered_events_total{receiver="syslog"}`:     "7",
		`sallyport_audit_tail_lost_events_total{receiver="syslog"}`:          "2",
		`sallyport_audit_tail_lag_events{receiver="syslog"}`:                 "5",
		`sallyport_audit_tail_lag_seconds{receiver="syslog"}`:                "90",
		`sallyport_audit_tail_failures_total{class="tls",receiver="syslog"}`: "3",
		`sallyport_audit_tail_failing{class="tls",receiver="syslog"}`:        "1",
		`sallyport_audit_tail_failing{class="network",receiver="syslog"}`:    "0",
	} {
		if got := series[name]; got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestCatalogsAreThoseOfNow(t *testing.T) {
	m := New()
	zero := func() float64 { return 0 }
	known := []Catalog{{Database: "app"}, {Database: "other", Generation: 7, Confirmed: time.Now().Add(-time.Minute), Opaque: 2, Read: 3, Unchanged: 40, Failed: 5}}
	m.Watch(Sources{zero, zero, zero, zero, zero, zero, func() []Catalog { return known }, noTails, noPlaces, noHosts})
	series := scrape(t, m)
	for name, want := range map[string]string{
		`sallyport_catalog_generation{database="app"}`:                           "0",
		`sallyport_catalog_age_seconds{database="app"}`:                          "+Inf", // never known
		`sallyport_catalog_generation{database="other"}`:                         "7",
		`sallyport_catalog_opaque_views{database="other"}`:                       "2",
		`sallyport_catalog_refreshes_total{database="other",result="read"}`:      "3",
		`sallyport_catalog_refreshes_total{database="other",result="unchanged"}`: "40",
		`sallyport_catalog_refreshes_total{database="other",result="failed"}`:    "5",
	} {
		if got := series[name]; got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if age := series[`sallyport_catalog_age_seconds{database="other"}`]; !strings.HasPrefix(age, "60.") {
		t.Errorf("age %s", age)
	}
	known = known[:1]
	if _, ok := scrape(t, m)[`sallyport_catalog_generation{database="other"}`]; ok {
		t.Error("a database that is gone is still there")
	}
}

func TestPolicyRevisionIsOneSeries(t *testing.T) {
	m := New()
	m.PolicyRevision("a")
	m.PolicyRevision("b")
	series := scrape(t, m)
	if series[`sallyport_policy_revision_info{revision="b"}`] != "1" {
		t.Error("the revision is missing")
	}
	if _, ok := series[`sallyport_policy_revision_info{revision="a"}`]; ok {
		t.Error("the revision before is still there")
	}
}

// TestMetricsFollowTheConventions runs Prometheus' own linter.
func TestMetricsFollowTheConventions(t *testing.T) {
	m := New("idle")
	zero := func() float64 { return 0 }
	one := func() []Catalog { return []Catalog{{Database: "app"}} }
	follower := func() []Tail { return []Tail{{Receiver: "nats", Failures: map[string]uint64{"tls": 1}}} }
	places := func() []Place { return []Place{{Database: "app"}} }
	tried := func() []Host { return []Host{{Host: "db:5432", Known: true}} }
	m.Watch(Sources{zero, zero, zero, zero, zero, zero, one, follower, places, tried})
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, namespace) {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	m := New("idle")
	n := testing.AllocsPerRun(100, func() {
		m.Statements.Inc("query", "allow")
		m.StatementDuration.Observe(1e-3)
		m.SessionEnds.Inc("idle")
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestHosts(t *testing.T) {
	m := New()
	zero := func() float64 { return 0 }
	m.Watch(Sources{zero, zero, zero, zero, zero, zero, noCatalogs, noTails, func() []Place {
		return []Place{{Database: "app", Open: 3, Waiting: 2, Most: 3}, {Database: "app", Route: "replica", Open: 1}}
	}, func() []Host {
		return []Host{{Host: "db1:5432", Known: true, Standby: true, Opened: 7}, {Host: "db2:5432", Failing: true, Failed: 4}}
	}})
	series := scrape(t, m)
	for name, want := range map[string]string{
		`sallyport_database_sessions{database="app",route=""}`:                   "3",
		`sallyport_database_sessions{database="app",route="replica"}`:            "1",
		`sallyport_database_sessions_waiting{database="app",route=""}`:           "2",
		`sallyport_database_sessions_max{database="app",route=""}`:               "3",
		`sallyport_backend_host_failing{host="db1:5432"}`:                        "0",
		`sallyport_backend_host_failing{host="db2:5432"}`:                        "1",
		`sallyport_backend_host_standby{host="db1:5432"}`:                        "1",
		`sallyport_backend_host_standby{host="db2:5432"}`:                        "", // nobody knows
		`sallyport_backend_host_sessions_total{host="db1:5432",result="ok"}`:     "7",
		`sallyport_backend_host_sessions_total{host="db2:5432",result="failed"}`: "4",
	} {
		if got := series[name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
