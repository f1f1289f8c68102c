package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

// TestObserveOnly: in a database where policy is on trial its denials are recorded and let through, and nothing else is.
func TestObserveOnly(t *testing.T) {
	for name, test := range map[string]struct {
		send  []pgproto3.FrontendMessage
		ready int
		want  []string // the trail, with the reasons
	}{
		"denied by policy": {
			[]pgproto3.FrontendMessage{query("forbidden"), query("select")},
			2,
			[]string{"query forbidden = observe → completed: forbidden is not granted", "query select = allow → completed"},
		},
		"in pieces": {
			[]pgproto3.FrontendMessage{parse("s", "forbidden"), bind("", "s"), execute(""), syncMessage},
			1,
			[]string{"bind forbidden = observe → completed: forbidden is not granted"},
		},
		"through a name": {
			[]pgproto3.FrontendMessage{parse("s", "forbidden"), syncMessage, query("execute s")},
			2,
			[]string{
				"parse forbidden = observe → completed: forbidden is not granted", "query execute s = observe → completed: forbidden is not granted",
			},
		},
		"incomplete facts": {
			[]pgproto3.FrontendMessage{query("begin"), query("create"), query("select")},
			3,
			[]string{
				"query begin = allow → completed", "query create = allow → completed",
				"query select = observe → completed: names may have moved: definitions were changed in this transaction",
			},
		},
		"not SQL":                {[]pgproto3.FrontendMessage{query("garbled")}, 1, []string{`query garbled = deny → denied 42601: syntax error at or near "garbled"`}},
		"a policy in pieces":     {[]pgproto3.FrontendMessage{query("broken")}, 1, []string{"query broken = deny → denied 58000: policy could not decide"}},
		"a name of nothing":      {[]pgproto3.FrontendMessage{query("execute s")}, 1, []string{`query execute s = deny → denied 26000: prepared statement "s" does not exist`}},
		"denied, and of nothing": {[]pgproto3.FrontendMessage{query("forbidden; execute s")}, 1, []string{`query forbidden; execute s = deny → denied 26000: prepared statement "s" does not exist`}},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, func(r *relay) { r.grant.database.ObserveOnly = true })
			b.send(test.send...)
			b.receive(test.ready)
			b.end()
			got := b.log.lines()
			for i, s := range b.log.statements {
				for _, reason := range s.Reasons {
					got[i] += ": " + reason
				}
				if s.Observe {
					t.Error("the session does not observe; its database does")
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestObserveOnlyReadOnly: a session that is read-only does not write because policy would not have let it anyway.
func TestObserveOnlyReadOnly(t *testing.T) {
	exchange{
		send:  []pgproto3.FrontendMessage{query("create x"), query("forbidden; create x"), query("forbidden")},
		ready: 3, want: "E25006 ZI E25006 ZI D FORBIDDEN 1 ZI", ran: "forbidden",
		trail: []string{
			"query create x = deny → denied 25006", "query forbidden; create x = deny → denied 25006", "query forbidden = observe → completed",
		},
	}.checkWith(t, func(r *relay) {
		r.grant.database.ObserveOnly, r.grant.ReadOnly = true, true
		r.policy = &fakePolicy{grants: r.grant.ConnectDecision}
	})
}
