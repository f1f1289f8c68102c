package gateway

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/gateway/credentials"
	"github.com/sallyport/sallyport/gateway/refusals"
)

// revocable is a gateway with a list of refusals, to which ana logs in by a token.
type revocable struct {
	*serving
	surroundings *surroundings
	list         *refusals.List
	token        string
}

func startRevocable(t *testing.T, change func(c *Config)) *revocable {
	t.Helper()
	s := newSurroundings(t)
	list, err := refusals.Open(filepath.Join(t.TempDir(), "refusals"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = list.Close() })
	s.config.Refusals = list
	if change != nil {
		change(&s.config)
	}
	return &revocable{serving: s.start(t, authn.Rule{Method: authn.MethodOIDC, Issuer: "id"}), surroundings: s, list: list, token: s.issuer.token(t, knownUser)}
}

// knock begins a login; what comes of it is read from the result.
func (r *revocable) knock(password string) *pgproto3.Frontend {
	r.t.Helper()
	frontend := r.prompt()
	r.answer(frontend, password)
	return frontend
}

// prompt goes as far as the question for the password.
func (r *revocable) prompt() *pgproto3.Frontend {
	r.t.Helper()
	conn := r.hello()
	frontend := pgproto3.NewFrontend(conn, conn)
	if _, err := frontend.Receive(); err != nil { // AuthenticationCleartextPassword
		r.t.Fatal(err)
	}
	return frontend
}

func (r *revocable) answer(frontend *pgproto3.Frontend, password string) {
	r.t.Helper()
	frontend.Send(&pgproto3.PasswordMessage{Password: password})
	if err := frontend.Flush(); err != nil {
		r.t.Fatal(err)
	}
}

// hears reads until the client is in ("Z"), or is told why not.
func (r *revocable) hears(frontend *pgproto3.Frontend) string {
	r.t.Helper()
	for {
		switch m, err := frontend.Receive(); m := m.(type) {
		case *pgproto3.ReadyForQuery:
			return "Z"
		case *pgproto3.ErrorResponse:
			return m.Severity + " " + m.Code + " " + m.Message
		default:
			if err != nil {
				return err.Error()
			}
		}
	}
}

func (r *revocable) refuse(who refusals.Who) []Ended {
	r.t.Helper()
	ended, err := r.server.Refuse(r.t.Context(), refusals.Refusal{Who: who, Reason: "r", By: "b"})
	if err != nil {
		r.t.Error(err)
	}
	return ended
}

// audited says whether the log has a line with all of these.
func (r *revocable) audited(parts ...string) bool {
	r.t.Helper()
	text, err := os.ReadFile(r.surroundings.audit)
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			return true
		}
	}
	return false
}

const (
	refusedText = "FATAL 28000 logins of this identity are refused by an operator"
	killedText  = "FATAL 57P01 terminating connection: terminated by an operator"
)

// TestRefuse: nobody learns who is refused but whoever has proved to be that.
func TestRefuse(t *testing.T) {
	for name, who := range map[string]func(r *revocable) refusals.Who{
		"user": func(*revocable) refusals.Who { return refusals.Who{User: knownUser} },
		"subject": func(r *revocable) refusals.Who {
			return refusals.Who{Issuer: r.surroundings.issuer.url, Subject: knownUser}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRevocable(t, nil)
			first, second := r.knock(r.token), r.knock(r.token)
			if got := r.hears(first) + r.hears(second); got != "ZZ" {
				t.Fatal(got)
			}
			ended := r.refuse(who(r))
			if len(ended) != 2 || !ended[0].Gone || !ended[1].Gone || ended[0].User != knownUser || ended[0].ID == ended[1].ID {
				t.Errorf("ended %+v", ended)
			}
			if got := r.hears(first); got != killedText {
				t.Errorf("a session hears %s", got)
			}
			if got := r.hears(r.knock(r.token)); got != refusedText {
				t.Errorf("a login hears %s", got)
			}
			if got, want := r.hears(r.knock("no token")), `FATAL 28P01 password authentication failed for user "ana"`; got != want {
				t.Errorf("who proves nothing hears %s, want %s", got, want)
			}
			if found, err := r.list.Lift(who(r)); !found || err != nil {
				t.Error(found, err)
			}
			if got := r.hears(r.knock(r.token)); got != "Z" {
				t.Errorf("lifted: %s", got)
			}
			until(t, "the refused login is audited", func() bool {
				return r.audited(`"login_refused"`, `"reason":"refused"`, `"sqlstate":"28000"`)
			})
		})
	}
}

