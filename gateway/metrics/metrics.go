// Package metrics has every metric of the gateway in one struct, on a registry of its own.
//
// Label values come from closed sets that are resolved when the struct is made: a client cannot make a new time series, and counting a
// statement looks nothing up. What is not in a set counts as "other".
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const namespace = "sallyport"

// Metrics are the gateway's metrics. All methods and fields are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	ConnectionsAccepted prometheus.Counter // client connections accepted by the listener
	ConnectionsActive   prometheus.Gauge   // … open now, authenticated or not
	SessionsActive      prometheus.Gauge   // sessions that have a backend now
	AdmissionFailures   Counters           // reason: ends before a session began
	SessionEnds         Counters           // reason: ends of sessions
	Logins              Pairs              // method, result: ok, failed, unfinished, unavailable
	LoginsThrottled     Counters           // result: delayed, refused
	TokenRechecks       Counters           // result: ok, rejected, unavailable
	Cancels             Counters           // result: forwarded, unknown, failed

	Statements        Pairs                // protocol, decision
	Denials           Counters             // sqlstate
	DecisionsLate     Counters             // stage: parser, catalog, policy
	LimitsReached     Counters             // limit
	StatementsDelayed prometheus.Counter   // statements that had to wait for their turn
	StatementDuration prometheus.Histogram // seconds from the client's message to the end of the answer
	JudgeDuration     prometheus.Histogram // seconds the gateway took to decide about a statement
	BytesIn           prometheus.Counter   // from clients
	BytesOut          prometheus.Counter   // to clients

	BackendConnectDuration prometheus.Histogram // seconds to open a backend session
	BackendConnectFailures prometheus.Counter

	CredentialIssueDuration prometheus.Histogram // seconds to be issued a credential
	CredentialsTaken        Counters             // from: stock, issuer
	CredentialIssueFailures Counters             // kind: unavailable, refused
	RevocationFailures      prometheus.Counter   // revocations given up: the lease ends by itself

	PolicyReloadFailures        prometheus.Counter
	PolicyReloaded              prometheus.Gauge // unix time of the policy in force
	ConfigurationReloads        prometheus.Counter
	ConfigurationReloadFailures prometheus.Counter
	policyRevision              *prometheus.GaugeVec

	ShadowDecisions      prometheus.Counter // decisions that both policies have made
	ShadowDifferences    Pairs              // kind: connect, statement; decision: newly_allowed, newly_denied, other_terms
	ShadowErrors         prometheus.Counter // the second policy had no answer
	ShadowDropped        prometheus.Counter // it was not asked, for there was too much to ask
	ShadowReloadFailures prometheus.Counter
	shadowRevision       *prometheus.GaugeVec

	databasesObserved *prometheus.GaugeVec

	AuditFailures     prometheus.Counter // events that could not be written
	AuditDeliveries   Pairs              // receiver: syslog, http, put; result: ok, failed
	CertificateExpiry prometheus.Gauge   // unix time
	CertificateErrors prometheus.Counter // failed reloads of the certificate

	UserlistReloadFailures prometheus.Counter
}

// New makes the metrics. reasons is the closed set of the labels of AdmissionFailures and SessionEnds.
func New(reasons ...string) *Metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	f := factory{r}
	m := &Metrics{registry: r}
	m.sessions(f, reasons)
	m.statements(f)
	m.backends(f)
	m.operation(f)
	m.shadow(f)
	return m
}

func (m *Metrics) sessions(f factory, reasons []string) {
	m.ConnectionsAccepted = f.counter("connections_accepted_total", "Client connections accepted.")
	m.ConnectionsActive = f.gauge("connections_active", "Client connections open, authenticated or not.")
	m.SessionsActive = f.gauge("sessions_active", "Sessions with a backend.")
	m.AdmissionFailures = f.counters("admission_failures_total", "Connections that ended before they were a session.", "reason", reasons...)
	m.SessionEnds = f.counters("session_ends_total", "Sessions ended.", "reason", reasons...)
	m.Logins = f.pairs("logins_total", "Attempts to authenticate.",
		"method", []string{
			"scram-sha-256", "md5", "oidc", "oauthbearer", "cert", "reject",
			"pass-through-password", "pass-through-scram-sha-256", "pass-through-md5",
		}, "result", []string{"ok", "failed", "unfinished", "unavailable"})
	m.LoginsThrottled = f.counters("logins_throttled_total", "Logins that failed ones before them held up.", "result", "delayed", "refused")
	m.TokenRechecks = f.counters("token_rechecks_total", "Answers of token issuers that were asked about a token.", "result", "ok", "rejected", "unavailable")
	m.Cancels = f.counters("cancels_total", "Cancel requests.", "result", "forwarded", "unknown", "failed")
}

