package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/e2e/stack"
)

// operator is somebody who uses the control API by the command.
type operator struct {
	url string
	env []string
	arg []string
}

// onCall is the operator with a token of the OpenID provider.
func onCall(t *testing.T, g *stack.Gateway) operator {
	t.Helper()
	token, err := shared.services.OperatorToken(t.Context(), stack.Operator)
	if err != nil {
		t.Fatal(err)
	}
	return operator{url: g.AdminURL, env: []string{"SALLYPORT_OPERATOR_TOKEN=" + token}}
}

// run runs "sallyport sessions".
func (o operator) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), shared.binary, append(append([]string{"sessions"}, args...), append(o.arg, "--url", o.url)...)...)
	cmd.Env = append(os.Environ(), o.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must runs a command that succeeds.
func (o operator) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := o.run(t, args...)
	if err != nil {
		t.Fatalf("sallyport sessions %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// running is a client program in the background.
type running struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

// sleeps has psql run a long statement.
func sleeps(t *testing.T, l login) *running {
	t.Helper()
	r := &running{cmd: exec.CommandContext(t.Context(), "psql", "-X", "-v", "VERBOSITY=verbose", "-c", "select pg_sleep(60)")}
	r.cmd.Env = append(os.Environ(), l.environment(t)...)
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

// wait returns what it has printed.
func (r *running) wait() string {
	_ = r.cmd.Wait()
	return r.out.String()
}

// listedBy finds the one session with an application name that does something.
func (o operator) listedBy(t *testing.T, application, state string) (id, role string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		var answer struct {
			Sessions []struct {
				ID          string
				Application string `json:"application_name"`
				State       string
				Role        string `json:"backend_role"`
			}
		}
		out, err := o.run(t, "list", "--json")
		if err != nil { // it was asked too often, for instance
			return fmt.Errorf("%w: %s", err, out)
		}
		if err := json.Unmarshal([]byte(out), &answer); err != nil {
			return err
		}
		for _, s := range answer.Sessions {
			if s.Application == application && s.State == state {
				id, role = s.ID, s.Role
				return nil
			}
		}
		return fmt.Errorf("no session of %s is %s", application, state)
	})
	return id, role
}

// actions waits for n events of operators in the audit, and returns them in order: "action result".
func actions(t *testing.T, g *stack.Gateway, n int) (lines []string, all []operatorAction) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		if lines, all = recorded(t, g); len(lines) < n {
			return fmt.Errorf("audit has %q", lines)
		}
		return nil
	})
	return lines, all
}

func recorded(t *testing.T, g *stack.Gateway) (lines []string, all []operatorAction) {
	t.Helper()
	data, err := os.ReadFile(g.Audit)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data[:bytes.LastIndexByte(data, '\n')+1]) {
		var a operatorAction
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatal(err)
		}
		if a.Type == "operator_action" {
			lines, all = append(lines, a.Action+" "+a.Result), append(all, a)
		}
	}
	return lines, all
}

// operatorAction is an event of an operator.
type operatorAction struct {
	Type, ID, Action, Result, Session string
	User, Issuer, Subject             string
	Operator                          string
	Method                            string `json:"operator_method"`
	OperatorIssuer                    string `json:"operator_issuer"`
	OperatorSubject                   string `json:"operator_subject"`
	Client                            string `json:"client_address"`
	Reason                            string `json:"stated_reason"`
	Expires                           string
	Ended                             []string `json:"ended_sessions"`
}

// TestOperatorEndsAStatement: psql is in the middle of a statement when an operator ends its session, its backend session and its role.
func TestOperatorEndsAStatement(t *testing.T) {
	g := ownGateway(t, nil)
	o := onCall(t, g)
	psql := sleeps(t, login{gateway: g, account: stack.DBA, application: "sleeper"})
	id, role := o.listedBy(t, "sleeper", "active")
	out := o.must(t, "end", id, "--reason", "INC-7 runaway")
	if want := "session " + id + " of " + stack.DBA + " ended\n"; out != want {
		t.Errorf("the operator reads %q, want %q", out, want)
	}
	if said := psql.wait(); !strings.Contains(said, "FATAL:  57P01: terminating connection: terminated by an operator") {
		t.Errorf("psql says %s", said)
	}
	// The answer came when all was over.
	if n := value(t, superuser(t, "postgres"), "SELECT count(*)::text FROM pg_stat_activity WHERE usename = $1", role); n != "0" {
		t.Errorf("%s database sessions of the role are left", n)
	}
	roleGone(t, role, goneWithin)
	all := ended(t, g, "sleeper")
	if end := find(all, "session_end", "")[0]; end.Reason != "killed" || end.SQLState != "57P01" || end.Revocation == "none" {
		t.Errorf("%+v", end)
	}
	lines, actions := actions(t, g, 2)
	if strings.Join(lines, ", ") != "end begun, end done" {
		t.Fatalf("audit has %q", lines)
	}
	begun, done := actions[0], actions[1]
	if begun.ID == "" || begun.ID != done.ID || len(done.Ended) != 1 || done.Ended[0] != id {
		t.Errorf("audit has %+v and %+v", begun, done)
	}
	want := operatorAction{
		Type: "operator_action", ID: begun.ID, Action: "end", Result: "begun", Session: id, User: stack.DBA, Operator: stack.Operator, Method: "oidc",
		OperatorIssuer: shared.services.OpenID.Issuer(), OperatorSubject: "c0ffee05", Client: "127.0.0.1", Reason: "INC-7 runaway",
	}
	if fmt.Sprint(begun) != fmt.Sprint(want) {
		t.Errorf("audit has %+v\nwant %+v", begun, want)
	}
}

