package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAllowedStatements(t *testing.T) {
	const (
		allowed = `{"time":"2026-03-04T05:06:07Z","type":"statement","id":"s.1","decision":"allow","text":"SELECT 1"}` + "\n"
		denied  = `{"time":"2026-03-04T05:06:07Z","type":"statement","id":"s.2","decision":"deny","text":"SELECT 2"}` + "\n"
		outcome = `{"time":"2026-03-04T05:06:07Z","type":"outcome","id":"s.1","status":"completed"}` + "\n"
	)
	tests := map[string]struct {
		log   string
		want  int
		fails bool
	}{
		"empty":             {"", 0, false},
		"allowed":           {allowed + outcome + allowed, 2, false},
		"denied":            {denied, 0, false},
		"an outcome":        {outcome, 0, false},
		"half a line":       {allowed + allowed[:20], 1, true},
		"an unending line":  {strings.Repeat("x", maxAuditLine+1), 0, true},
		"quoted in a text":  {`{"type":"outcome","text":"\"type\":\"statement\",\"decision\":\"allow\""}` + "\n", 0, false},
		"a session's start": {`{"type":"session_start","session":"s"}` + "\n", 0, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, read, err := allowedStatements(strings.NewReader(test.log))
			if got != test.want || (err != nil) != test.fails {
				t.Errorf("got %d, error %v", got, err)
			}
			if !test.fails && read != int64(len(test.log)) {
				t.Errorf("%d bytes read of %d", read, len(test.log))
			}
		})
	}
}

// TestAuditLogGrows: each time it counts what is new, in a file that is longer than what is written, too.
func TestAuditLogGrows(t *testing.T) {
	const line = `{"type":"statement","decision":"allow"}` + "\n"
	log := auditLog{path: filepath.Join(t.TempDir(), "audit.log")}
	text := ""
	for _, lines := range []int{2, 0, 3} {
		text += strings.Repeat(line, lines)
		if err := os.WriteFile(log.path, []byte(text+strings.Repeat("\x00", 100)), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := log.statements()
		if err != nil || got != lines {
			t.Errorf("got %d, error %v, want %d", got, err, lines)
		}
		if log.read != int64(len(text)) {
			t.Errorf("%d bytes looked at, want %d", log.read, len(text))
		}
	}
	if _, err := (&auditLog{path: log.path + ".gone"}).statements(); err == nil {
		t.Error("a log that is not there has been read")
	}
}
