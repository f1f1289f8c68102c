package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
)

const connectRego = `package sallyport.connect

decision := {"allow": true, "reasons": [], "role": role, "route": route, "observe": input.identity.user == "dba"} if count(reasons) == 0

else := {"allow": false, "reasons": reasons}

default route := ""

route := "replica" if "readers" in input.identity.groups

default role := "readonly"

role := "readwrite" if "writers" in input.identity.groups

reasons contains "not from there" if input.session.client_address == "192.0.2.66"

reasons contains "not so" if input.session.application_name == "evil"

reasons contains "no replication" if input.session.replication != ""
`

const statementRego = `package sallyport.statement

decision := {"allow": count(reasons) == 0, "reasons": reasons}

reasons contains "incomplete" if not input.statement.complete

reasons contains "no delete" if input.statement.statements[_].command == "DELETE"

reasons contains "no insert" if {
	input.statement.statements[_].command == "INSERT"
	input.session.role != "readwrite"
}

reasons contains "at the replica" if {
	input.statement.statements[_].command == "LOCK"
	input.session.route == "replica"
}

reasons contains "no path" if not "app" in input.session.search_path

reasons contains to_number("x") if input.statement.statements[_].command == "FAIL"
`

// words makes a sheet of the words of a text.
type words struct{}

func (words) Analyze(_ context.Context, text string) (*statement.Sheet, error) {
	command, name, _ := strings.Cut(text, " ")
	sheet := &statement.Sheet{Complete: command != "VAGUE", Statements: []statement.Statement{{Command: command}}}
	switch command {
	case "EXECUTE", "FETCH":
		sheet.Statements[0].Prepared = &statement.Prepared{Action: strings.ToLower(command), Name: name}
	case "PREPARE":
		sheet.Statements = append(sheet.Statements, statement.Statement{Command: "EXECUTE"})
		sheet.Statements[0].Prepared = &statement.Prepared{Action: "prepare", Name: name}
		sheet.Statements[1].Prepared = &statement.Prepared{Action: "execute", Name: name}
	case "GARBLED":
		return nil, &statement.SyntaxError{Message: "syntax error"}
	}
	return sheet, nil
}

func judged(sheet *statement.Sheet, moved bool) *statement.Sheet {
	if !moved {
		return sheet
	}
	return &statement.Sheet{Statements: sheet.Statements}
}

// newReplay replays by the policy above; differences are rendered as lines.
func newReplay(t testing.TB, searchPath func(string) []string) (*Replay, *[]string) {
	t.Helper()
	return replayBy(t, statementRego, searchPath)
}

