package ocsf

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/gateway/audit"
)

// schema is what the published schema asks of the two classes: attributes that must be there, and the numbers they may have.
type schema struct {
	Required   []string            `json:"required"`
	AtLeastOne [][]string          `json:"at_least_one"`
	Enums      map[string][]int    `json:"enums"`
	Objects    map[string][]string `json:"objects"` // by attribute: what they must have
}

func validate(t *testing.T, event []byte) map[string]any {
	t.Helper()
	content, err := os.ReadFile("testdata/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var classes map[string]schema
	if err := json.Unmarshal(content, &classes); err != nil {
		t.Fatal(err)
	}
	var e map[string]any
	if err := json.Unmarshal(event, &e); err != nil {
		t.Fatalf("%v: %s", err, event)
	}
	class, ok := classes[fmt.Sprint(e["class_uid"])]
	if !ok {
		t.Fatalf("class_uid is %v", e["class_uid"])
	}
	for _, key := range class.Required {
		if e[key] == nil {
			t.Errorf("%s is missing", key)
		}
	}
	for _, keys := range class.AtLeastOne {
		if !slices.ContainsFunc(keys, func(key string) bool { return e[key] != nil }) {
			t.Errorf("none of %v is there", keys)
		}
	}
	for key, values := range class.Enums {
		if n, ok := e[key].(float64); e[key] != nil && (!ok || !slices.Contains(values, int(n))) {
			t.Errorf("%s is %v", key, e[key])
		}
	}
	for key, wanted := range class.Objects {
		object, isObject := e[key].(map[string]any)
		for _, field := range wanted {
			if isObject && object[field] == nil {
				t.Errorf("%s.%s is missing", key, field)
			}
		}
	}
	if e["type_uid"] != e["class_uid"].(float64)*100+e["activity_id"].(float64) {
		t.Errorf("type_uid is %v", e["type_uid"])
	}
	return e
}

func line(e audit.Event) []byte { return e.AppendJSON(nil) }

func newStatement() *audit.Statement {
	return &audit.Statement{
		Session: "5b0c9a1f64d2e837", Number: 2, Protocol: audit.ProtocolQuery, Decision: audit.DecisionAllow,
		Facts: audit.NewFacts([]string{"SELECT"}, []string{"app.orders select (id)"}, ""), Text: audit.NewText("SELECT id FROM orders", 0),
		Who: audit.NewWho(audit.Statements{
			Identity: &audit.Identity{User: "ana@example.com", Method: "oidc", Subject: "17", Name: "Ana", Groups: []string{"support"}},
			Database: "app", ClientAddress: "192.0.2.7:5555", BackendHost: "db.example.com:5432",
		}),
	}
}

func TestStatementIsDatastoreActivity(t *testing.T) {
	event, ok := Convert(line(newStatement()))
	if !ok {
		t.Fatal("it is no event")
	}
	e := validate(t, event)
	for path, want := range map[string]any{
		"class_uid": 6005.0, "activity_id": 4.0, "status_id": 0.0, "severity_id": 1.0,
		"actor.user.name": "ana@example.com", "actor.user.uid": "17", "actor.user.full_name": "Ana", "actor.user.email_addr": "ana@example.com",
		"src_endpoint.ip": "192.0.2.7", "src_endpoint.port": 5555.0, "dst_endpoint.hostname": "db.example.com", "dst_endpoint.port": 5432.0,
		"database.name": "app", "table.name": "app.orders", "query_info.query_string": "SELECT id FROM orders", "metadata.uid": "5b0c9a1f64d2e837.2",
	} {
		if got := at(e, path); got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}

func at(e map[string]any, path string) any {
	var value any = e
	for key := range splitDots(path) {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	return value
}

func splitDots(path string) func(func(string) bool) {
	return func(yield func(string) bool) {
		start := 0
		for i := 0; i <= len(path); i++ {
			if i == len(path) || path[i] == '.' {
				if !yield(path[start:i]) {
					return
				}
				start = i + 1
			}
		}
	}
}

func TestStatus(t *testing.T) {
	for status, want := range map[audit.Status]float64{
		audit.StatusCompleted: 1, audit.StatusSuspended: 1, audit.StatusError: 2, audit.StatusCapped: 2, audit.StatusSkipped: 99,
		audit.StatusCancelled: 99, audit.StatusUnknown: 0,
	} {
		outcome := line(&audit.Outcome{Session: "5b0c9a1f64d2e837", Number: 2, Status: status, Rows: 3, Bytes: 70, Duration: 5e6})
		event, ok := Merge(line(newStatement()), outcome, "")
		if !ok {
			t.Fatal("it is no event")
		}
		e := validate(t, event)
		if e["status_id"] != want || e["duration"] != 5.0 || at(e, "query_info.bytes") != 70.0 || at(e, "unmapped.outcome_rows") != 3.0 {
			t.Errorf("%s: %s", status, event)
		}
	}
	denied := newStatement()
	denied.Decision, denied.SQLSTATE, denied.Reasons = audit.DecisionDeny, "42501", []string{"no"}
	event, _ := Convert(line(denied))
	if e := validate(t, event); e["status_id"] != 2.0 || e["status_code"] != "42501" || e["status_detail"] != "no" || e["severity_id"] != 3.0 {
		t.Errorf("denied: %s", event)
	}
}

func TestActivity(t *testing.T) {
	for command, want := range map[string]float64{
		"SELECT": 4, "INSERT": 5, "COPY": 5, "UPDATE": 2, "MERGE": 2, "ALTER TABLE": 2, "DELETE": 7, "TRUNCATE": 7, "DROP TABLE": 7,
		"CREATE TABLE": 6, "SHOW": 1, "BEGIN": 99,
	} {
		s := newStatement()
		s.Facts = audit.NewFacts([]string{command}, nil, "")
		event, _ := Convert(line(s))
		if e := validate(t, event); e["activity_id"] != want {
			t.Errorf("%s: %v", command, e["activity_id"])
		}
	}
}

func TestLoginsAreAuthentication(t *testing.T) {
	for name, test := range map[string]struct {
		event  audit.Event
		status float64
	}{
		"allowed": {&audit.Connect{Session: "s", Identity: audit.Identity{User: "ana", Method: "oidc"}, Allow: true}, 1},
		"refused": {&audit.LoginRefused{Session: "s", User: "ana", ClientAddress: "[2001:db8::1]:5", Reason: "authentication", SQLSTATE: "28P01"}, 2},
	} {
		event, ok := Convert(line(test.event))
		if !ok {
			t.Fatalf("%s: it is no event", name)
		}
		if e := validate(t, event); e["class_uid"] != 3002.0 || e["status_id"] != test.status || at(e, "user.name") != "ana" {
			t.Errorf("%s: %s", name, event)
		}
	}
}

func TestNoEvent(t *testing.T) {
	for name, line := range map[string][]byte{
		"torn":             []byte(`{"time":"2026-03-02T09:14:07.120431Z","type":"stat`),
		"no time":          []byte(`{"type":"statement"}`),
		"not an object":    []byte(`[]`),
		"outcome":          line(&audit.Outcome{Session: "s", Number: 1, Status: audit.StatusCompleted}),
		"a denied connect": line(&audit.Connect{Session: "s"}),
		"session_end":      line(&audit.SessionEnd{Session: "s"}),
	} {
		if event, ok := Convert(line); ok {
			t.Errorf("%s: %s", name, event)
		}
	}
	if event, ok := Merge(line(newStatement()), line(&audit.Outcome{Session: "another", Number: 2}), ""); ok {
		t.Errorf("another's outcome: %s", event)
	}
}
