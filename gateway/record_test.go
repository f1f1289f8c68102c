package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

// TestRecordSaysWhatPolicyKnew: a statement whose names may have moved was judged by incomplete facts, and its event says so.
func TestRecordSaysWhatPolicyKnew(t *testing.T) {
	b := start(t, nil)
	for _, m := range []pgproto3.FrontendMessage{query("begin"), query("create"), query("select"), query("rollback"), query("select")} {
		b.send(m)
		b.receive(1)
	}
	b.end()
	var got []bool
	for _, s := range b.log.statements {
		got = append(got, s.Incomplete)
	}
	if diff := cmp.Diff([]bool{false, false, true, false, false}, got); diff != "" {
		t.Error(diff)
	}
}
