package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/audit"
)

// TestAuditExport: a statement comes out once, with its outcome and its text, which is in the line of another.
func TestAuditExport(t *testing.T) {
	t.Chdir(t.TempDir())
	text := audit.NewText("SELECT 1", 0)
	first := string((&audit.Statement{Session: "s", Number: 1, Decision: audit.DecisionAllow, Text: text}).AppendJSON(nil))
	second := string((&audit.Statement{Session: "s", Number: 2, Decision: audit.DecisionAllow, Text: text}).AppendJSON(nil))
	lines := []string{
		first, strings.Replace(second, `"text":"SELECT 1",`, "", 1),
		string((&audit.Outcome{Session: "s", Number: 2, Status: audit.StatusCompleted}).AppendJSON(nil)),
		string((&audit.LoginRefused{Session: "r", User: "ana", ClientAddress: "192.0.2.7:5"}).AppendJSON(nil)),
		`{"time":"torn`,
	}
	write(t, "audit.log", strings.Join(lines, "\n")+"\n")
	var stdout, stderr bytes.Buffer
	if status := auditExport([]string{"--format", "ocsf", "audit.log"}, &stdout, &stderr); status != exitOK {
		t.Fatalf("status %d: %s", status, &stderr)
	}
	var got []string
	for line := range strings.Lines(stdout.String()) {
		var e struct {
			ClassUID int `json:"class_uid"`
			StatusID int `json:"status_id"`
			Metadata struct{ UID string }
			Query    struct {
				Text string `json:"query_string"`
			} `json:"query_info"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		compact, _ := json.Marshal([]any{e.ClassUID, e.StatusID, e.Metadata.UID, e.Query.Text})
		got = append(got, string(compact))
	}
	want := `[6005,1,"s.2","SELECT 1"] [3002,2,"r.login_refused",""] [6005,0,"s.1","SELECT 1"]`
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	if status := auditExport([]string{"--format", "cef", "audit.log"}, &stdout, &stderr); status != exitUsage {
		t.Errorf("another format: status %d", status)
	}
}
