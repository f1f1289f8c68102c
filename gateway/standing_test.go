package gateway

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn/oidc"
	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/audit"
)

// fakeStanding is an identity's source.
type fakeStanding struct {
	mu   sync.Mutex
	told func(groups []string, err error)
}

func (f *fakeStanding) Follow(told func(groups []string, err error)) (stop func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = told
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.told = nil
	}
}

// says tells what has become of the identity, unless nobody follows it.
func (f *fakeStanding) says(groups []string, err error) (followed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told != nil {
		f.told(groups, err)
	}
	return f.told != nil
}

// startIn runs a session of somebody who is in these groups.
func startIn(t *testing.T, p *fakePolicy, groups ...string) *regrantBench {
	t.Helper()
	policy := &switchedPolicy{}
	policy.become(p)
	return &regrantBench{start(t, func(r *relay) {
		r.policy, r.grant.policy, r.grant.ConnectDecision = policy, policy.Policy(), p.grants
		r.identity = audit.Identity{User: "ana", Groups: groups}
		r.whose = audit.Statements{Session: "s", Identity: &r.identity}
		r.who = audit.NewWho(r.whose)
		r.grant.input.Identity = authz.Identity{User: "ana", Groups: groups}
		r.input.Identity = r.grant.input.Identity
	}), policy}
}

// TestRegroupedOut: who is no longer in the group that let it in is out at the next statement, not before, and nothing of that runs.
func TestRegroupedOut(t *testing.T) {
	for _, groups := range [][]string{{"dev"}, {}, nil} {
		b := startIn(t, &fakePolicy{grants: authz.ConnectDecision{Role: "r"}, members: "dba"}, "dba")
		if got := b.says("select"); got != "D SELECT 1 ZI" {
			t.Fatalf("got %s", got)
		}
		b.moves(groups...)
		b.send(query("select"))
		m, err := b.client.Receive()
		said, ok := m.(*pgproto3.ErrorResponse)
		if err != nil || !ok || said.Severity != "FATAL" || said.Code != "57P01" || said.Detail != "no longer granted" {
			t.Errorf("the client hears %+v, %v", m, err)
		}
		if cause := b.cause(); cause.reason != ReasonGrantWithdrawn {
			t.Errorf("ended by %v", cause)
		}
		if ran := b.backend.executed(); len(ran) != 1 {
			t.Errorf("the backend ran %q", ran)
		}
		if got, want := b.changes(), "false [no longer granted] r [] true"; got != want {
			t.Errorf("recorded %s, want %s", got, want)
		}
		if e := b.log.grants[0]; !e.Regrouped || fmt.Sprint(e.Identity.Groups) != fmt.Sprint(groups) {
			t.Errorf("recorded %+v", e)
		}
	}
}

// TestRegroupedStatements: policy is asked anew about statements that it has allowed, and about prepared ones, and the lines of the audit log
// name the groups that it was asked about.
func TestRegroupedStatements(t *testing.T) {
	b := startIn(t, &fakePolicy{outcasts: "leaving"}, "dba")
	b.send(parse("s", "select"), &pgproto3.Sync{})
	parsed := strings.Join(b.receive(1), " ")
	for range 2 {
		if got := b.says("select"); got != "D SELECT 1 ZI" {
			t.Fatalf("got %s", got)
		}
	}
	b.moves("dba", "leaving")
	if got := b.says("select"); got != "E42501 ZI" {
		t.Errorf("a text that was allowed before: %s", got)
	}
	b.send(bind("", "s"), execute(""), &pgproto3.Sync{})
	if got := strings.Join(b.receive(1), " "); got != "E42501 ZI" {
		t.Errorf("a statement that was prepared before: %s (parsed: %s)", got, parsed)
	}
	b.moves("dba")
	if got := b.says("select"); got != "D SELECT 1 ZI" {
		t.Errorf("back in the groups of the beginning: %s", got)
	}
	b.end()
	if got, want := b.changes(), "true []  [] false, true []  [] false"; got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	for i := range b.log.statements {
		e := &b.log.statements[i]
		want := `"groups":["dba"]`
		if e.Decision == audit.DecisionDeny {
			want = `"groups":["dba","leaving"]`
		}
		if line := string(e.AppendJSON(nil)); !strings.Contains(line, want) {
			t.Errorf("%s has not %s", line, want)
		}
	}
}

