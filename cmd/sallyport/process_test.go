package main

import (
	"bytes"
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
