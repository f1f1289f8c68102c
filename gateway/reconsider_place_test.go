package gateway

import (
	"errors"
	"maps"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/authn"
)

const unconfiguredText = "FATAL 57P01 terminating connection because its database is no longer configured"

// TestReconsiderPlace: a session ends when the configuration has its database no more, at once; another database's end leaves it.
func TestReconsiderPlace(t *testing.T) {
	for name, test := range map[string]struct {
		removed string
		want    string
	}{
		"its own": {"app", unconfiguredText},
		"another": {"other", killedText},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSurroundings(t)
			s.config.Databases["other"] = s.config.Databases["app"]
			g := s.start(t, authn.Rule{Method: authn.MethodSCRAM})
			conn := g.enters(knownPassword)
			until(t, "the session is listed", func() bool { return len(g.server.Sessions()) == 1 })
			id := g.server.Sessions()[0].ID
			next := s.config
			next.Databases = maps.Clone(next.Databases)
			delete(next.Databases, test.removed)
			if err := g.server.Reload(next); err != nil {
				t.Fatal(err)
			}
			g.server.End(t.Context(), id) // the first who ends it is the one it hears of
			if got := hearsItsEnd(t, conn); got != test.want {
				t.Errorf("hears %s", got)
			}
			if test.want == unconfiguredText {
				r := &revocable{serving: g, surroundings: s}
				until(t, "the end is on record", func() bool {
					return r.audited(`"session_end"`, `"reason":"database_removed"`, `"sqlstate":"57P01"`, `"revocation":"revoked"`)
				})
			}
		})
	}
}

// TestReconsiderPlaceThatNeverWas: who asks for a database that does not exist hears what policy says to that, and not that it has gone.
func TestReconsiderPlaceThatNeverWas(t *testing.T) {
	g := newSurroundings(t).start(t, authn.Rule{Method: authn.MethodSCRAM})
	_, err := pgconn.Connect(t.Context(), "postgres://"+knownUser+":"+knownPassword+"@"+g.address+"/nosuch?sslmode=require")
	var told *pgconn.PgError
	if !errors.As(err, &told) || told.Code != "42501" {
		t.Errorf("got %v, want 42501", err)
	}
}

// TestReconsiderRoute: the same goes for the route that policy gave; who is not on it stays.
func TestReconsiderRoute(t *testing.T) {
	p, _ := routed(t)
	ana, eve := p.begin(), p.startup("user", "eve", "database", "app")
	if !ana.isIn() {
		t.Fatalf("ana heard %q", ana.heard)
	}
	if heard := eve.login("eve", passPassword); heard[len(heard)-1] != "ReadyForQuery" {
		t.Fatalf("eve heard %q", heard)
	}
	p.waitFor("both sessions", func() bool { return len(p.server.Sessions()) == 2 })
	next := *p.server.config()
	next.Databases = maps.Clone(next.Databases)
	app := next.Databases["app"]
	app.Routes = nil
	next.Databases["app"] = app
	if err := p.server.Reload(next); err != nil {
		t.Fatal(err)
	}
	p.waitFor("one session", func() bool { return len(p.server.Sessions()) == 1 })
	if left := p.server.Sessions()[0].User; left != "eve" {
		t.Errorf("%s is left", left)
	}
	for _, event := range p.trail("session_end") {
		if want := map[any]any{"ana": "database_removed", "eve": "shutdown"}[event["claimed_user"]]; event["reason"] != want {
			t.Errorf("%v: ended by %v, want %v", event["claimed_user"], event["reason"], want)
		}
	}
}
