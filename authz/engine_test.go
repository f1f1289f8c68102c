package authz

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authz/statement"
)

const (
	connectAllowed = "package sallyport.connect\ndecision := {\"allow\": true, \"reasons\": [], \"role\": \"r\"}\n"
	statementNone  = "package sallyport.statement\ndecision := {\"allow\": false, \"reasons\": [\"no\"]}\n"
)

// patience is a Timeout that a machine with much else to do does not reach either. The tests with it are not about the limit.
const patience = time.Minute

// directory writes a policy directory; files that are "" are left out, so that a case can leave a default out.
func directory(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	all := map[string]string{"connect.rego": connectAllowed, "statement.rego": statementNone}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		if text != "" {
			put(t, filepath.Join(dir, name), text)
		}
	}
	return dir
}

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func statementPolicy(body string) map[string]string {
	return map[string]string{"statement.rego": "package sallyport.statement\n" + body}
}

func connectPolicy(body string) map[string]string {
	return map[string]string{"connect.rego": "package sallyport.connect\n" + body}
}

// TestNewRefuses: what is wrong with a policy is found before the first client, and names what it is.
func TestNewRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no policy":           {map[string]string{"connect.rego": "", "statement.rego": ""}, "no .rego file"},
		"tests only":          {map[string]string{"connect.rego": "", "statement.rego": "", "a_test.rego": "package a"}, "no .rego file"},
		"no connect":          {map[string]string{"connect.rego": ""}, "no rule defines data.sallyport.connect.decision"},
		"no statement":        {map[string]string{"statement.rego": ""}, "no rule defines data.sallyport.statement.decision"},
		"syntax":              {statementPolicy("decision := {"), "statement.rego"},
		"rego of old":         {statementPolicy("decision = d { d := {} }"), "`if` keyword is required"},
		"empty module":        {map[string]string{"x.rego": "# nothing\n"}, "x.rego"},
		"unused variable":     {statementPolicy("decision := {\"allow\": false, \"reasons\": []} if { x := 1 }"), "x unused"},
		"unknown input":       {statementPolicy("decision := {\"allow\": input.statement.compleat, \"reasons\": []}"), "undefined ref: input.statement.compleat"},
		"input of wrong type": {statementPolicy("decision := {\"allow\": count(input.session.observe) > 0, \"reasons\": []}"), "invalid argument"},
		"unknown function":    {statementPolicy("decision := {\"allow\": nope(1), \"reasons\": []}"), "undefined function"},
		"http":                {statementPolicy("decision := http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1\"}).body"), "undefined function http.send"},
		"dns":                 {statementPolicy("decision := net.lookup_ip_addr(\"localhost\")"), "undefined function net.lookup_ip_addr"},
		"undefined":           {statementPolicy("decision := {\"allow\": true, \"reasons\": []} if input.session.database == \"other\""), "undefined"},
		"conflict":            {statementPolicy("decision := {\"allow\": true, \"reasons\": []}\ndecision := {\"allow\": false, \"reasons\": []} if input.version == 2"), "conflicting values"},
		"failing builtin":     {statementPolicy("decision := {\"allow\": true, \"reasons\": []} if not to_number(input.session.id)"), "to_number"},
		"not an object":       {statementPolicy("decision := true"), "not an object"},
		"set":                 {statementPolicy("decision contains \"allow\""), "not an object"},
		"no allow":            {statementPolicy("decision := {\"reasons\": []}"), "allow is missing"},
		"allow is text":       {statementPolicy("decision := {\"allow\": \"true\", \"reasons\": []}"), "allow is not a boolean"},
		"allow is null":       {statementPolicy("decision := {\"allow\": null, \"reasons\": []}"), "allow is not a boolean"},
		"no reasons":          {statementPolicy("decision := {\"allow\": true}"), "reasons is missing"},
		"reasons is text":     {statementPolicy("decision := {\"allow\": true, \"reasons\": \"x\"}"), "not a set or array"},
		"reasons are numbers": {statementPolicy("decision := {\"allow\": true, \"reasons\": [1]}"), "not a set or array"},
		"typo":                {statementPolicy("decision := {\"allow\": true, \"reasons\": [], \"alow\": false}"), "unknown key alow"},
		"role for statement":  {statementPolicy("decision := {\"allow\": true, \"reasons\": [], \"role\": \"r\"}"), "unknown key role"},
		"allow without role":  {connectPolicy("decision := {\"allow\": true, \"reasons\": []}"), "allow without a role"},
		"empty role":          {connectPolicy("decision := {\"allow\": true, \"reasons\": [], \"role\": \"\"}"), "allow without a role"},
		"role is a list":      {connectPolicy("decision := {\"allow\": true, \"reasons\": [], \"role\": [\"r\"]}"), "role is not a string"},
		"observe is text":     {connectPolicy("decision := {\"allow\": true, \"reasons\": [], \"role\": \"r\", \"observe\": \"no\"}"), "observe is not a boolean"},
		"negative duration":   {connectPolicy("decision := {\"allow\": true, \"reasons\": [], \"role\": \"r\", \"max_session_seconds\": -1}"), "max_session_seconds"},
		"broken duration":     {connectPolicy("decision := {\"allow\": true, \"reasons\": [], \"role\": \"r\", \"statement_timeout_ms\": 1.5}"), "statement_timeout_ms"},
		"huge duration":       {connectPolicy("decision := {\"allow\": true, \"reasons\": [], \"role\": \"r\", \"idle_timeout_seconds\": 1e30}"), "idle_timeout_seconds"},
		"duration is text":    {connectPolicy("decision := {\"allow\": true, \"reasons\": [], \"role\": \"r\", \"max_session_seconds\": \"1h\"}"), "max_session_seconds is not a number"},
		"negative amount":     {connectPolicy("decision := {\"allow\": true, \"reasons\": [], \"role\": \"r\", \"max_rows\": -1}"), "max_rows"},
		"huge amount":         {statementPolicy("decision := {\"allow\": true, \"reasons\": [], \"max_bytes\": 1e30}"), "max_bytes"},
		"bind_values":         {connectPolicy("decision := {\"allow\": true, \"reasons\": [], \"role\": \"r\", \"bind_values\": \"all\"}"), "bind_values is not off"},
		"amount is text":      {statementPolicy("decision := {\"allow\": true, \"reasons\": [], \"max_rows\": \"100\"}"), "max_rows is not a number"},
		"warn is text":        {statementPolicy("decision := {\"allow\": true, \"reasons\": [], \"warn\": \"careful\"}"), "warn: not a set or array"},
		"a typo in a denial":  {connectPolicy("decision := {\"allow\": false, \"reasons\": [], \"rol\": \"r\"}"), "unknown key rol"},
		"data over rules":     {map[string]string{"data.yaml": "sallyport: {statement: {decision: {allow: true, reasons: []}}}"}, "belongs to the Rego packages"},
		"rules over data":     {map[string]string{"lib.rego": "package lib\nx := 1", "data.json": `{"lib": {"x": 2}}`}, "conflict"},
		"data given twice":    {map[string]string{"a.yaml": "x: {y: 1}", "b.json": `{"x": {"y": 2}}`}, "b.json:1: x.y: is already given"},
		"key given twice":     {map[string]string{"a.yaml": "x: 1\nx: 2"}, "already defined"},
		"JSON key twice":      {map[string]string{"a.json": `{"x": 1, "x": 2}`}, "already defined"},
		"data is a list":      {map[string]string{"a.yaml": "- x"}, "a.yaml"},
		"two documents":       {map[string]string{"a.yaml": "x: 1\n---\ny: 2"}, "more than one document"},
		"number as key":       {map[string]string{"a.yaml": "x: {1: 2}"}, "not JSON"},
		"date":                {map[string]string{"a.yaml": "x: 2024-01-01"}, "not JSON"},
		"broken data":         {map[string]string{"a.json": `{"x": `}, "a.json"},
		"subdirectory":        {map[string]string{"more/x.rego": "package x"}, "one flat directory"},
		"problems":            {map[string]string{"p.rego": "package sallyport\nproblems contains \"a grant is wrong\""}, "policy data: a grant is wrong"},
		"mistyped problems":   {map[string]string{"p.rego": "package sallyport\nproblems := true"}, "not a set or array"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(Config{Timeout: patience, Directory: directory(t, test.files)})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error about %q", err, test.want)
			}
		})
	}
}

func TestNewRefusesConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no directory":      {},
		"missing directory": {Directory: filepath.Join(t.TempDir(), "nowhere")},
		"a file":            {Directory: filepath.Join(directory(t, nil), "connect.rego")},
		"negative timeout":  {Directory: directory(t, nil), Timeout: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(cfg); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestConnect(t *testing.T) {
	for name, test := range map[string]struct {
		decision string
		want     ConnectDecision
	}{
		"role only": {
			`{"allow": true, "reasons": [], "role": "r"}`,
			ConnectDecision{Allow: true, Reasons: []string{}, Role: "r"},
		},
		"everything": {
			`{"allow": true, "reasons": ["on call"], "role": "r", "observe": true, "read_only": true, "max_session_seconds": 60, "idle_timeout_seconds": 2,
				"statement_timeout_ms": 1500, "max_rows": 1000, "max_bytes": 5000000000, "max_rows_per_hour": 3, "max_bytes_per_hour": 4, "bind_values": "redacted", "max_sessions": 5, "max_statements_per_second": 6}`,
			ConnectDecision{
				Allow: true, Reasons: []string{"on call"}, Role: "r", Observe: true, ReadOnly: true,
				MaxSession: time.Minute, IdleTimeout: 2 * time.Second, StatementTimeout: 1500 * time.Millisecond,
				MaxRows: 1000, MaxBytes: 5_000_000_000, MaxRowsPerHour: 3, MaxBytesPerHour: 4, MaxSessions: 5, MaxStatementsPerSecond: 6, BindValues: BindValuesRedacted,
			},
		},
		"no bind values": {
			`{"allow": true, "reasons": [], "role": "r", "bind_values": "off"}`,
			ConnectDecision{Allow: true, Reasons: []string{}, Role: "r"},
		},
		"a denial grants nothing": {
			`{"allow": false, "reasons": ["no"], "role": "r", "observe": true, "max_session_seconds": 60}`,
			ConnectDecision{Reasons: []string{"no"}},
		},
		"reasons as a set": {
			`{"allow": false, "reasons": {"b", "a"}}`,
			ConnectDecision{Reasons: []string{"a", "b"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := New(Config{Timeout: patience, Directory: directory(t, connectPolicy("decision := "+test.decision))})
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.Connect(t.Context(), &ConnectInput{})
			if err != nil {
				t.Fatal(err)
			}
			test.want.Revision = e.Policy().Revision()
			if diff := cmp.Diff(test.want, *got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStatement(t *testing.T) {
	for name, test := range map[string]struct {
		decision string
		want     StatementDecision
	}{
		"nothing but yes": {
			`{"allow": true, "reasons": []}`,
			StatementDecision{Allow: true, Reasons: []string{}},
		},
		"everything": {
			`{"allow": true, "reasons": ["on call"], "read_only": true, "max_rows": 1000, "max_bytes": 2, "statement_timeout_ms": 1500, "warn": {"b", "a\n"}}`,
			StatementDecision{
				Allow: true, Reasons: []string{"on call"}, ReadOnly: true, MaxRows: 1000, MaxBytes: 2, Warnings: []string{"a\ufffd", "b"},
				StatementTimeout: 1500 * time.Millisecond,
			},
		},
		"a denial obliges to nothing": {
			`{"allow": false, "reasons": ["no"], "read_only": true}`,
			StatementDecision{Reasons: []string{"no"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := New(Config{Timeout: patience, Directory: directory(t, statementPolicy("decision := "+test.decision))})
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.Statement(t.Context(), &StatementInput{Statement: &statement.Sheet{}})
			if err != nil {
				t.Fatal(err)
			}
			test.want.Revision, test.want.Cacheable = e.Policy().Revision(), true
			if diff := cmp.Diff(test.want, *got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestReasonsAreBounded: they carry names that a client chose.
func TestReasonsAreBounded(t *testing.T) {
	body := "decision := {\"allow\": false, \"reasons\": {sprintf(\"%d\\n\\u0007%s\", [n, input.session.application_name]) | some n in numbers.range(100, 199)}}"
	e, err := New(Config{Timeout: patience, Directory: directory(t, statementPolicy(body))})
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Statement(t.Context(), &StatementInput{
		Session: Session{Application: strings.Repeat("ä", 1000)}, Statement: &statement.Sheet{},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Reasons) != maxReasons+1 || got.Reasons[maxReasons] != "and 84 more" {
		t.Errorf("got %d reasons, the last %q", len(got.Reasons), got.Reasons[len(got.Reasons)-1])
	}
	if n := len([]rune(got.Reasons[0])); n != maxReasonRunes {
		t.Errorf("a reason of %d runes", n)
	}
	if !strings.HasPrefix(got.Reasons[0], "100\ufffd\ufffdä") {
		t.Errorf("not printable: %q", got.Reasons[0])
	}
}

func TestTimeout(t *testing.T) {
	// Quick on the samples, whose application_name is psql; quadratic for others.
	body := `decision := {"allow": true, "reasons": []} if input.session.application_name != "slow"
else := {"allow": true, "reasons": []} if count([1 | some i in numbers.range(1, 5000); some j in numbers.range(1, 5000); i == j + 10000]) == 0`
	e, err := New(Config{Directory: directory(t, statementPolicy(body))})
	if err != nil {
		t.Fatal(err)
	}
	if e.cfg.Timeout != 500*time.Millisecond {
		t.Errorf("an evaluation may take %v", e.cfg.Timeout)
	}
	e.cfg.Timeout = 20 * time.Millisecond
	input := &StatementInput{Session: Session{Application: "slow"}, Statement: &statement.Sheet{}}
	if _, err := e.Statement(t.Context(), input); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	input.Session.Application = "quick"
	if _, err := e.Statement(ended, input); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want cancelled", err)
	}
}

func TestStatementWithoutSheet(t *testing.T) {
	e, err := New(Config{Timeout: patience, Directory: directory(t, statementPolicy("decision := {\"allow\": true, \"reasons\": []}"))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Statement(t.Context(), &StatementInput{}); err == nil {
		t.Error("a statement without facts was judged")
	}
}

// TestVersionIsTheEngines: a caller cannot make a statement decision look like another.
func TestVersionIsTheEngines(t *testing.T) {
	body := fmt.Sprintf("decision := {\"allow\": (input.version == %d) == (input.action == \"statement\"), \"reasons\": []}", ContractVersion)
	e, err := New(Config{Timeout: patience, Directory: directory(t, statementPolicy(body))})
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Statement(t.Context(), &StatementInput{Version: 7, Action: "connect", Statement: &statement.Sheet{}})
	if err != nil || !got.Allow {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestNetworkIsASwitch(t *testing.T) {
	body := "decision := {\"allow\": true, \"reasons\": []} if input.version == 2\nelse := http.send({\"method\": \"get\", \"url\": input.session.id}).body"
	e, err := New(Config{Timeout: patience, Directory: directory(t, statementPolicy(body)), InsecureAllowNetwork: true})
	if err != nil {
		t.Fatal(err)
	}
	if e.Policy().Cacheable() {
		t.Error("a policy that asks the network is cacheable")
	}
}
