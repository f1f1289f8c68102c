package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/metrics"
)

const (
	shadowConnect = `package sallyport.connect

decision := {"allow": input.identity.user != "eve", "reasons": ["shadow"], "role": object.get({"": "nobody"}, input.identity.user, input.identity.user)}
`
	// shadowStatement denies SELECT, and has no answer about UPDATE.
	shadowStatement = `package sallyport.statement

decision := {"allow": count(reasons) == 0, "reasons": reasons}

reasons contains sprintf("no %s for %s", [command, input.session.role]) if {
	command := input.statement.statements[_].command
	command in {"SELECT", "MERGE"}
}

reasons contains to_number("x") if input.statement.statements[_].command == "UPDATE"
`
)

// shadowBench is a second policy, and what it has to say.
type shadowBench struct {
	*Shadow
	dir string
	log *bytes.Buffer
}

func newShadowBench(t *testing.T) *shadowBench {
	t.Helper()
	b := &shadowBench{dir: t.TempDir(), log: new(bytes.Buffer)}
	b.write(t, "connect.rego", shadowConnect)
	b.write(t, "statement.rego", shadowStatement)
	engine, err := authz.New(authz.Config{Directory: b.dir})
	if err != nil {
		t.Fatal(err)
	}
	b.Shadow = NewShadow(engine, metrics.New(), slog.New(slog.NewJSONHandler(b.log, nil)))
	return b
}

func (b *shadowBench) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// begin is a session of ana's to the second policy, and its connect decision.
func (b *shadowBench) begin(user string, d *authz.ConnectDecision) *shadowed {
	s := b.connected(authz.ConnectInput{Identity: authz.Identity{User: user}, Session: authz.Session{ID: "s"}}, d)
	s.relays(authz.StatementInput{Identity: authz.Identity{User: user}, Session: authz.Session{ID: "s", Role: "first"}})
	return s
}

// drain does what Run does with what is waiting.
func (b *shadowBench) drain(t *testing.T) {
	for len(b.queue) > 0 {
		c := <-b.queue
		b.compare(t.Context(), &c)
	}
}