// TestRegroupedNotRecorded: groups that are not on record let nothing run, and are asked about again.
func TestRegroupedNotRecorded(t *testing.T) {
	p := &fakePolicy{}
	b := startIn(t, p, "dba")
	b.moves("dev")
	b.log.setBroken(true)
	for range 2 {
		if got := b.says("select"); got != "E58030 ZI" {
			t.Errorf("got %s", got)
		}
	}
	b.log.setBroken(false)
	for range 2 {
		if got := b.says("select"); got != "D SELECT 1 ZI" {
			t.Errorf("got %s", got)
		}
	}
	b.end()
	if asked := p.connects.Load(); asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
}

// TestStandingEnds: an identity's end is its session's, idle or not; a client that has gone is told nothing more.
func TestStandingEnds(t *testing.T) {
	tests := map[string]struct {
		err     error
		message string
	}{
		"rejected":    {&oidc.RejectedError{Reason: oidc.ReasonInactive}, "no longer accepts the token"},
		"unavailable": {fmt.Errorf("%w: secret words", oidc.ErrUnavailable), "has not confirmed the token"},
		"anything":    {errors.New("secret words"), "no longer accepts the token"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			standing := &fakeStanding{}
			b := start(t, nil)
			stop := b.relay.follow(standing)
			standing.says(nil, test.err)
			m, err := b.client.Receive()
			said, ok := m.(*pgproto3.ErrorResponse)
			if err != nil || !ok || said.Code != "57P01" || !strings.Contains(said.Message, test.message) || strings.Contains(fmt.Sprint(said), "secret") {
				t.Errorf("the client hears %+v, %v", m, err)
			}
			if cause := b.cause(); cause.reason != ReasonIdentityExpired {
				t.Errorf("ended by %v", cause)
			}
			stop()
			if standing.says(nil, test.err) {
				t.Error("it is followed after its end")
			}
		})
	}
}

// TestStandingGroups: what is told of groups is what policy is asked about.
func TestStandingGroups(t *testing.T) {
	standing := &fakeStanding{}
	b := startIn(t, &fakePolicy{outcasts: "leaving"}, "dba")
	unfollow := b.relay.follow(standing)
	defer unfollow()
	standing.says([]string{"leaving"}, nil)
	if got := b.says("select"); got != "E42501 ZI" {
		t.Errorf("got %s", got)
	}
	b.end()
}

// TestRegroupedShadow: a second policy is asked about the identity as it is now.
func TestRegroupedShadow(t *testing.T) {
	b := newShadowBench(t)
	b.write(t, "connect.rego", `package sallyport.connect

decision := {"allow": "dba" in input.identity.groups, "reasons": ["no dba"], "role": "r"}
`)
	if err := b.engine.Reload(); err != nil {
		t.Fatal(err)
	}
	d := &authz.ConnectDecision{Allow: true, Role: "r"}
	connect := authz.ConnectInput{Identity: authz.Identity{User: "ana", Groups: []string{"dba"}}, Session: authz.Session{ID: "s"}}
	first := b.connected(connect, d)
	first.relays(authz.StatementInput{Identity: connect.Identity, Session: connect.Session})
	connect.Identity.Groups = []string{"dev"}
	first.regrouped(connect, authz.StatementInput{Identity: connect.Identity, Session: connect.Session}, d)
	b.drain(t)
	if got, want := strings.Join(b.said(t), ", "), "shadow policy differs: connect s newly_denied [no dba]"; got != want {
		t.Errorf("said %s, want %s", got, want)
	}
	var none *shadowed
	if none.regrouped(connect, authz.StatementInput{}, d) != nil {
		t.Error("a session without a second policy has got one")
	}
}