// TestRefusedUntilLifted: all sessions of an identity end, and it stays outside, over a restart too, until that is lifted.
func TestRefusedUntilLifted(t *testing.T) {
	g := ownGateway(t, nil)
	o := onCall(t, g)
	bystander := login{gateway: g, account: stack.Engineer}.connect(t)
	dba := login{gateway: g, account: stack.DBA, application: "refused"}
	psql := sleeps(t, dba)
	id, role := o.listedBy(t, "refused", "active")
	idle := login{gateway: g, account: stack.DBA, application: "refused-idle"}.connect(t)
	out := o.must(t, "refuse", stack.DBA, "--reason", "INC-8 laptop stolen", "--for", "8h")
	if !strings.HasPrefix(out, stack.DBA+" is refused\n") || strings.Count(out, " ended\n") != 2 || !strings.Contains(out, id) {
		t.Errorf("the operator reads %q", out)
	}
	if said := psql.wait(); !strings.Contains(said, "FATAL:  57P01: ") {
		t.Errorf("psql says %s", said)
	}
	if _, err := idle.Exec(t.Context(), "SELECT 1"); sqlstate(t, err) != "57P01" {
		t.Errorf("the idle session: %v", err)
	}
	roleGone(t, role, goneWithin)

	const refusal = "FATAL:  logins of this identity are refused by an operator"
	again := func(when string) {
		t.Helper()
		if said := sleeps(t, dba).wait(); !strings.Contains(said, refusal) {
			t.Errorf("%s psql says %s", when, said)
		}
		wrong := dba
		wrong.password = "no token"
		if said := sleeps(t, wrong).wait(); !strings.Contains(said, "FATAL:  password authentication failed") {
			t.Errorf("%s, who proves nothing hears %s", when, said)
		}
	}
	again("refused:")
	value(t, bystander, "SELECT 'unharmed'")
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	again("after a restart:")
	if list := o.must(t, "refusals"); !strings.Contains(list, stack.DBA) || !strings.Contains(list, stack.Operator) || !strings.Contains(list, "INC-8 laptop stolen") {
		t.Errorf("refusals:\n%s", list)
	}
	if out := o.must(t, "lift", stack.DBA, "--reason", "INC-8 found"); out != stack.DBA+" is let in again\n" {
		t.Errorf("the operator reads %q", out)
	}
	execute(t, login{gateway: g, account: stack.DBA}.connect(t), "SELECT 1")
	if out, err := o.run(t, "lift", stack.DBA, "--reason", "again"); err == nil || !strings.Contains(out, "404: no such refusal") {
		t.Errorf("a second time: %v %s", err, out)
	}
	lines, all := actions(t, g, 6)
	if got, want := strings.Join(lines, ", "), "refuse begun, refuse done, lift begun, lift done, lift begun, lift not_found"; got != want {
		t.Fatalf("audit has %s\nwant %s", got, want)
	}
	if a := all[1]; a.User != stack.DBA || a.Reason != "INC-8 laptop stolen" || len(a.Ended) != 2 || a.Expires == "" || a.Operator != stack.Operator {
		t.Errorf("audit has %+v", a)
	}
	refused := 0
	for _, e := range events(t, g) {
		if e.Type == "login_refused" && e.Reason == "refused" && e.SQLState == "28000" && e.ClaimedUser == stack.DBA {
			refused++
		}
	}
	if refused != 2 {
		t.Errorf("%d login_refused, want 2", refused)
	}
}

// TestRefusedBySubject: whatever account somebody logs in to.
func TestRefusedBySubject(t *testing.T) {
	g := ownGateway(t, nil)
	o := onCall(t, g)
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	o.must(t, "refuse", "--issuer", shared.services.OpenID.Issuer(), "--subject", "c0ffee01", "--reason", "left")
	if _, err := conn.Exec(t.Context(), "SELECT 1"); sqlstate(t, err) != "57P01" {
		t.Errorf("the session: %v", err)
	}
	if _, err := (login{gateway: g, account: stack.Analyst}).open(t); sqlstate(t, err) != "28000" {
		t.Errorf("a new login: %v", err)
	}
	value(t, login{gateway: g, account: stack.Engineer}.connect(t), "SELECT 'unharmed'")
	o.must(t, "lift", "--issuer", shared.services.OpenID.Issuer(), "--subject", "c0ffee01", "--reason", "is back")
	value(t, login{gateway: g, account: stack.Analyst}.connect(t), "SELECT 'in again'")
}

