package authz

import "github.com/sallyport/sallyport/authz/statement"

// The samples are what a policy must have an answer to, whichever, before it is put in use: a stranger, an account with everything
// filled in, a replication client; and texts that are empty, unknown, plain, and full of every kind of fact.

func sampleConnects() map[string]*ConnectInput {
	return map[string]*ConnectInput{
		"empty": {},
		"account": {
			Identity: sampleIdentity(),
			Session:  Session{ID: "s1", Database: "app", ClientAddress: "192.0.2.1", Application: "psql", Reason: "INC-42", RequestedRole: "readonly"},
		},
		"replication": {
			Identity: sampleIdentity(),
			Session:  Session{ID: "s1", Database: "app", ClientAddress: "2001:db8::1", Replication: "database"},
		},
	}
}

func sampleStatements() map[string]*StatementInput {
	sheets := map[string]*statement.Sheet{
		"empty":      {Complete: true},
		"incomplete": {Incomplete: []string{"unknown node"}},
		"select": {Complete: true, Statements: []statement.Statement{{
			Command: "SELECT", Class: statement.ClassQuery, Commands: []string{"SELECT"},
			Relations: []statement.Relation{{Schema: "app", Name: "orders", Access: []string{"select"}, Columns: []string{"*"}}},
			Functions: []statement.Function{{Schema: "pg_catalog", Name: "count"}},
		}}},
		"resolved": {Complete: true, Resolved: true, Statements: []statement.Statement{{
			Command: "SELECT", Class: statement.ClassQuery, Commands: []string{"SELECT"},
			Relations: []statement.Relation{
				{Schema: "app", Name: "totals", Kind: "view", Access: []string{"select"}, Columns: []string{"*", "amount"}},
				{
					Schema: "app", Name: "payments_2024", Kind: "table", Access: []string{"select"}, Columns: []string{"amount"}, Rules: true,
					Through: []statement.Name{{Schema: "app", Name: "totals"}}, Ancestors: []statement.Name{{Schema: "app", Name: "payments"}},
					Descendants: []statement.Name{{Schema: "app", Name: "payments_2024_1"}},
				},
			},
			Functions: []statement.Function{{
				Schema: "app", Name: "rounded", Language: "plpgsql", Volatility: "volatile", SecurityDefiner: true, Extension: "money",
				Through: []statement.Name{{Schema: "app", Name: "totals"}},
			}},
			Operators: []statement.Object{{Schema: "app", Name: "+", Extension: "money"}},
		}}},
		"everything": {Complete: true, Statements: []statement.Statement{{
			Command: "COPY", Class: statement.ClassCopy, Commands: []string{"COPY", "SELECT", "DELETE"},
			Relations:  []statement.Relation{{Name: "orders", Temporary: true, Access: []string{"delete", "select"}, Columns: []string{"id"}, Written: []string{"id"}, AllUnsure: true}},
			Functions:  []statement.Function{{Name: "f", Constants: []string{"", "app.orders"}}},
			Attributes: []string{"street"},
			Operators:  []statement.Object{{Schema: "app", Name: "+"}},
			Types:      []statement.Object{{Schema: "app", Name: "t"}},
			Settings:   []statement.Setting{{Name: "timezone", Action: "set", Value: "UTC", Known: true}},
			Channels:   []statement.Channel{{Name: "c", Action: "listen"}},
			Roles:      []string{"r"},
			Unfiltered: []statement.Name{{Name: "orders"}},
			Opaque:     []string{"DO"},
			Copy:       &statement.Copy{Direction: "to", Endpoint: "client"},
			Prepared:   &statement.Prepared{Action: "prepare", Name: "p", Uses: []statement.Use{{Kind: "portal", Name: "c"}}},
			Explain:    &statement.Explain{Analyze: true},
		}}},
	}
	samples := make(map[string]*StatementInput, len(sheets)+1)
	session := Session{ID: "s1", Database: "app", ClientAddress: "192.0.2.1", Application: "psql", Role: "readonly", SearchPath: []string{"app", "pg_temp"}}
	session.Reason, session.RequestedRole = "INC-42", "readonly"
	for name, sheet := range sheets {
		samples[name] = &StatementInput{Identity: sampleIdentity(), Session: session, Statement: sheet}
	}
	observed := session
	observed.Observe = true
	samples["observed"] = &StatementInput{Identity: sampleIdentity(), Session: observed, Statement: sheets["incomplete"]}
	return samples
}

func sampleIdentity() Identity {
	return Identity{
		User: "sample@example.com", Method: "oidc", Issuer: "https://issuer.example", Subject: "0", Name: "Sample", Groups: []string{"g"},
	}
}
