package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authz"
)

const routeConnect = `package sallyport.connect

decision := {"allow": true, "reasons": [], "role": "reader", "route": "replica"} if input.identity.user == "ana"

else := {"allow": true, "reasons": [], "role": "reader", "route": "nowhere"} if input.identity.user == "lost"

else := {"allow": true, "reasons": [], "role": "reader"}
`

// routed is a gateway whose database has a route to a server of its own.
func routed(t *testing.T) (p *passed, replica *fakePostgres) {
	t.Helper()
	play := asked(authn.MethodPassPassword, greets)
	policy := t.TempDir()
	replica = newFakePostgres(t, play)
	for name, text := range map[string]string{"connect.rego": routeConnect, "statement.rego": passStatement} {
		if err := os.WriteFile(filepath.Join(policy, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	engine, err := authz.New(authz.Config{Directory: policy})
	if err != nil {
		t.Fatal(err)
	}
	p = pass(t, authn.MethodPassPassword, play, func(cfg *Config) {
		byMD5(cfg)
		cfg.Policy = engine
		database := cfg.Databases["app"]
		route := Database{Backend: replica.config}
		route.Backend.Authentication = database.Backend.Authentication
		database.Routes = map[string]Database{"replica": route}
		cfg.Databases["app"] = database
	})
	return p, replica
}

// TestRoute: policy chooses where a session is opened. Operators see it, and it is in the audit log.
func TestRoute(t *testing.T) {
	p, replica := routed(t)
	ana, eve := p.begin(), p.startup("user", "eve", "database", "app")
	if !ana.isIn() {
		t.Fatalf("ana heard %q", ana.heard)
	}
	if heard := eve.login("eve", passPassword); heard[len(heard)-1] != "ReadyForQuery" {
		t.Fatalf("eve heard %q", heard)
	}
	if replica.dialled.Load() != 1 || p.postgres.dialled.Load() != 1 {
		t.Errorf("%d sessions at the route and %d elsewhere", replica.dialled.Load(), p.postgres.dialled.Load())
	}
	p.waitFor("both sessions", func() bool { return len(p.server.Sessions()) == 2 })
	for _, s := range p.server.Sessions() {
		if want := map[string]string{"ana": "replica"}[s.User]; s.Route != want || s.BackendHost != "127.0.0.1" {
			t.Errorf("%s has the route %q at %q, want %q", s.User, s.Route, s.BackendHost, want)
		}
	}
	for _, l := range []*loginAs{ana, eve} {
		l.answer(&pgproto3.Terminate{})
	}
	for _, event := range p.trail("connect") {
		if want := map[any]any{"ana": "replica"}[event["user"]]; event["route"] != want {
			t.Errorf("%v: route %v, want %v", event["user"], event["route"], want)
		}
	}
}

// TestRouteIsUnknown: what the configuration does not have is refused, and no other place is taken for it.
func TestRouteIsUnknown(t *testing.T) {
	p, replica := routed(t)
	heard := p.login("lost", passPassword)
	if last := heard[len(heard)-1]; !strings.HasPrefix(last, "FATAL|57P03|policy could not decide") {
		t.Errorf("heard %q", heard)
	}
	if replica.dialled.Load()+p.postgres.dialled.Load() != 0 {
		t.Error("a session was opened")
	}
	if got := p.ended(); got != "policy_failed 57P03" {
		t.Errorf("ended by %s", got)
	}
	if !strings.Contains(p.log.String(), `which database \"app\" does not have`) {
		t.Errorf("the log does not say why: %s", p.log)
	}
}

// newerPolicy is one that the relay has not asked yet.
type newerPolicy struct{ *fakePolicy }

// TestRouteIsWithdrawn: a policy that would have a session elsewhere ends it at its next statement; one that would not, does not.
func TestRouteIsWithdrawn(t *testing.T) {
	for route, want := range map[string]string{"replica": "D SELECT 1 ZI", "": "FATAL 57P01", "other": "FATAL 57P01"} {
		b := start(t, func(r *relay) {
			r.grant.Route = "replica"
			r.policy = newerPolicy{&fakePolicy{grants: authz.ConnectDecision{Route: route}}}
		})
		b.send(query("select"), &pgproto3.Terminate{})
		if got := strings.Join(b.rest(), " "); got != want {
			t.Errorf("route %q: got %s, want %s", route, got, want)
		}
		b.cause()
	}
}
