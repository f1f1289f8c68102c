package gateway

import (
	"strings"
	"testing"
)

// TestRecordTakesValuesOutOfExecute: EXECUTE shows nothing of what it runs, and that says that its values are secrets.
func TestRecordTakesValuesOutOfExecute(t *testing.T) {
	for name, prepare := range map[string]string{
		"prepared by Parse":    "select password = $1",
		"by SQL":               "",
		"what names no secret": "select name = $1",
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			if prepare == "" {
				b.send(query("prepare s as select password = $1"))
			} else {
				b.send(parse("s", prepare), syncMessage)
			}
			b.receive(1)
			b.send(query("execute s ('hunter2')"))
			b.receive(1)
			b.end()
			last := b.log.statements[len(b.log.statements)-1]
			if !strings.HasPrefix(last.Text.String(), "execute s (") {
				t.Fatalf("the last statement is %q", last.Text)
			}
			secret := name != "what names no secret"
			if kept := strings.Contains(last.Text.String(), "hunter2"); kept == secret || last.Text.Redacted() != secret {
				t.Errorf("the log has %q", last.Text)
			}
		})
	}
}