// said are the log's lines since the last call.
func (b *shadowBench) said(t *testing.T) (lines []string) {
	t.Helper()
	for line := range strings.Lines(b.log.String()) {
		var l struct {
			Msg, Kind, Change, Decision, Revision string
			Reasons                               []string
			NotLogged                             int `json:"not_logged"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		text := strings.TrimSpace(fmt.Sprintln(l.Msg+":", l.Kind, l.Decision, l.Change, l.Reasons))
		if l.NotLogged > 0 {
			text += fmt.Sprintf(" and %d", l.NotLogged)
		}
		lines = append(lines, text)
	}
	b.log.Reset()
	return lines
}

// count reads a metric.
func (b *shadowBench) count(t *testing.T, name string) string {
	t.Helper()
	w := httptest.NewRecorder()
	b.metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if value, ok := strings.CutPrefix(line, "sallyport_policy_shadow_"+name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return "none"
}

func TestShadowComparesConnections(t *testing.T) {
	for name, test := range map[string]struct {
		user  string
		first authz.ConnectDecision
		want  []string
	}{
		"the same":      {"ana", authz.ConnectDecision{Allow: true, Role: "ana"}, nil},
		"denied too":    {"eve", authz.ConnectDecision{}, nil},
		"newly denied":  {"eve", authz.ConnectDecision{Allow: true, Role: "eve"}, []string{"shadow policy differs: connect s newly_denied [shadow]"}},
		"newly allowed": {"ana", authz.ConnectDecision{}, []string{"shadow policy differs: connect s newly_allowed [shadow]"}},
		"another role":  {"ana", authz.ConnectDecision{Allow: true, Role: "r"}, []string{"shadow policy differs: connect s other_terms [shadow]"}},
		"no observe":    {"ana", authz.ConnectDecision{Allow: true, Role: "ana", Observe: true}, []string{"shadow policy differs: connect s other_terms [shadow]"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newShadowBench(t)
			b.begin(test.user, &test.first)
			b.drain(t)
			if diff := cmp.Diff(test.want, b.said(t)); diff != "" {
				t.Error(diff)
			}
			if got := b.count(t, "decisions_total"); got != "1" {
				t.Errorf("%s decisions, want 1", got)
			}
		})
	}
}

// TestShadowComparesStatements: by the role that the second policy would have given, once for each of its revisions, and the client
// hears nothing of it.
func TestShadowComparesStatements(t *testing.T) {
	s := newShadowBench(t)
	b := start(t, func(r *relay) { r.shadow = s.begin("ana", &authz.ConnectDecision{Allow: true, Role: "ana"}) })
	for _, text := range []string{"select", "forbidden", "values", "select", "update", "garbled", "execute nothing"} {
		b.send(query(text))
		b.receive(1)
	}
	s.drain(t)
	want := []string{
		"shadow policy differs: statement s.1 newly_denied [no SELECT for ana]",
		"shadow policy differs: statement s.2 newly_allowed []",
		"shadow policy could not decide:  s.5  []",
	}
	if diff := cmp.Diff(want, s.said(t)); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]string{
		`differences_total{decision="newly_denied",kind="statement"}`: "1", `differences_total{decision="newly_allowed",kind="statement"}`: "1",
		"errors_total": "1", "decisions_total": "5", "dropped_total": "0",
	} {
		if got := s.count(t, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}

	s.write(t, "statement.rego", strings.Replace(shadowStatement, "no %s for", "never %s for", 1))
	if err := s.engine.Reload(); err != nil {
		t.Fatal(err)
	}
	b.send(query("select")) // which the first policy needs not be asked about
	b.receive(1)
	s.drain(t)
	if diff := cmp.Diff([]string{"shadow policy differs: statement s.8 newly_denied [never SELECT for ana]"}, s.said(t)); diff != "" {
		t.Error(diff)
	}
	b.end()
}

// TestShadowOfAStranger: a session that the second policy would not have is one difference, not one for each of its statements.
func TestShadowOfAStranger(t *testing.T) {
	b := newShadowBench(t)
	s := b.begin("eve", &authz.ConnectDecision{Allow: true, Role: "eve"})
	s.judged(&opinion{asked: &statement.Sheet{Complete: true}, answer: verdict{allow: true}}, 1)
	b.drain(t)
	if got := b.said(t); len(got) != 1 {
		t.Errorf("it said %q", got)
	}
}

// TestShadowDrops: who decides does not wait for the second policy, and asks again later.
func TestShadowDrops(t *testing.T) {
	b := newShadowBench(t)
	s := b.begin("ana", &authz.ConnectDecision{Allow: true, Role: "ana"})
	merge := &statement.Sheet{Complete: true, Statements: []statement.Statement{{Command: "MERGE"}}}
	for range shadowQueue - 1 {
		s.judged(&opinion{asked: merge, answer: verdict{allow: true}}, 1)
	}
	last := &opinion{asked: merge, answer: verdict{allow: true}}
	s.judged(last, 2)
	s.judged(last, 3)
	if got := b.count(t, "dropped_total"); got != "2" {
		t.Errorf("%s dropped, want 2", got)
	}
	for range shadowQueue - 50 {
		<-b.queue
	}
	s.judged(last, 4)
	s.judged(last, 5)
	if len(b.queue) != 51 {
		t.Errorf("%d wait, want 51", len(b.queue))
	}
}

// TestShadowIsQuiet: a policy that differs at everything does not fill the log, and what was kept out of it is counted.
func TestShadowIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newShadowBench(t)
		s := b.begin("ana", &authz.ConnectDecision{Allow: true, Role: "ana"})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.Run(ctx) }()
		merge := func() {
			sheet := &statement.Sheet{Complete: true, Statements: []statement.Statement{{Command: "MERGE"}}}
			s.judged(&opinion{asked: sheet, answer: verdict{allow: true}}, 1)
		}
		for range 100 {
			merge()
		}
		synctest.Wait()
		lines := b.said(t)
		if len(lines) != shadowBurst {
			t.Errorf("%d lines, want %d", len(lines), shadowBurst)
		}
		time.Sleep(time.Second) // of the test's own clock
		merge()
		synctest.Wait()
		if diff := cmp.Diff([]string{"shadow policy differs: statement s.1 newly_denied [no MERGE for ana] and 80"}, b.said(t)); diff != "" {
			t.Error(diff)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestNoShadow: without a second policy nothing happens, and nothing is allocated.
func TestNoShadow(t *testing.T) {
	var none *Shadow
	input, decision := authz.ConnectInput{}, &authz.ConnectDecision{Allow: true}
	known := &opinion{asked: &statement.Sheet{}}
	session := none.connected(input, decision)
	if session != nil {
		t.Fatal("there is a session to a policy that is none")
	}
	session.relays(authz.StatementInput{})
	if n := testing.AllocsPerRun(100, func() { session.judged(known, 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
