package gateway

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

func TestRelayDeniesWhatAuditDoesNotTake(t *testing.T) {
	b := start(t, nil)
	b.log.setBroken(true)
	b.send(query("select"), parse("", "select"), bind("", ""), execute(""), syncMessage)
	if got, want := strings.Join(b.receive(2), " "), "E58030 ZI 1 E58030 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if ran := b.backend.executed(); len(ran) != 0 {
		t.Errorf("the backend ran %q", ran)
	}
	b.log.setBroken(false)
	b.send(query("select"))
	if got, want := strings.Join(b.receive(1), " "), "D SELECT 1 ZI"; got != want {
		t.Errorf("after recovery got %s, want %s", got, want)
	}
	b.end()
}

func TestRelayDenialSaysWhy(t *testing.T) {
	b := start(t, nil)
	b.send(query("forbidden"))
	m, err := b.client.Receive()
	if err != nil {
		t.Fatal(err)
	}
	got := *m.(*pgproto3.ErrorResponse)
	want := pgproto3.ErrorResponse{
		Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42501", Message: "permission denied by policy",
		Detail: "forbidden is not granted", Hint: "Decision s.1.",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	b.end()
}

// TestRelayForeignErrorAtADenial shows that an error is no denial because it looks like one: nothing was asked, so it is out of step.
func TestRelayForeignErrorAtADenial(t *testing.T) {
	b := start(t, nil)
	b.send(query("select"))
	b.receive(1)
	b.backend.say(&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42601", Message: noncePrefix})
	if got, want := strings.Join(b.rest(), " "), "FATAL 08P01"; got != want {
		t.Errorf("got %s, want %s: an error that answers nothing", got, want)
	}
	b.cause()
}