func replayBy(t testing.TB, statementPolicy string, searchPath func(string) []string) (*Replay, *[]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"connect.rego": connectRego, "statement.rego": statementPolicy} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	engine, err := authz.New(authz.Config{Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	found := new([]string)
	return New(Config{
		Policy: engine, Analyzer: words{}, Judged: judged, SearchPath: searchPath,
		Report: func(d *Difference) error {
			reason := ""
			if len(d.New.Reasons) > 0 {
				reason = " " + d.New.Reasons[0]
			}
			*found = append(*found, fmt.Sprintf("%s %s %s: %s → %s%s", d.Kind, d.ID, d.Change, d.Old.Decision, d.New.Decision, reason))
			return nil
		},
	}), found
}

// log renders events as the gateway writes them.
func log(events ...audit.Event) string {
	var b []byte
	for _, e := range events {
		b = append(e.AppendJSON(b), '\n')
	}
	return string(b)
}

var (
	ana  = audit.Identity{User: "ana", Method: "oidc"}
	path = []string{"app", "pg_temp"}
)

func begun(id string) *audit.SessionStart {
	return &audit.SessionStart{Session: id, User: "ana", Database: "app", ClientAddress: "192.0.2.1"}
}

func connected(id string) *audit.Connect {
	return &audit.Connect{Session: id, Identity: ana, Allow: true, Role: "readonly", SearchPath: path}
}

func said(id string, n uint64, decision audit.Decision, text string) *audit.Statement {
	s := &audit.Statement{Session: id, Number: n, Who: audit.NewWho(audit.Statements{Identity: &ana, Database: "app"}), Protocol: audit.ProtocolQuery, Text: audit.NewText(text, 0), Decision: decision}
	if decision == audit.DecisionDeny {
		s.SQLSTATE = "42501"
	}
	return s
}

// replayed is a log and what a replay makes of it.
type replayed struct {
	events      []audit.Event
	searchPath  func(string) []string
	want        []string // differences
	statements  map[Change]int
	skipped     map[string]int
	notAdmitted int
	byText      int
}

func (x *replayed) check(t *testing.T) {
	t.Helper()
	r, found := newReplay(t, x.searchPath)
	if err := r.Read(t.Context(), strings.NewReader(log(x.events...))); err != nil {
		t.Fatal(err)
	}
	got := r.Counts()
	for _, diff := range []string{
		cmp.Diff(x.want, *found, cmpopts.EquateEmpty()), cmp.Diff(x.statements, got.Statements, cmpopts.EquateEmpty()),
		cmp.Diff(x.skipped, got.NotReplayed, cmpopts.EquateEmpty()), cmp.Diff(x.notAdmitted, got.NotAdmitted),
		cmp.Diff(x.byText, got.ByText),
	} {
		if diff != "" {
			t.Error(diff)
		}
	}
}

func with(e *audit.Statement, change func(*audit.Statement)) *audit.Statement {
	change(e)
	return e
}

// opened is a session of ana's.
func opened(events ...audit.Event) []audit.Event {
	return append([]audit.Event{begun("s"), connected("s")}, events...)
}

func TestReplayStatements(t *testing.T) {
	for name, test := range map[string]replayed{
		"the same": {
			events:     opened(said("s", 1, "allow", "SELECT"), said("s", 2, "deny", "DELETE"), said("s", 3, "observe", "DELETE")),
			statements: map[Change]int{Same: 3},
		},
		"differences": {
			events:     opened(said("s", 1, "allow", "DELETE"), said("s", 2, "deny", "SELECT"), said("s", 3, "observe", "SELECT")),
			want:       []string{"statement s.1 newly_denied: allow → deny no delete", "statement s.2 newly_allowed: deny → allow", "statement s.3 newly_allowed: observe → allow"},
			statements: map[Change]int{NewlyDenied: 1, NewlyAllowed: 2},
		},
		"by the text alone": {
			events: opened(
				with(said("s", 1, "allow", "SELECT"), func(s *audit.Statement) { s.Resolved = true }), said("s", 2, "allow", "SELECT"),
			),
			statements: map[Change]int{Same: 2}, byText: 1,
		},
		"no answer is a denial": {
			events:     opened(said("s", 1, "allow", "FAIL"), said("s", 2, "deny", "FAIL")),
			want:       []string{"statement s.1 newly_denied: allow → deny the policy has no answer: evaluate data.sallyport.statement.decision: statement.rego:21: eval_builtin_error: to_number: strconv.ParseFloat: parsing \"x\": invalid syntax"},
			statements: map[Change]int{NewlyDenied: 1, Same: 1},
		},
		"names that had moved": {
			events: opened(
				with(said("s", 1, "deny", "SELECT"), func(s *audit.Statement) { s.Incomplete = true }),
				with(said("s", 2, "deny", "VAGUE"), func(s *audit.Statement) { s.Incomplete = true }),
			),
			statements: map[Change]int{Same: 2},
		},
		"what cannot be decided again": {
			events: opened(
				with(said("s", 1, "deny", "x"), func(s *audit.Statement) { s.SQLSTATE = "42601" }),
				with(said("s", 2, "allow", ""), func(s *audit.Statement) { s.Text = audit.Text{} }),
				with(said("s", 3, "allow", ""), func(s *audit.Statement) { s.Text = audit.NewText("SELECT a, b", 8) }),
				said("s", 4, "allow", "ALTER ROLE a PASSWORD 'x'"),
				said("s", 5, "allow", "EXECUTE p"), said("s", 6, "observe", "GARBLED"), said("s", 7, "allow", "PREPARE p"),
				said("t", 1, "allow", "SELECT"),
			),
			statements: map[Change]int{Same: 1},
			skipped:    map[string]int{byGateway: 1, noText: 1, cutText: 1, redactedText: 1, byName: 1, unreadable: 1, noStart: 1},
		},
		"a session without its connect event": {
			events: []audit.Event{begun("s"), said("s", 1, "allow", "SELECT")}, skipped: map[string]int{noStart: 1},
		},
		"a session that ended": {
			events:  opened(&audit.SessionEnd{Session: "s"}, said("s", 1, "allow", "SELECT")),
			skipped: map[string]int{noStart: 1},
		},
	} {
		t.Run(name, test.check)
	}
}

func TestReplaySessions(t *testing.T) {
	for name, test := range map[string]replayed{
		"the role of the other policy": {
			events: []audit.Event{
				begun("s"), &audit.Connect{Session: "s", Identity: audit.Identity{User: "ana", Groups: []string{"writers"}}, Allow: true, Role: "readonly", SearchPath: path},
				said("s", 1, "deny", "INSERT"),
			},
			want:       []string{"connect s other_terms: allow → allow", "statement s.1 newly_allowed: deny → allow"},
			statements: map[Change]int{NewlyAllowed: 1},
		},
		"its route": {
			events: []audit.Event{
				begun("s"), &audit.Connect{Session: "s", Identity: audit.Identity{User: "ana", Groups: []string{"readers"}}, Allow: true, Role: "readonly", SearchPath: path},
				said("s", 1, "allow", "LOCK"),
				begun("r"), &audit.Connect{Session: "r", Identity: audit.Identity{User: "ana", Groups: []string{"readers"}}, Allow: true, Role: "readonly", Route: "replica", SearchPath: path},
				said("r", 1, "deny", "LOCK"),
			},
			want:       []string{"connect s other_terms: allow → allow", "statement s.1 newly_denied: allow → deny at the replica"},
			statements: map[Change]int{NewlyDenied: 1, Same: 1},
		},
		"its observe": {
			events: []audit.Event{
				begun("s"), &audit.Connect{Session: "s", Identity: audit.Identity{User: "dba"}, Allow: true, Role: "readonly", Observe: true, SearchPath: path},
				with(said("s", 1, "allow", "SELECT"), func(s *audit.Statement) { s.Incomplete = true }),
			},
			statements: map[Change]int{Same: 1},
		},
		"connections": {
			events: []audit.Event{
				&audit.SessionStart{Session: "a", ClientAddress: "192.0.2.66"}, connected("a"), said("a", 1, "allow", "SELECT"), said("a", 2, "deny", "DELETE"),
				&audit.SessionStart{Session: "b", Application: "evil"}, &audit.Connect{Session: "b", Identity: ana, Allow: false},
				&audit.SessionStart{Session: "c", Replication: "database"}, connected("c"),
				&audit.SessionStart{Session: "d"}, &audit.Connect{Session: "d", Identity: ana, Allow: false},
				connected("e"),
			},
			notAdmitted: 2,
			want: []string{
				"connect a newly_denied: allow → deny not from there", "connect c newly_denied: allow → deny no replication", "connect d newly_allowed: deny → allow",
			},
			skipped: map[string]int{noStart: 1},
		},
		"no search_path": {
			events:  []audit.Event{begun("s"), &audit.Connect{Session: "s", Identity: ana, Allow: true, Role: "readonly"}, said("s", 1, "allow", "SELECT")},
			skipped: map[string]int{noSearchPath: 1},
		},
		"the configuration's search_path": {
			events:     []audit.Event{begun("s"), &audit.Connect{Session: "s", Identity: ana, Allow: true, Role: "readonly"}, said("s", 1, "allow", "SELECT")},
			searchPath: func(database string) []string { return []string{database} },
			statements: map[Change]int{Same: 1},
		},
		"other groups on the way": {
			events: opened(
				said("s", 1, "deny", "INSERT"),
				&audit.GrantChange{Session: "s", Identity: audit.Identity{User: "ana", Groups: []string{"writers"}}, Regrouped: true},
				said("s", 2, "allow", "INSERT"), said("s", 3, "allow", "INSERT"),
				&audit.GrantChange{Session: "s", Identity: audit.Identity{User: "ana"}}, // by another policy, and no other groups
				said("s", 4, "allow", "INSERT"),
				&audit.GrantChange{Session: "s", Identity: audit.Identity{User: "ana"}, Regrouped: true},
				said("s", 5, "allow", "INSERT"),
				&audit.GrantChange{Session: "s", Identity: audit.Identity{User: "ana", Groups: make([]string, 300)}, Regrouped: true},
				said("s", 6, "allow", "SELECT"),
			),
			want:       []string{"statement s.5 newly_denied: allow → deny no insert"},
			statements: map[Change]int{Same: 4, NewlyDenied: 1},
			skipped:    map[string]int{cutGroups: 1},
		},
		"more groups than the log holds": {
			events: []audit.Event{
				begun("s"), &audit.Connect{Session: "s", Identity: audit.Identity{User: "ana", Groups: make([]string, 300)}, Allow: true, SearchPath: path},
				said("s", 1, "allow", "SELECT"),
			},
			skipped: map[string]int{cutGroups: 2},
		},
	} {
		t.Run(name, test.check)
	}
}

// TestReplayAtItsTime: a policy that looks at the clock sees the time that it was.
func TestReplayAtItsTime(t *testing.T) {
	r, found := replayBy(t, `package sallyport.statement

decision := {"allow": hour >= 6, "reasons": [sprintf("%d o'clock", [hour])]}

hour := time.clock(time.now_ns())[0]
`, nil)
	events := opened(said("s", 1, "allow", "SELECT"), said("s", 2, "allow", "SELECT"))
	for i, hour := range []int{5, 7} {
		events[2+i].(*audit.Statement).Time = time.Date(2026, 3, 4, hour, 0, 0, 0, time.UTC)
	}
	if err := r.Read(t.Context(), strings.NewReader(log(events...))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"statement s.1 newly_denied: allow → deny 5 o'clock"}, *found); diff != "" {
		t.Error(diff)
	}
}