func (m *Metrics) statements(f factory) {
	m.Statements = f.pairs("statements_total", "Statements judged.",
		"protocol", []string{"query", "parse", "bind", "execute", "function_call"}, "decision", []string{"allow", "deny", "observe"})
	m.Denials = f.counters("denials_total", "Statements denied, by what the client heard.", "sqlstate",
		"25006", "42501", "42601", "0A000", "08P01", "22021", "53000", "53400", "54000", "54001", "57P03", "58000", "58030")
	m.DecisionsLate = f.counters("decisions_late_total", "Statements denied because something was not done in time.", "stage", "parser", "catalog", "policy")
	m.LimitsReached = f.counters("limits_reached_total", "Limits of the policy that were reached.", "limit",
		"rows", "bytes", "rows_per_hour", "bytes_per_hour", "statements_per_second", "statement_timeout")
	m.StatementsDelayed = f.counter("statements_delayed_total", "Statements that had to wait because of a limit per second.")
	// From the cached decision on loopback (tens of microseconds) to the report that runs for minutes.
	m.StatementDuration = f.histogram("statement_duration_seconds", "From a statement's message to the end of its answer.",
		prometheus.ExponentialBuckets(50e-6, 4, 12))
	// A decision is cached (microseconds), parsed and evaluated (100 µs), or near its deadline.
	m.JudgeDuration = f.histogram("judge_duration_seconds", "What the gateway took to decide about a statement.",
		prometheus.ExponentialBuckets(1e-6, 4, 11))
	m.BytesIn = f.counter("client_received_bytes_total", "Bytes received from clients, within TLS.")
	m.BytesOut = f.counter("client_sent_bytes_total", "Bytes sent to clients, within TLS.")
}

func (m *Metrics) backends(f factory) {
	connecting := prometheus.ExponentialBuckets(1e-3, 2, 14)
	m.BackendConnectDuration = f.histogram("backend_connect_duration_seconds", "Opening a backend session.", connecting)
	m.BackendConnectFailures = f.counter("backend_connect_failures_total", "Backend sessions that could not be opened.")
	m.CredentialIssueDuration = f.histogram("credential_issue_duration_seconds", "Being issued a credential.", connecting)
	m.CredentialsTaken = f.counters("credentials_taken_total", "Credentials that sessions were given, by whether they lay ready.", "from", "stock", "issuer")
	m.CredentialIssueFailures = f.counters("credential_issue_failures_total", "Credentials that were not issued.", "kind", "unavailable", "refused")
	m.RevocationFailures = f.counter("revocation_failures_total", "Leases that could not be revoked and were left to end by themselves.")
}

func (m *Metrics) operation(f factory) {
	m.PolicyReloadFailures = f.counter("policy_reload_failures_total", "Policies that were refused; the one before stays in force.")
	m.PolicyReloaded = f.gauge("policy_loaded_timestamp_seconds", "When the policy in force was loaded.")
	m.policyRevision = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "policy_revision_info", Help: "The revision of the policy in force.",
	}, []string{"revision"})
	f.registry.MustRegister(m.policyRevision)
	m.ConfigurationReloads = f.counter("configuration_reloads_total", "Configurations reloaded.")
	m.ConfigurationReloadFailures = f.counter("configuration_reload_failures_total", "Configurations that were refused; the one before stays in force.")
	m.AuditFailures = f.counter("audit_append_failures_total", "Audit events that could not be written.")
	m.AuditDeliveries = f.pairs("audit_checkpoint_deliveries_total", "Checkpoints of the audit log that were sent to other machines.",
		"receiver", []string{"syslog", "http", "put"}, "result", []string{"ok", "failed"})
	m.CertificateExpiry = f.gauge("certificate_expiry_timestamp_seconds", "When the certificate that clients see expires.")
	m.CertificateErrors = f.counter("certificate_reload_failures_total", "Certificates that were refused; the one before stays in use.")
	m.UserlistReloadFailures = f.counter("userlist_reload_failures_total", "Userlists that were refused; the one before stays in use.")
}