// TestRefuseOthers: who is not meant notices nothing.
func TestRefuseOthers(t *testing.T) {
	r := startRevocable(t, nil)
	session := r.knock(r.token)
	r.hears(session)
	for _, who := range []refusals.Who{{User: "eve"}, {Issuer: r.surroundings.issuer.url, Subject: "eve"}, {Issuer: "https://other.example", Subject: knownUser}} {
		if ended := r.refuse(who); len(ended) != 0 {
			t.Errorf("%+v: ended %+v", who, ended)
		}
	}
	if got := r.hears(r.knock(r.token)); got != "Z" {
		t.Errorf("a login hears %s", got)
	}
}

// TestRefusedBeforeItIsKnown: a session that had logged in before the refusal, and is known to the server after it, is refused by the list
// alone: nobody who ends sessions has found it.
func TestRefusedBeforeItIsKnown(t *testing.T) {
	r := startRevocable(t, nil)
	login := r.prompt()
	r.server.mu.Lock()
	unlock := sync.OnceFunc(r.server.mu.Unlock)
	defer unlock()
	r.answer(login, r.token)
	until(t, "the login has succeeded", func() bool {
		return strings.Contains(r.surroundings.counted(t), `sallyport_logins_total{method="oidc",result="ok"} 1`)
	})
	if err := r.list.Add(refusals.Refusal{Who: refusals.Who{User: knownUser}}); err != nil {
		t.Error(err)
	}
	known := len(r.server.sessions)
	unlock()
	if known != 0 {
		t.Fatalf("%d sessions are known", known)
	}
	if got := r.hears(login); got != refusedText {
		t.Errorf("hears %s", got)
	}
}

// TestRefusedWhileItBecomesKnown: whichever comes first, it does not slip through.
func TestRefusedWhileItBecomesKnown(t *testing.T) {
	r := startRevocable(t, nil)
	for range 20 {
		logins := []*pgproto3.Frontend{r.knock(r.token), r.knock(r.token), r.knock(r.token)}
		r.refuse(refusals.Who{User: knownUser})
		for _, login := range logins {
			got := r.hears(login)
			if got == "Z" { // it got in just before
				got = r.hears(login)
			}
			if got != refusedText && got != killedText {
				t.Errorf("a login hears %s", got)
			}
		}
		if left := len(r.server.Sessions()); left != 0 {
			t.Fatalf("%d sessions are left", left)
		}
		if _, err := r.list.Lift(refusals.Who{User: knownUser}); err != nil {
			t.Fatal(err)
		}
	}
}

// slowIssuer issues nothing until it is no longer waited for.
type slowIssuer struct {
	issuer
	asked chan struct{}
}

func (s *slowIssuer) Take(ctx context.Context, _ string) (credentials.Lease, error) {
	close(s.asked)
	<-ctx.Done()
	return credentials.Lease{}, ctx.Err()
}

