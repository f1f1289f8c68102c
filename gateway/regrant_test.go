package gateway

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// regrantBench is a session whose policy changes.
type regrantBench struct {
	*bench
	policy *switchedPolicy
}

// startRegrant runs a session that was granted this.
func startRegrant(t *testing.T, first authz.ConnectDecision, change func(r *relay)) *regrantBench {
	t.Helper()
	p := &switchedPolicy{}
	p.become(&fakePolicy{grants: first})
	b := start(t, func(r *relay) {
		r.policy, r.grant.policy, r.grant.ConnectDecision = p, p.Policy(), first
		if change != nil {
			change(r)
		}
	})
	return &regrantBench{b, p}
}

// become puts another policy in force.
func (b *regrantBench) become(d authz.ConnectDecision) *fakePolicy {
	next := &fakePolicy{grants: d}
	b.policy.become(next)
	return next
}

// says sends a query and renders the answer.
func (b *regrantBench) says(text string) string {
	b.t.Helper()
	b.send(query(text))
	return strings.Join(b.receive(1), " ")
}

// moves puts the identity into other groups.
func (b *regrantBench) moves(groups ...string) { b.relay.groups.Store(&groups) }

// changes renders what was recorded of grants.
func (b *regrantBench) changes() string {
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	var lines []string
	for _, g := range b.log.grants {
		lines = append(lines, fmt.Sprint(g.Allow, " ", g.Reasons, " ", g.Role, " ", g.Obligations, " ", g.Ended))
	}
	return strings.Join(lines, ", ")
}

// TestRegrantIsAskedOnce: once for each policy, and not at all while that is the same.
func TestRegrantIsAskedOnce(t *testing.T) {
	first := authz.ConnectDecision{Role: "r"}
	b := startRegrant(t, first, nil)
	for range 3 {
		b.says("select")
	}
	if asked := b.policy.now().connects.Load(); asked != 0 {
		t.Errorf("asked %d times, and nothing has changed", asked)
	}
	next := b.become(first)
	for range 3 {
		b.says("select")
	}
	if asked := next.connects.Load(); asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
	b.end()
	if got := b.changes(); got != "" {
		t.Errorf("recorded %s, and nothing is granted otherwise", got)
	}
}

// TestRegrantEnds: what cannot be changed in a session that runs ends it, before the statement that comes. So it is told, and recorded.
func TestRegrantEnds(t *testing.T) {
	first := authz.ConnectDecision{Role: "r", MaxRows: 7}
	tests := map[string]struct {
		change   func(d *authz.ConnectDecision)
		withdraw bool
		detail   string
		recorded string
	}{
		"denied":    {func(*authz.ConnectDecision) {}, true, "no longer granted", "false [no longer granted] r [max_rows=7] true"},
		"role":      {func(d *authz.ConnectDecision) { d.Role = "s" }, false, "Another role, route, observe or read_only takes another session.", "true [] s [max_rows=7] true"},
		"route":     {func(d *authz.ConnectDecision) { d.Route = "s" }, false, "Another role, route, observe or read_only takes another session.", "true [] r [max_rows=7] true"},
		"observe":   {func(d *authz.ConnectDecision) { d.Observe = true }, false, "Another role, route, observe or read_only takes another session.", "true [] r [max_rows=7] true"},
		"read only": {func(d *authz.ConnectDecision) { d.ReadOnly = true }, false, "Another role, route, observe or read_only takes another session.", "true [] r [read_only max_rows=7] true"},
	}
	for name, test := range tests {
		for _, broken := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, broken log %v", name, broken), func(t *testing.T) {
				b := startRegrant(t, first, nil)
				next := first
				test.change(&next)
				b.log.setBroken(broken)
				p := &fakePolicy{grants: next, withdrawn: test.withdraw}
				b.policy.become(p)
				b.send(query("select"))
				m, err := b.client.Receive()
				said, ok := m.(*pgproto3.ErrorResponse)
				if err != nil || !ok || said.Severity != "FATAL" || said.Code != "57P01" || said.Detail != test.detail {
					t.Errorf("the client hears %+v, %v", m, err)
				}
				if cause := b.cause(); cause.reason != ReasonGrantWithdrawn {
					t.Errorf("ended by %v", cause)
				}
				if ran := b.backend.executed(); len(ran) != 0 {
					t.Errorf("the backend ran %q", ran)
				}
				if got := b.changes(); !broken && got != test.recorded {
					t.Errorf("recorded %s, want %s", got, test.recorded)
				}
			})
		}
	}
}

// TestRegrantLimits: other limits hold from the next statement on, and are recorded before it.
func TestRegrantLimits(t *testing.T) {
	first := authz.ConnectDecision{Role: "r"}
	b := startRegrant(t, first, nil)
	b.says("rows 3") // not held to anything
	next := first
	next.MaxRows = 1
	b.become(next)
	if got := b.says("endless 4"); !strings.Contains(got, "E53400") {
		t.Errorf("got %s", got)
	}
	b.become(first)
	if got := b.says("select"); got != "D SELECT 1 ZI" {
		t.Errorf("without a limit again: %s", got)
	}
	b.end()
	if got, want := b.changes(), "true [] r [max_rows=1] false, true [] r [] false"; got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
}

