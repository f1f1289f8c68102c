package audit

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// wantSame has events written again and again. Whatever of them was encoded and hashed for those before, the line is what the event alone
// says, and the leaf is that line's.
func wantSame(t *testing.T, l *line, times int, omit omitted, event Event) {
	t.Helper()
	for range times {
		l.set(event, omit)
		want := event.AppendJSON(nil)
		if s, ok := event.(*Statement); ok {
			alone := *s
			alone.Who = &Who{fields: s.Who.fields}
			want = alone.append(nil, omit, new(clock))
		}
		for _, got := range [][]byte{slices.Concat(l.parts()), l.bytes(), slices.Concat(l.parts())} {
			if got = bytes.TrimSuffix(got, []byte("\n")); !bytes.Equal(got, want) {
				t.Fatalf("got  %s\nwant %s", got, want)
			}
		}
		if l.leaf != proof.LeafHash(want) {
			t.Fatalf("the leaf is not that of %s", want)
		}
	}
}

// TestStatementsAlike: a statement that differs from those before in anything has a line of its own.
func TestStatementsAlike(t *testing.T) {
	statement, _ := hotEvents()
	statement.Time, statement.Reasons, statement.Obligations = at, []string{"a"}, []string{"b"}
	other, _ := hotEvents()
	l := newLine()
	for name, change := range map[string]func(*Statement){
		"nothing":       func(*Statement) {},
		"number":        func(s *Statement) { s.Number++ },
		"time":          func(s *Statement) { s.Time = s.Time.Add(time.Minute + time.Microsecond) },
		"session":       func(s *Statement) { s.Session = "fedcba9876543210" },
		"who":           func(s *Statement) { s.Who = other.Who },
		"protocol":      func(s *Statement) { s.Protocol = ProtocolBind },
		"a query":       func(s *Statement) { s.Protocol = ProtocolQuery },
		"another query": func(s *Statement) { s.Protocol, s.Text = ProtocolQuery, NewText("SELECT 8", 0) },
		"a function call": func(s *Statement) {
			s.Protocol, s.Text, s.Normalized, s.Facts = ProtocolFunctionCall, Text{}, Text{}, nil
		},
		"name":            func(s *Statement) { s.StatementName = "S_1" },
		"portal":          func(s *Statement) { s.Portal = "C_1" },
		"text":            func(s *Statement) { s.Text = NewText("SELECT 8", 0) },
		"truncated":       func(s *Statement) { s.Text.truncated = true },
		"redacted":        func(s *Statement) { s.Text.redacted = true },
		"aside":           func(s *Statement) { s.Text.whole = s.Text.text },
		"normalized":      func(s *Statement) { s.Normalized = NewText("SELECT $1", 0) },
		"not normalized":  func(s *Statement) { s.Normalized = s.Text },
		"facts":           func(s *Statement) { s.Facts = NewFacts(nil, nil, "") },
		"no facts":        func(s *Statement) { s.Facts = nil },
		"incomplete":      func(s *Statement) { s.Incomplete = true },
		"resolved":        func(s *Statement) { s.Resolved = true },
		"observe":         func(s *Statement) { s.Observe = true },
		"decision":        func(s *Statement) { s.Decision = DecisionDeny },
		"reasons":         func(s *Statement) { s.Reasons = []string{"c"} },
		"sqlstate":        func(s *Statement) { s.SQLSTATE = "42501" },
		"revision":        func(s *Statement) { s.PolicyRevision = "fedcba9876543210" },
		"obligations":     func(s *Statement) { s.Obligations = []string{"d"} },
		"values":          func(s *Statement) { s.Values = &Values{Detail: ValueTypes, Count: 1, Bodies: []byte{0, 0, 0, 1, '7'}} },
		"others begin so": func(s *Statement) { s.PolicyRevision = s.PolicyRevision[:8] },
	} {
		t.Run(name, func(t *testing.T) {
			changed := *statement
			change(&changed)
			for _, omit := range []omitted{{text: true, normalized: true}, {text: true}, {normalized: true}, {}} {
				wantSame(t, l, 3, omit, statement)
				wantSame(t, l, 3, omit, &changed)
				wantSame(t, l, 1, omit, statement)
			}
		})
	}
}