// TestRefusedWhileItConnects: a session that has passed the list, and has no backend session yet, is ended where it is.
func TestRefusedWhileItConnects(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(r *revocable, id string)
		want string
	}{
		"refused": {func(r *revocable, _ string) { r.refuse(refusals.Who{User: knownUser}) }, refusedText},
		"ended":   {func(r *revocable, id string) { r.server.End(r.t.Context(), id) }, killedText},
	} {
		t.Run(name, func(t *testing.T) {
			slow := &slowIssuer{asked: make(chan struct{})}
			r := startRevocable(t, func(c *Config) {
				app := c.Databases["app"]
				slow.issuer, app.Credentials = app.Credentials, slow
				c.Databases["app"] = app
				c.Timeouts.Connect = time.Hour
			})
			login := r.knock(r.token)
			<-slow.asked
			id := ""
			r.server.mu.Lock()
			for session := range r.server.sessions {
				id = session.id
			}
			r.server.mu.Unlock()
			test.end(r, id)
			if got := r.hears(login); got != test.want {
				t.Errorf("hears %s, want %s", got, test.want)
			}
		})
	}
}

// TestEnd: the answer comes when the session is over, its end is on record and its credential given back.
func TestEnd(t *testing.T) {
	r := startRevocable(t, nil)
	session, other := r.knock(r.token), r.knock(r.token)
	if got := r.hears(session) + r.hears(other); got != "ZZ" {
		t.Fatal(got)
	}
	var running []SessionInfo
	until(t, "both are listed", func() bool { running = r.server.Sessions(); return len(running) == 2 })
	if running[0].Subject != knownUser || running[0].Issuer != r.surroundings.issuer.url {
		t.Fatalf("sessions %+v", running)
	}
	ended, ok := r.server.End(t.Context(), running[0].ID)
	if !ok || ended != (Ended{ID: running[0].ID, User: knownUser, Gone: true}) {
		t.Errorf("ended %+v, %v", ended, ok)
	}
	until(t, "the end is on record", func() bool {
		return r.audited(`"session_end"`, running[0].ID, `"reason":"killed"`, `"revocation":"revoked"`)
	})
	if left := r.server.Sessions(); len(left) != 1 || left[0].ID != running[1].ID {
		t.Errorf("left %+v", left)
	}
	for _, id := range []string{running[0].ID, "", "nothing"} {
		if _, ok := r.server.End(t.Context(), id); ok {
			t.Errorf("there is a session %q", id)
		}
	}
}

// TestRefuseWithoutAList: it is not pretended.
func TestRefuseWithoutAList(t *testing.T) {
	r := startRevocable(t, func(c *Config) { c.Refusals = nil })
	session := r.knock(r.token)
	r.hears(session)
	until(t, "the session is listed", func() bool { return len(r.server.Sessions()) == 1 })
	if ended, err := r.server.Refuse(t.Context(), refusals.Refusal{Who: refusals.Who{User: knownUser}}); !errors.Is(err, ErrNoRefusals) || len(ended) != 0 {
		t.Errorf("%+v, %v", ended, err)
	}
	if len(r.server.Sessions()) != 1 {
		t.Error("the session was ended")
	}
}

// TestRefuseThatIsNotKept: what cannot be written is in force all the same, and that is said.
func TestRefuseThatIsNotKept(t *testing.T) {
	dir := t.TempDir()
	r := startRevocable(t, nil)
	gone := filepath.Join(dir, "gone")
	if err := os.Mkdir(gone, 0o700); err != nil {
		t.Fatal(err)
	}
	list, err := refusals.Open(filepath.Join(gone, "refusals"))
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	next := r.surroundings.config
	next.Refusals = list
	if err := errors.Join(r.server.Reload(next), os.RemoveAll(gone)); err != nil {
		t.Fatal(err)
	}
	session := r.knock(r.token)
	r.hears(session)
	ended, err := r.server.Refuse(t.Context(), refusals.Refusal{Who: refusals.Who{User: knownUser}})
	if !errors.Is(err, refusals.ErrNotKept) || len(ended) != 1 {
		t.Errorf("%+v, %v", ended, err)
	}
	if got := r.hears(r.knock(r.token)); got != refusedText {
		t.Errorf("a login hears %s", got)
	}
}