func (m *Metrics) shadow(f factory) {
	m.ShadowDecisions = f.counter("policy_shadow_decisions_total", "Decisions that the shadow policy has made too.")
	m.ShadowDifferences = f.pairs("policy_shadow_differences_total", "Decisions that the shadow policy would have made otherwise.",
		"kind", []string{"connect", "statement"}, "decision", []string{"newly_allowed", "newly_denied", "other_terms"})
	m.ShadowErrors = f.counter("policy_shadow_errors_total", "Decisions that the shadow policy could not make.")
	m.ShadowDropped = f.counter("policy_shadow_dropped_total", "Decisions that the shadow policy was not asked about, for want of time.")
	m.ShadowReloadFailures = f.counter("policy_shadow_reload_failures_total", "Shadow policies that were refused; the one before stays in use.")
	m.shadowRevision = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "policy_shadow_revision_info", Help: "The revision of the shadow policy.",
	}, []string{"revision"})
	f.registry.MustRegister(m.shadowRevision)
	m.databasesObserved = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "database_policy_observed", Help: "Databases in which policy is observed and not enforced.",
	}, []string{"database"})
	f.registry.MustRegister(m.databasesObserved)
}

// Sources are numbers that other parts count themselves. They are asked for every scrape.
type Sources struct {
	RevocationsPending func() float64 // leases of ended sessions that are not revoked yet
	CredentialsReady   func() float64 // that were issued ahead and that nobody has taken yet
	WorkerRestarts     func() float64 // statement workers that died or were killed
	TextsAnalyzed      func() float64 // texts given to a statement worker
	TextCacheHits      func() float64 // texts whose facts were known
	PolicyChecked      func() float64 // unix time when the policy in force was last found to be the newest

	Catalogs func() []Catalog // of the databases that have one
	Tails    func() []Tail    // of the receivers that follow the audit log
	Places   func() []Place   // of all databases
	Hosts    func() []Host    // that were tried
}

// Watch registers the sources. It is called once.
func (m *Metrics) Watch(s Sources) {
	f := factory{m.registry}
	f.gaugeFunc("revocations_pending", "Leases of ended sessions that are not revoked yet.", s.RevocationsPending)
	f.gaugeFunc("credentials_ready", "Credentials that were issued ahead and that nobody has taken yet.", s.CredentialsReady)
	f.counterFunc("statement_worker_restarts_total", "Statement workers that died and were started again.", s.WorkerRestarts)
	f.counterFunc("statement_texts_analyzed_total", "Texts that a statement worker analyzed.", s.TextsAnalyzed)
	f.counterFunc("statement_text_cache_hits_total", "Texts whose facts were known.", s.TextCacheHits)
	f.gaugeFunc("policy_checked_timestamp_seconds", "When the policy in force was last found to be the newest.", s.PolicyChecked)
	f.registry.MustRegister(newCatalogs(s.Catalogs), newHosts(s.Places, s.Hosts), newTails(s.Tails))
}

// PolicyRevision says which policy is in force. Only the current one is a time series.
func (m *Metrics) PolicyRevision(revision string) {
	m.policyRevision.Reset()
	m.policyRevision.WithLabelValues(revision).Set(1)
}

// ShadowRevision says which policy is the shadow.
func (m *Metrics) ShadowRevision(revision string) {
	m.shadowRevision.Reset()
	m.shadowRevision.WithLabelValues(revision).Set(1)
}

// DatabasesObserved says in which databases policy is not enforced. They are those of the configuration, not of clients.
func (m *Metrics) DatabasesObserved(names []string) {
	m.databasesObserved.Reset()
	for _, name := range names {
		m.databasesObserved.WithLabelValues(name).Set(1)
	}
}

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