// TestOperatorsByCertificate: over TLS, by the name in a client certificate, read-only ones too.
func TestOperatorsByCertificate(t *testing.T) {
	services := shared.services
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		c.Admin.TLS = &stack.TLSConfig{Certificate: "tls/server.crt", Key: "tls/server.key", ClientCA: "tls/clients-ca.crt"}
		c.Admin.Operators = append(c.Admin.Operators,
			stack.OperatorConfig{Kind: "spiffe", Name: "spiffe://example.test/ns/*/breakglass"},
			stack.OperatorConfig{Kind: "cn", Name: "auditor", Role: "read"})
	})
	by := func(authority *certs.Authority, name string, ids ...string) operator {
		request := certs.Request{CommonName: name, Client: true}
		for _, id := range ids {
			u, err := url.Parse(id)
			if err != nil {
				t.Fatal(err)
			}
			request.URIs = append(request.URIs, u)
		}
		pair := issued(t, authority, request)
		return operator{url: g.AdminURL, arg: []string{"--certificate", pair["sslcert"], "--key", pair["sslkey"], "--ca-file", g.CAFile}}
	}
	breakglass := by(services.Clients, "", "spiffe://example.test/ns/prod/breakglass")
	auditor, batch := by(services.Clients, "auditor"), by(services.Clients, stack.Batch)
	conn := login{gateway: g, account: stack.Analyst, application: "cert"}.connect(t)
	id, _ := auditor.listedBy(t, "cert", "idle")
	for name, test := range map[string]struct {
		operator
		want string
	}{
		"read only":           {auditor, "403: you are known, but may not do this"},
		"no operator":         {batch, "403: you are known, but may not do this"},
		"another authority's": {by(foreign(t), "auditor"), "unknown certificate authority"},
		"no certificate":      {operator{url: g.AdminURL, env: []string{"SALLYPORT_OPERATOR_TOKEN=x"}, arg: []string{"--ca-file", g.CAFile}}, "401: "},
	} {
		if out, err := test.run(t, "end", id, "--reason", "mischief"); err == nil || !strings.Contains(out, test.want) {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
	value(t, conn, "SELECT 'unharmed'")
	breakglass.must(t, "end", id, "--reason", "INC-9")
	if _, err := conn.Exec(t.Context(), "SELECT 1"); sqlstate(t, err) != "57P01" {
		t.Errorf("the session: %v", err)
	}
	onCall := onCall(t, g)
	onCall.arg = []string{"--ca-file", g.CAFile}
	onCall.must(t, "list")
	_, all := actions(t, g, 4)
	var got []string
	for _, a := range all {
		got = append(got, strings.Join([]string{a.Action, a.Result, a.Method, a.Operator, a.OperatorSubject}, " "))
	}
	forbidden := "end forbidden cert auditor auditor"
	nobody := "end forbidden cert  CN=" + stack.Batch
	done := "end done cert spiffe://example.test/ns/prod/breakglass spiffe://example.test/ns/prod/breakglass"
	text := strings.Join(got, "\n")
	if len(got) != 4 || !strings.Contains(text, forbidden) || !strings.Contains(text, nobody) || got[3] != done {
		t.Errorf("audit has\n%s", text)
	}
}

// request is one of the control API by hand.
func request(t *testing.T, g *stack.Gateway, method, path, token, kind, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, g.AdminURL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// TestOperatorTokens: a token for databases is none for the control API, one of somebody else is forbidden, and the shared one only reads.
func TestOperatorTokens(t *testing.T) {
	g := shared.gateway
	const json, body = "application/json", `{"reason": "mischief"}`
	dba, err := shared.services.OperatorToken(t.Context(), stack.DBA)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		token     string
		list, end int
	}{
		"for databases":  {shared.tokens[stack.DBA], 401, 401},
		"of no operator": {dba, 403, 403},
		"shared":         {g.AdminToken, 200, 403},
		"none":           {"", 401, 401},
		"shared and x":   {g.AdminToken + "x", 401, 401},
	} {
		if status, text := request(t, g, http.MethodGet, "/sessions", test.token, "", ""); status != test.list {
			t.Errorf("%s: list: %d %s", name, status, text)
		}
		if status, text := request(t, g, http.MethodPost, "/sessions/x/end", test.token, json, body); status != test.end {
			t.Errorf("%s: end: %d %s", name, status, text)
		}
	}
	// And not the other way round.
	if _, err := (login{account: stack.DBA, password: dba}).open(t); sqlstate(t, err) != "28P01" {
		t.Errorf("a token for the control API lets into a database: %v", err)
	}
}
