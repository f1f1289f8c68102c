package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/gateway/config"
)

const configuration = `listen: 127.0.0.1:0
tls: {certificate: server.crt, key: server.key}
admin: {listen: 127.0.0.1:0, token_file: admin.token}
authentication:
  userlist: userlist.txt
  rules: [{method: scram-sha-256}]
policy: {directory: policies}
vault: {address: "http://127.0.0.1:1", auth: {method: token, token_file: vault.token}}
databases:
  app: {host: localhost, tls: {ca_file: ca.crt}, vault_roles: {readonly: ro}}
audit: {file: audit.log}
timeouts: {drain: 1s}
`

// notRunning are the checks that fail for what was assembled but does not run, and has no key to sign with.
var notRunning = []string{"vault", "statements", "audit_signed", "audit_checkpoints"}

const adminToken = "an-admin-token-of-some-length"

// deploy writes configuration and all that it refers to into a new current directory. No Vault answers at its address.
func deploy(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	authority, err := certs.New("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	if err := authority.WriteFiles(".", "server", certs.Request{CommonName: "localhost", DNSNames: []string{"localhost"}, Server: true}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("policies", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, "sallyport.yaml", configuration)
	write(t, "admin.token", adminToken+"\n")
	write(t, "vault.token", "hvs.token\n")
	write(t, "userlist.txt", `"ana" "secret"`+"\n")
	write(t, "policies/connect.rego", "package sallyport.connect\n\ndecision := {\"allow\": input.identity.user != \"\", \"reasons\": [], \"role\": \"readonly\"}\n")
	write(t, "policies/statement.rego", "package sallyport.statement\n\ndecision := {\"allow\": input.statement.complete, \"reasons\": []}\n")
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// newProcess assembles what deploy has written.
func newProcess(t *testing.T) (*process, *bytes.Buffer) {
	t.Helper()
	c, err := config.Load("sallyport.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	level := new(slog.LevelVar)
	p, err := assemble(c, level, newLogger(c.Log, level, log))
	if err != nil {
		t.Fatal(err)
	}
	return p, log
}

func (p *process) get(path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	(*p.admin.Load()).ServeHTTP(w, r)
	return w
}

// failing lists the checks of /readyz that are not good.
func (p *process) failing() []string {
	var names []string
	for _, check := range p.ready() {
		if !check.OK {
			names = append(names, check.Name)
		}
	}
	return names
}

// events lists the audit's events about the gateway: "type action", and "refused" for those with an error.
func events(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile("audit.log")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(content)) {
		var event struct{ Type, Action, Error string }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		if event.Type == "tree" || event.Type == "checkpoint" {
			continue
		}
		name := strings.TrimSpace(event.Type + " " + event.Action)
		if event.Error != "" {
			name += " refused"
		}
		got = append(got, name)
	}
	return got
}

func TestRunAnswersSignals(t *testing.T) {
	defer goleak.VerifyNone(t)
	deploy(t)
	p, _ := newProcess(t)
	signals := make(chan os.Signal, 2)
	signals <- syscall.SIGHUP
	signals <- syscall.SIGTERM
	if err := p.run(t.Context(), signals); err != nil {
		t.Error(err)
	}
	if err := p.close(); err != nil {
		t.Error(err)
	}
	want := []string{"configuration_change start", "configuration_change reload", "configuration_change stop"}
	if diff := cmp.Diff(want, events(t)); diff != "" {
		t.Error(diff)
	}
}

func TestRunFailsWhenItCannotListen(t *testing.T) {
	deploy(t)
	p, _ := newProcess(t)
	defer p.close()
	p.config.Listen = "192.0.2.1:1"
	if err := p.run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "sallyport.yaml:1: listen: ") {
		t.Errorf("got %v", err)
	}
}

func TestReady(t *testing.T) {
	deploy(t)
	p, _ := newProcess(t)
	defer p.close()
	if diff := cmp.Diff(notRunning, p.failing()); diff != "" {
		t.Error(diff)
	}
	if w := p.get("/readyz", ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", w.Code)
	}
	p.draining.Store(true)
	if diff := cmp.Diff(append([]string{"serving"}, notRunning...), p.failing()); diff != "" {
		t.Error(diff)
	}
	if err := p.certificateValid(p.certificate.Leaf().NotAfter.Add(1)); err == nil {
		t.Error("an expired certificate is good")
	}
}

func TestReloadKeepsTheOld(t *testing.T) {
	tests := map[string]struct {
		file, content string
		failing       string // in /readyz, beside vault
		metric        string
		events        []string
	}{
		"configuration": {"sallyport.yaml", configuration + "colour: blue\n", "configuration_reload", "sallyport_configuration_reload_failures_total 1", []string{"configuration_change reload refused"}},
		"userlist":      {"userlist.txt", "ana secret\n", "configuration_reload", "sallyport_configuration_reload_failures_total 1", []string{"configuration_change reload refused"}},
		"admin token":   {"admin.token", "short", "configuration_reload", "sallyport_configuration_reload_failures_total 1", []string{"configuration_change reload refused"}},
		"policy":        {"policies/statement.rego", "package", "policy_reload", "sallyport_policy_reload_failures_total 1", []string{"policy_change refused", "configuration_change reload"}},
		"certificate":   {"server.crt", "no certificate", "certificate_reload", "sallyport_certificate_reload_failures_total 1", []string{"configuration_change reload"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			deploy(t)
			p, log := newProcess(t)
			defer p.close()
			leaf, revision := p.certificate.Leaf(), p.policy.Status().Revision
			good, err := os.ReadFile(test.file)
			if err != nil {
				t.Fatal(err)
			}
			write(t, test.file, test.content)
			p.reload()
			if diff := cmp.Diff(append(slices.Clone(notRunning), test.failing), p.failing()); diff != "" {
				t.Error(diff)
			}
			if !strings.Contains(p.get("/metrics", "").Body.String(), test.metric+"\n") {
				t.Errorf("%s is missing", test.metric)
			}
			if diff := cmp.Diff(test.events, events(t)); diff != "" {
				t.Error(diff)
			}
			if !strings.Contains(log.String(), "not reloaded") && !strings.Contains(log.String(), "still") && !strings.Contains(log.String(), "stays") {
				t.Errorf("the log does not say so: %s", log)
			}
			if p.certificate.Leaf() != leaf || p.policy.Status().Revision != revision || p.get("/sessions", adminToken).Code != http.StatusOK {
				t.Error("something has changed")
			}
			write(t, test.file, string(good))
			p.reload()
			if diff := cmp.Diff(notRunning, p.failing()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestObservedDatabasesAreSaid: at start and at every reload, until policy is enforced.
func TestObservedDatabasesAreSaid(t *testing.T) {
	deploy(t)
	write(t, "sallyport.yaml", strings.Replace(configuration, "app: {host", "app: {enforcement: observe, host", 1))
	p, log := newProcess(t)
	defer p.close()
	const metric = `sallyport_database_policy_observed{database="app"} 1`
	said := func() int {
		return strings.Count(log.String(), `"level":"WARN","msg":"policy is observed and not enforced","database":"app"`)
	}
	if said() != 1 || !strings.Contains(p.get("/metrics", "").Body.String(), metric) {
		t.Errorf("it is not said: %s", log)
	}
	p.reload()
	if said() != 2 {
		t.Error("a reload does not say it")
	}
	write(t, "sallyport.yaml", configuration)
	p.reload()
	if said() != 2 || strings.Contains(p.get("/metrics", "").Body.String(), metric) {
		t.Error("it is said of a database where policy is enforced")
	}
}

// TestShadowIsAPartOfItsOwn: a second policy is loaded, shown and reloaded beside the first; a bad one is no reason not to be ready.
func TestShadowIsAPartOfItsOwn(t *testing.T) {
	defer goleak.VerifyNone(t)
	deploy(t)
	write(t, "sallyport.yaml", strings.Replace(configuration, "{directory: policies}", "{directory: policies, shadow: shadow}", 1))
	if err := os.CopyFS("shadow", os.DirFS("policies")); err != nil {
		t.Fatal(err)
	}
	write(t, "shadow/data.json", `{"x": 1}`)
	p, log := newProcess(t)
	defer p.close()
	revision := p.shadow.Status().Revision
	if revision == p.policy.Status().Revision || p.server == nil {
		t.Fatal("the second policy is the first")
	}
	if body := p.get("/readyz", "").Body.String(); !strings.Contains(body, `{"name":"policy_shadow","ok":true,"message":"revision `+revision+`","advisory":true}`) {
		t.Errorf("/readyz: %s", body)
	}
	write(t, "shadow/data.json", `{"x": `)
	p.reload()
	if diff := cmp.Diff(append(slices.Clone(notRunning), "policy_shadow"), p.failing()); diff != "" {
		t.Error(diff)
	}
	metrics := p.get("/metrics", "").Body.String()
	for _, want := range []string{"sallyport_policy_shadow_reload_failures_total 1\n", `sallyport_policy_shadow_revision_info{revision="` + revision + `"} 1`, "sallyport_policy_reload_failures_total 0\n"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if !strings.Contains(log.String(), `"policy":"shadow"`) {
		t.Errorf("the log does not say which policy: %s", log)
	}
	write(t, "shadow/data.json", `{"x": 2}`)
	signals := make(chan os.Signal, 2)
	signals <- syscall.SIGHUP
	signals <- syscall.SIGTERM
	if err := p.run(t.Context(), signals); err != nil {
		t.Error(err)
	}
	if status := p.shadow.Status(); status.Err != nil || status.Revision == revision {
		t.Errorf("the second policy was not reloaded: %+v", status)
	}
}

func TestReloadReplaces(t *testing.T) {
	deploy(t)
	p, log := newProcess(t)
	defer p.close()
	const next = "another-admin-token-of-some-length"
	write(t, "admin.token", next)
	write(t, "sallyport.yaml", strings.Replace(configuration, "drain: 1s", "drain: 2s", 1)+"log: {level: debug}\n")
	if err := os.Rename("audit.log", "audit.log.1"); err != nil {
		t.Fatal(err)
	}
	p.reload()
	if p.get("/sessions", adminToken).Code != http.StatusUnauthorized || p.get("/sessions", next).Code != http.StatusOK {
		t.Error("the token was not replaced")
	}
	if p.level.Level() != slog.LevelDebug {
		t.Error("the level was not replaced")
	}
	if !strings.Contains(log.String(), `"key":"timeouts.drain"`) {
		t.Errorf("the log does not say what needs a restart: %s", log)
	}
	if diff := cmp.Diff([]string{"configuration_change reload"}, events(t)); diff != "" {
		t.Error(diff)
	}
}

// TestChangesAreRecorded: what was in force before, what is now, and what is not yet.
func TestChangesAreRecorded(t *testing.T) {
	deploy(t)
	p, _ := newProcess(t)
	defer p.close()
	digest, revision := p.config.Digest, p.policy.Status().Revision
	write(t, "sallyport.yaml", strings.Replace(configuration, "drain: 1s", "drain: 2s", 1))
	write(t, "policies/statement.rego", "package sallyport.statement\n\ndecision := {\"allow\": false, \"reasons\": [\"no\"]}\n")
	p.reload()
	write(t, "sallyport.yaml", "nonsense")
	p.reload()
	content, err := os.ReadFile("audit.log")
	if err != nil {
		t.Fatal(err)
	}
	next := p.policy.Status().Revision
	if revision == next || p.digest == digest {
		t.Fatal("nothing has changed")
	}
	for _, want := range []string{
		`"type":"policy_change","session":"","policy_revision":"` + next + `","previous_revision":"` + revision + `"}`,
		`"action":"reload","file":"sallyport.yaml","digest":"` + p.digest + `","previous_digest":"` + digest + `","pending":["timeouts.drain"]}`,
		`"action":"reload","file":"sallyport.yaml","previous_digest":"` + p.digest + `","error":`,
	} {
		if !strings.Contains(string(content), want) {
			t.Errorf("there is no %s in\n%s", want, content)
		}
	}
}

// operator makes a request of the control API as somebody with a certificate.
func (p *process) operator(t *testing.T, name, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return p.requests(r, p.vouched(t, name))
}

// vouched makes a certificate, whose authority is admin.tls.client_ca from then on.
func (p *process) vouched(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	authority, err := certs.New("Operators")
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := authority.Issue(certs.Request{CommonName: name, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, "ca.crt", string(authority.CertPEM()))
	if err := p.adminCertificate.Reload(); err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

// requests makes a request over a connection on which a certificate was shown.
func (p *process) requests(r *http.Request, shown *x509.Certificate) *httptest.ResponseRecorder {
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{shown}}
	w := httptest.NewRecorder()
	(*p.admin.Load()).ServeHTTP(w, r)
	return w
}

// operated is a configuration with operators.
var operated = strings.Replace(configuration, "token_file: admin.token}",
	"token_file: admin.token, refusals_file: refusals, tls: {certificate: server.crt, key: server.key, client_ca: ca.crt}, operators: [{kind: cn, name: boss}]}", 1)

// TestOperatorOfAnotherAuthority: a connection outlives the authority of the certificate that was shown on it. Who shows it is nobody then.
func TestOperatorOfAnotherAuthority(t *testing.T) {
	deploy(t)
	write(t, "sallyport.yaml", operated)
	p, _ := newProcess(t)
	defer func() { _ = p.close() }()
	asks := func(shown *x509.Certificate) int {
		return p.requests(httptest.NewRequest("GET", "/refusals", nil), shown).Code
	}
	before := p.vouched(t, "boss")
	if got := asks(before); got != http.StatusOK {
		t.Fatalf("status %d", got)
	}
	after := p.vouched(t, "boss")
	if got := []int{asks(before), asks(after)}; !slices.Equal(got, []int{http.StatusUnauthorized, http.StatusOK}) {
		t.Errorf("status %d", got)
	}
}

// TestOperatorsAreRecorded: what is done, before and after, and what is not, because it cannot be.
func TestOperatorsAreRecorded(t *testing.T) {
	deploy(t)
	write(t, "sallyport.yaml", operated)
	p, _ := newProcess(t)
	for path, body := range map[string]string{"/refusals": `{"user": "eve", "reason": "INC-1"}`, "/sessions/x/end": `{"reason": "INC-1"}`} {
		want := map[string]int{"/refusals": 200, "/sessions/x/end": 404}[path]
		if w := p.operator(t, "boss", "POST", path, body); w.Code != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := p.operator(t, "boss", "GET", "/refusals", ""); !strings.Contains(w.Body.String(), `"user":"eve","reason":"INC-1","by":"boss"`) {
		t.Errorf("refusals: %s", w.Body)
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	got := events(t)
	slices.Sort(got)
	if diff := cmp.Diff([]string{"operator_action end", "operator_action end", "operator_action refuse", "operator_action refuse"}, got); diff != "" {
		t.Error(diff)
	}
	content, err := os.ReadFile("audit.log")
	if err != nil {
		t.Fatal(err)
	}
	const want = `"action":"refuse","operator":"boss","operator_method":"cert","operator_issuer":"CN=Operators","operator_subject":"boss","client_address":"192.0.2.1","user":"eve","stated_reason":"INC-1","result":"done"}`
	if !strings.Contains(string(content), want) {
		t.Errorf("there is no %s in\n%s", want, content)
	}
	if w := p.operator(t, "boss", "POST", "/refusals/lift", `{"user": "eve", "reason": "found"}`); w.Code != http.StatusServiceUnavailable {
		t.Errorf("with a log that is closed: %d %s", w.Code, w.Body)
	}

	again, _ := newProcess(t)
	defer again.close()
	if list := again.refusals.All(); len(list) != 1 || list[0].User != "eve" {
		t.Errorf("after a restart: %+v", list)
	}
}

// TestRefusalsNeedARestart: the list is one for the process's life.
func TestRefusalsNeedARestart(t *testing.T) {
	deploy(t)
	write(t, "sallyport.yaml", operated)
	p, log := newProcess(t)
	defer p.close()
	write(t, "sallyport.yaml", strings.Replace(operated, "refusals_file: refusals", "refusals_file: others", 1))
	p.reload()
	if !strings.Contains(log.String(), `"key":"admin.refusals_file"`) {
		t.Errorf("the log does not say so: %s", log)
	}
	if w := p.operator(t, "boss", "POST", "/refusals", `{"user": "eve", "reason": "INC-1"}`); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if text, err := os.ReadFile("refusals"); err != nil || !strings.Contains(string(text), "eve") {
		t.Errorf("%s %v", text, err)
	}
}

func TestAssembleRefuses(t *testing.T) {
	tests := map[string]struct{ file, content, want string }{
		"certificate": {"server.key", "x", "sallyport.yaml:2: tls: "},
		"userlist":    {"userlist.txt", "x", "sallyport.yaml:5: authentication.userlist: "},
		"refusals":    {"refusals", "x", "sallyport.yaml:3: admin.refusals_file: who is refused is not known, so nobody is let in"},
		"admin token": {"admin.token", "x", "sallyport.yaml:3: admin.token_file: "},
		"policy":      {"policies/statement.rego", "x", "sallyport.yaml:7: policy.directory: "},
		"shadow":      {"sallyport.yaml", strings.Replace(configuration, "{directory: policies}", "{directory: policies, shadow: nowhere}", 1), "sallyport.yaml:7: policy.shadow: "},
		"backend CA":  {"ca.crt", "x", "sallyport.yaml:10: databases.app.tls: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			deploy(t)
			if test.file == "refusals" {
				write(t, "sallyport.yaml", operated)
			}
			write(t, test.file, test.content)
			c, err := config.Load("sallyport.yaml", nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = assemble(c, new(slog.LevelVar), slog.New(slog.DiscardHandler))
			if err == nil || !strings.HasPrefix(fmt.Sprint(err), test.want) {
				t.Errorf("got %v, want %s…", err, test.want)
			}
		})
	}
}
