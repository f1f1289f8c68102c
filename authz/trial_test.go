package authz

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/authz/statement"
)

const (
	trialConnect   = "package sallyport.connect\n\ndecision := {\"allow\": input.identity.user != \"eve\", \"reasons\": [], \"role\": \"tried\", \"route\": \"there\", \"observe\": input.identity.user == \"dba\"}\n"
	trialStatement = "package sallyport.statement\n\ndecision := {\"allow\": input.session.observe, \"reasons\": [sprintf(\"%s %s\", [input.session.role, input.session.route])]}\n"
)

// TestTrial: a statement is judged in the session that this policy would have given, not in the one that there was.
func TestTrial(t *testing.T) {
	dir := directory(t, map[string]string{"connect.rego": trialConnect, "statement.rego": trialStatement})
	e, err := New(Config{Timeout: patience, Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	input := StatementInput{Session: Session{Role: "real", Route: "here", Observe: true}, Statement: &statement.Sheet{Complete: true}}
	for user, allow := range map[string]bool{"ana": false, "dba": true} {
		d, err := e.Trial(ConnectInput{Identity: Identity{User: user}}).Statement(t.Context(), input)
		if err != nil || d.Allow != allow || d.Reasons[0] != "tried there" {
			t.Errorf("%s: %+v, %v", user, d, err)
		}
	}
	eve := e.Trial(ConnectInput{Identity: Identity{User: "eve"}})
	if _, err := eve.Statement(t.Context(), input); !errors.Is(err, ErrNotAdmitted) {
		t.Errorf("eve: %v", err)
	}
	put(t, filepath.Join(dir, "connect.rego"), connectAllowed)
	if err := e.Reload(); err != nil {
		t.Fatal(err)
	}
	if d, err := eve.Statement(t.Context(), input); err != nil || d.Reasons[0] != "r " || d.Revision != e.Policy().Revision() {
		t.Errorf("eve, by the next policy: %+v, %v", d, err)
	}
}