// TestOutcomesAlike is TestStatementsAlike for outcomes.
func TestOutcomesAlike(t *testing.T) {
	_, outcome := hotEvents()
	outcome.Time = at
	l := newLine()
	for name, change := range map[string]func(*Outcome){
		"nothing":  func(*Outcome) {},
		"number":   func(o *Outcome) { o.Number = 1 },
		"time":     func(o *Outcome) { o.Time = at.Add(time.Hour) },
		"duration": func(o *Outcome) { o.Duration, o.JudgeDuration, o.WaitDuration = 7, 8, 9 },
		"session":  func(o *Outcome) { o.Session = "fedcba9876543210" },
		"nobody's": func(o *Outcome) { o.Who = nil },
		"status":   func(o *Outcome) { o.Status = StatusSuspended },
		"command":  func(o *Outcome) { o.Command = "SELECT 2" },
		"sqlstate": func(o *Outcome) { o.SQLSTATE = "57014" },
		"rows":     func(o *Outcome) { o.Rows++ },
		"bytes":    func(o *Outcome) { o.Bytes++ },
	} {
		t.Run(name, func(t *testing.T) {
			changed := *outcome
			change(&changed)
			wantSame(t, l, 3, omitted{}, outcome)
			wantSame(t, l, 3, omitted{}, &changed)
			wantSame(t, l, 1, omitted{}, outcome)
		})
	}
}

// TestTemplatesAreUsed: what is never used would not be noticed otherwise.
func TestTemplatesAreUsed(t *testing.T) {
	statement, outcome := hotEvents()
	query := *statement
	query.Protocol = ProtocolQuery
	l := newLine()
	for name, event := range map[string]Event{"statement": statement, "query": &query, "outcome": outcome} {
		for range 3 {
			l.set(event, omitted{text: true, normalized: true})
		}
		if l.head == nil {
			t.Errorf("the third %s is encoded anew", name)
		}
	}
	hash := statement.hash(statement.shown(statement.normalized()))
	found := statement.Who.statements.find(hash)
	if n := testing.AllocsPerRun(100, func() { l.set(statement, omitted{text: true, normalized: true}) }); n != hashAllocations {
		t.Errorf("%v allocations", n)
	}
	if found == nil || found != statement.Who.statements.find(hash) {
		t.Error("a template is made again and again")
	}
}

// TestTemplateKeepsNothingThatChanges: names are in memory that the next message overwrites.
func TestTemplateKeepsNothingThatChanges(t *testing.T) {
	statement, _ := hotEvents()
	statement.Time = at
	memory := []byte("S_1")
	statement.StatementName = view(memory)
	l := newLine()
	omit := omitted{text: true, normalized: true}
	wantSame(t, l, 3, omit, statement)
	copy(memory, "S_2")
	wantSame(t, l, 3, omit, statement)
}

// TestLongBeginningsAreNotKept, or a session would cost as much as a client likes.
func TestLongBeginningsAreNotKept(t *testing.T) {
	statement, _ := hotEvents()
	statement.Time = at
	statement.Facts = NewFacts(nil, []string{string(bytes.Repeat([]byte("x"), maxFieldBytes)), string(bytes.Repeat([]byte("y"), maxFieldBytes)), string(bytes.Repeat([]byte("z"), maxFieldBytes)), string(bytes.Repeat([]byte("x"), maxFieldBytes))}, "")
	omit := omitted{text: true, normalized: true}
	wantSame(t, newLine(), 3, omit, statement)
	if statement.Who.statements.find(statement.hash(statement.shown(statement.normalized()))) != nil {
		t.Error("it was kept")
	}
}