// TestReadGoesOn: torn and foreign lines are counted, and a session goes on in the next file.
func TestReadGoesOn(t *testing.T) {
	r, found := newReplay(t, nil)
	first := log(begun("s"), connected("s"), &audit.Outcome{Session: "s"}) + `{"time":"2026-` + "\n[]\n\n" + `{"type":"statement","session":5}` + "\n" +
		`{"type":"x","session":"` + strings.Repeat("y", maxLineBytes) + "\"}\n" + strings.TrimSuffix(log(said("s", 1, "allow", "DELETE")), "\n")
	for _, text := range []string{first, log(said("s", 2, "allow", "DELETE"))} {
		if err := r.Read(t.Context(), strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	if len(*found) != 2 {
		t.Errorf("found %v", *found)
	}
	if c := r.Counts(); c.Lines != 10 || c.Unreadable != 5 {
		t.Errorf("%d lines, %d unreadable, want 10 and 5", c.Lines, c.Unreadable)
	}
}

func TestReadEnds(t *testing.T) {
	broken := errors.New("broken")
	r, _ := newReplay(t, nil)
	r.cfg.Report = func(*Difference) error { return broken }
	if err := r.Read(t.Context(), strings.NewReader(log(begun("s"), connected("s"), said("s", 1, "allow", "DELETE")))); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, _ = newReplay(t, nil)
	if err := r.Read(ctx, strings.NewReader(log(begun("s"), connected("s")))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := r.Read(t.Context(), io.MultiReader(strings.NewReader("{}"), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestReplayForgets: what is kept does not grow with the log.
func TestReplayForgets(t *testing.T) {
	r, _ := newReplay(t, nil)
	for i := range 50 {
		id := fmt.Sprint(i)
		events := []audit.Event{begun(id), connected(id)}
		for n := range 2 * maxKnown {
			events = append(events, said(id, uint64(n), "allow", "SELECT"))
		}
		if err := r.Read(t.Context(), strings.NewReader(log(events...))); err != nil {
			t.Fatal(err)
		}
		if got := len(r.sessions[id].decisions); got == 0 || got > maxKnown {
			t.Errorf("%d decisions are kept", got)
		}
		if err := r.Read(t.Context(), strings.NewReader(log(&audit.SessionEnd{Session: id}))); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.sessions) != 0 {
		t.Errorf("%d sessions are kept", len(r.sessions))
	}
}