// TestRegrantNotRecorded: limits that are not on record are not in force, and until they are nothing runs.
func TestRegrantNotRecorded(t *testing.T) {
	first := authz.ConnectDecision{Role: "r"}
	b := startRegrant(t, first, nil)
	next := first
	next.MaxRows = 1
	b.log.setBroken(true)
	p := b.become(next)
	for range 2 {
		if got := b.says("select"); got != "E58030 ZI" {
			t.Errorf("got %s", got)
		}
	}
	b.log.setBroken(false)
	if got := b.says("select"); got != "D SELECT 1 ZI" {
		t.Errorf("got %s", got)
	}
	if asked := p.connects.Load(); asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
	b.end()
	if got, want := b.changes(), "true [] r [max_rows=1] false"; got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
	if ran := b.backend.executed(); len(ran) != 1 {
		t.Errorf("the backend ran %q", ran)
	}
}

// TestRegrantTimeout: a shorter time is kept by the gateway, for PostgreSQL was told another one; a longer one is PostgreSQL's.
func TestRegrantTimeout(t *testing.T) {
	const second = time.Second
	tests := map[string]struct {
		told, now, want time.Duration
		observe         bool
	}{
		"none, and then one":     {0, second, second, false},
		"a shorter one":          {2 * second, second, second, false},
		"a longer one":           {second, 2 * second, 0, false},
		"none any more":          {second, 0, 0, false},
		"the same":               {second, second, 0, false},
		"of an observed session": {0, second, 0, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := &relay{}
			r.grant.StatementTimeout, r.grant.Observe = test.told, test.observe
			j := newJudge(r)
			if err := j.adopt(&authz.ConnectDecision{StatementTimeout: test.now}); err != nil {
				t.Fatal(err)
			}
			if j.timeout != test.want {
				t.Errorf("the gateway keeps %v, want %v", j.timeout, test.want)
			}
		})
	}
}

// TestRegrantOutside: what lies outside the relay is changed too, and when it cannot be the session ends.
func TestRegrantOutside(t *testing.T) {
	first := authz.ConnectDecision{Role: "r"}
	next := first
	next.MaxStatementsPerSecond = 1
	pace := rate.NewLimiter(1, 1)
	pace.Allow()
	given := authz.ConnectDecision{}
	b := startRegrant(t, first, func(r *relay) {
		r.regrant = func(d *authz.ConnectDecision) (*hourly, *rate.Limiter, error) {
			given = *d
			return nil, pace, nil
		}
	})
	b.become(next)
	began := time.Now()
	if got := b.says("select"); got != "D SELECT 1 ZI" || time.Since(began) < 100*time.Millisecond {
		t.Errorf("got %s after %v: not delayed", got, time.Since(began))
	}
	b.end()
	if given.MaxStatementsPerSecond != 1 {
		t.Errorf("given %+v", given)
	}

	full := startRegrant(t, first, func(r *relay) {
		r.regrant = func(*authz.ConnectDecision) (*hourly, *rate.Limiter, error) {
			return nil, nil, fail(ReasonTooManySessions, errors.New("full"))
		}
	})
	full.become(next)
	full.send(query("select"))
	if got := strings.Join(full.rest(), " "); got != "FATAL 53300" {
		t.Errorf("got %s", got)
	}
	full.cause()
}

// TestClockLimit: a longest life counts from the session's beginning, an idle time from now; both can go, too.
func TestClockLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := startTimed(t, Timeouts{Session: time.Hour}, authn.Identity{}, grant{}, credentials.Lease{})
		time.Sleep(10 * time.Minute)
		x.clock.limit(15*time.Minute, time.Minute)
		x.clock.limit(15*time.Minute, 0) // no idle time any more
		time.Sleep(5*time.Minute - time.Second)
		if got := x.ended(); got != "" {
			t.Fatalf("ended by %s", got)
		}
		time.Sleep(time.Second)
		if got := x.ended(); got != "lifetime" {
			t.Errorf("ended by %q, want lifetime", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		x := startTimed(t, Timeouts{Session: time.Hour, Idle: 30 * time.Minute}, authn.Identity{}, grant{}, credentials.Lease{})
		time.Sleep(10 * time.Minute)
		x.relay.active(time.Now())
		x.clock.limit(0, time.Minute)
		time.Sleep(time.Minute)
		if got := x.ended(); got != "idle" {
			t.Errorf("ended by %q, want idle", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		x := startTimed(t, Timeouts{Session: time.Hour}, authn.Identity{}, grant{}, credentials.Lease{})
		time.Sleep(10 * time.Minute)
		x.clock.limit(5*time.Minute, 0)
		if got := x.ended(); got != "lifetime" {
			t.Errorf("a life that is over already: ended by %q", got)
		}
	})
}
