package gateway

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/gateway/backend/hosts"
)

// limited is a gateway whose database has so many places, for which clients wait so long.
func limited(t *testing.T, most int, patience time.Duration) (p *passed, places *hosts.Places) {
	t.Helper()
	places = &hosts.Places{}
	places.Bound(most)
	p = pass(t, authn.MethodPassPassword, asked(authn.MethodPassPassword, greets), func(cfg *Config) {
		byMD5(cfg)
		database := cfg.Databases["app"]
		database.Places, database.Queue = places, patience
		cfg.Databases["app"] = database
	})
	return p, places
}

const noPlace = "FATAL|53300|the database has as many sessions as it may have, try again later||"

// begin sends what logs ana in, and does not wait for an answer.
func (p *passed) begin() *loginAs {
	p.t.Helper()
	l := p.startup("user", "ana", "database", "app")
	if _, ok := l.next().(*pgproto3.AuthenticationCleartextPassword); !ok {
		p.t.Fatalf("heard %q", l.heard)
	}
	l.answer(&pgproto3.PasswordMessage{Password: passPassword})
	return l
}

// isIn reads what a client hears up to ReadyForQuery.
func (l *loginAs) isIn() bool {
	for {
		switch l.next().(type) {
		case nil, *pgproto3.ErrorResponse:
			return false
		case *pgproto3.ReadyForQuery:
			return true
		}
	}
}

// TestDatabaseFull: who finds no place waits, hears 53300 in the end, and has left the queue; nothing was opened for it.
func TestDatabaseFull(t *testing.T) {
	p, places := limited(t, 1, 50*time.Millisecond)
	first := p.begin()
	if !first.isIn() {
		t.Fatalf("heard %q", first.heard)
	}
	heard := p.login("ana", passPassword)
	if last := heard[len(heard)-1]; !strings.HasPrefix(last, strings.TrimSuffix(noPlace, "|")) {
		t.Errorf("heard %q", heard)
	}
	if n := p.postgres.dialled.Load(); n != 1 {
		t.Errorf("%d sessions were opened", n)
	}
	if got := places.Status(); got.Open != 1 || got.Waiting != 0 {
		t.Errorf("%+v", got)
	}
	first.answer(&pgproto3.Terminate{})
	p.waitFor("the end of the session", func() bool { return places.Status().Open == 0 })
	if p.postgres.open.Load() != 0 {
		t.Error("the place was given back while the backend session was open")
	}
}

// TestPlacesAreGivenInOrder: a session's end lets in who has waited longest.
func TestPlacesAreGivenInOrder(t *testing.T) {
	p, places := limited(t, 1, 4*time.Second)
	sessions := []*loginAs{p.begin()}
	if !sessions[0].isIn() {
		t.Fatalf("heard %q", sessions[0].heard)
	}
	for i := range 3 {
		sessions = append(sessions, p.begin())
		p.waitFor("a client in the queue", func() bool { return places.Status().Waiting == i+1 })
	}
	for i, waiting := range sessions[1:] {
		sessions[i].answer(&pgproto3.Terminate{})
		if !waiting.isIn() {
			t.Fatalf("client %d heard %q", i+1, waiting.heard)
		}
		if got := places.Status(); got.Open != 1 || got.Waiting != 2-i {
			t.Errorf("after client %d: %+v", i+1, got)
		}
	}
	sessions[3].answer(&pgproto3.Terminate{})
	p.waitFor("the end of all", func() bool { return places.Status().Open == 0 })
}

// TestWhoGoesAwayIsNotServed: a client that closes its connection while it waits leaves the queue, whether it says goodbye or not, and those
// behind it move up.
func TestWhoGoesAwayIsNotServed(t *testing.T) {
	for name, leave := range map[string]func(l *loginAs){
		"close_notify":   func(l *loginAs) { _ = l.conn.Close() },
		"without a word": func(l *loginAs) { _ = l.conn.NetConn().Close() },
	} {
		t.Run(name, func(t *testing.T) {
			p, places := limited(t, 1, 4*time.Second)
			first := p.begin()
			if !first.isIn() {
				t.Fatalf("heard %q", first.heard)
			}
			gone := p.begin()
			p.waitFor("a client in the queue", func() bool { return places.Status().Waiting == 1 })
			behind := p.begin()
			p.waitFor("another one", func() bool { return places.Status().Waiting == 2 })
			leave(gone)
			p.waitFor("the first to be gone", func() bool { return places.Status().Waiting == 1 })
			first.answer(&pgproto3.Terminate{})
			if !behind.isIn() {
				t.Errorf("heard %q", behind.heard)
			}
			behind.answer(&pgproto3.Terminate{})
			p.waitFor("the end of all", func() bool { return places.Status().Open == 0 })
			if n := p.postgres.dialled.Load(); n != 2 {
				t.Errorf("%d sessions were opened for two", n)
			}
			var reasons []string
			for _, end := range p.trail("session_end") {
				reasons = append(reasons, end["reason"].(string))
			}
			if !slices.Contains(reasons, "client_gone") {
				t.Errorf("sessions ended by %q", reasons)
			}
		})
	}
}

// TestPlacesOfWhatFails: a session that cannot be opened leaves its place.
func TestPlacesOfWhatFails(t *testing.T) {
	p, places := limited(t, 1, time.Second)
	for range 3 {
		if heard := p.login("ana", "wrong"); heard[len(heard)-1] != wrongAna {
			t.Errorf("heard %q", heard)
		}
	}
	p.waitFor("all to be gone", func() bool { return places.Status() == (hosts.PlacesStatus{Most: 1}) })
}
