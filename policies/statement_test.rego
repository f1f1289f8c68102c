package sallyport.statement_test

import data.sallyport.inputs_test as inputs
import data.sallyport.statement

orders := {"relations": [inputs.relation("app", "orders", ["select"])]}

test_allowed if {
	decision := statement.decision with input as inputs.statement("analyst@example.com", orders)
	decision == {"allow": true, "reasons": set()}
}

test_empty_text if {
	decision := statement.decision with input as inputs.statement("analyst@example.com", {}) with input.statement.statements as []
	decision.allow
}

test_incomplete if {
	decision := statement.decision with input as inputs.statement("analyst@example.com", orders) with input.statement.complete as false
	decision == {"allow": false, "reasons": {"the text is not fully understood"}}
}

test_every_statement_counts if {
	secrets := inputs.statement("analyst@example.com", {"relations": [inputs.relation("app", "secrets", ["select"])]})
	both := array.concat(secrets.statement.statements, inputs.statement("analyst@example.com", orders).statement.statements)
	decision := statement.decision with input as secrets with input.statement.statements as both
	not decision.allow
}

# An account that was given another role, or none, loses its session.
test_role_changed if {
	decision := statement.decision with input as inputs.statement("analyst@example.com", orders) with input.session.role as "readwrite"
	decision == {"allow": false, "reasons": {"the role of analyst@example.com is not the one this session began with"}}
}

test_account_gone if {
	decision := statement.decision with input as inputs.statement("analyst@example.com", orders) with data.access.accounts as {}
	not decision.allow
}

test_database_gone if {
	decision := statement.decision with input as inputs.statement("analyst@example.com", orders) with input.session.database as "scratch"
	"database scratch is not granted to analyst@example.com" in decision.reasons
}

test_observed if {
	decision := statement.decision with input as inputs.statement("dba@example.com", {"opaque": ["DO"]}) with input.session.observe as true
		with input.statement.complete as false
	decision.allow
}

# Neither the session's word for it nor the data's is enough.
test_observe_takes_both if {
	session := statement.decision with input as inputs.statement("analyst@example.com", {"opaque": ["DO"]}) with input.session.observe as true
	not session.allow
	terms := statement.decision with input as inputs.statement("dba@example.com", {"opaque": ["DO"]})
	not terms.allow
	other := statement.decision with input as inputs.statement("dba@example.com", {"opaque": ["DO"]}) with input.session.observe as true
		with input.session.role as "readonly"
	not other.allow
}

test_search_path_with_pg_catalog if {
	decision := statement.decision with input as inputs.statement("analyst@example.com", orders) with input.session.search_path as ["app", "pg_catalog"]
	not decision.allow
}
