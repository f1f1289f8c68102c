package audit

import "testing"

// TestOperatorLines pins the lines about operators and about what they, or policy, change for sessions.
func TestOperatorLines(t *testing.T) {
	tests := map[string]struct {
		event Event
		want  string
	}{
		"operator action": {
			&OperatorAction{Time: at, ID: "o1", Session: "s1", Action: "end", Operator: Operator{Method: "token"}, ClientAddress: "::1", Result: "done"},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"operator_action","session":"s1","id":"o1","action":"end","operator_method":"token","client_address":"::1","result":"done"}`,
		},
		"operator action in full": {
			&OperatorAction{
				Time: at, ID: "o1", Action: "refuse", Operator: Operator{Name: "boss@example.com", Method: "oidc", Issuer: "https://id.example", Subject: "1"},
				ClientAddress: "::1", User: "ana", Issuer: "https://id.example", Subject: "2", Expires: at, Reason: "INC-1", Result: "done", Ended: []string{"s1", "s2"},
			},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"operator_action","session":"","id":"o1","action":"refuse","operator":"boss@example.com","operator_method":"oidc","operator_issuer":"https://id.example","operator_subject":"1","client_address":"::1","user":"ana","issuer":"https://id.example","subject":"2","expires":"2026-03-04T05:06:07.000000Z","stated_reason":"INC-1","result":"done","ended_sessions":["s1","s2"]}`,
		},
		"grant change": {
			&GrantChange{Time: at, Session: "s1", Identity: Identity{User: "ana", Method: "oidc"}, Reasons: []string{"no"}, PolicyRevision: "r", Ended: true},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"grant_change","session":"s1","user":"ana","method":"oidc","allow":false,"reasons":["no"],"policy_revision":"r","ended":true}`,
		},
		"grant change in other groups": {
			&GrantChange{Time: at, Session: "s1", Identity: Identity{User: "ana", Method: "oidc", Groups: []string{"a", "b"}}, Allow: true, PolicyRevision: "r", Role: "dba", Regrouped: true},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"grant_change","session":"s1","user":"ana","method":"oidc","groups":["a","b"],"allow":true,"reasons":[],"policy_revision":"r","role":"dba"}`,
		},
		"grant change in no group": {
			&GrantChange{Time: at, Session: "s1", Identity: Identity{User: "ana", Method: "oidc"}, PolicyRevision: "r", Regrouped: true, Ended: true},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"grant_change","session":"s1","user":"ana","method":"oidc","groups":[],"allow":false,"reasons":[],"policy_revision":"r","ended":true}`,
		},
		"grant change in full": {
			&GrantChange{Time: at, Session: "s1", Identity: Identity{User: "ana", Method: "oidc", Issuer: "i", Subject: "s"}, Allow: true, PolicyRevision: "r", Role: "dba", Observe: true, Obligations: []string{"max_rows=1"}},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"grant_change","session":"s1","user":"ana","method":"oidc","issuer":"i","subject":"s","allow":true,"reasons":[],"policy_revision":"r","role":"dba","observe":true,"obligations":["max_rows=1"]}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { wantLine(t, test.event, test.want) })
	}
}
