package sallyport.connect_test

import data.sallyport.connect
import data.sallyport.inputs_test as inputs

allowed := [
	["analyst@example.com", "app", "readonly"],
	["engineer@example.com", "app", "readwrite"],
	["engineer@example.com", "scratch", "readwrite"],
	["dba@example.com", "app", "admin"],
	["dba@example.com", "scratch", "admin"],
]

test_named_accounts if {
	every row in allowed {
		decision := connect.decision with input as inputs.connect(row[0], row[1])
		decision.allow
		decision.role == row[2]
	}
}

test_terms if {
	analyst := connect.decision with input as inputs.connect("analyst@example.com", "app")
	analyst == {"allow": true, "reasons": [], "role": "readonly", "read_only": true}
	dba := connect.decision with input as inputs.connect("dba@example.com", "app")
	dba == {"allow": true, "reasons": [], "role": "admin", "observe": true}
}

test_obligations if {
	terms := {
		"read_only": true, "max_session_seconds": 60, "idle_timeout_seconds": 2, "statement_timeout_ms": 3, "max_rows": 4, "max_bytes": 5,
		"bind_values": "types", "max_rows_per_hour": 6, "max_bytes_per_hour": 7, "max_sessions": 8, "max_statements_per_second": 9,
	}
	decision := connect.decision with input as inputs.connect("named@example.com", "app")
		with data.access as {
			"accounts": {"named@example.com": {"role": "low"}},
			"roles": {"low": object.union(terms, {"databases": {"app": {}}})},
		}
	decision == object.union(terms, {"allow": true, "reasons": [], "role": "low"})
}

test_route if {
	decision := connect.decision with input as inputs.connect("named@example.com", "app")
		with data.access as {
			"accounts": {"named@example.com": {"role": "low"}},
			"roles": {"low": {"databases": {"app": {"route": "replica"}}}},
		}
	decision == {"allow": true, "reasons": [], "role": "low", "route": "replica"}
}

denied := [
	["nobody@example.com", "app", "nobody@example.com has no access"],
	["", "app", " has no access"],
	["ANALYST@example.com", "app", "ANALYST@example.com has no access"],
	["analyst@example.com", "scratch", "database scratch is not granted to analyst@example.com"],
	["analyst@example.com", "postgres", "database postgres is not granted to analyst@example.com"],
	["dba@example.com", "postgres", "database postgres is not granted to dba@example.com"],
	["svc_report", "app", "svc_report may not authenticate by oidc"],
]

test_denied if {
	every row in denied {
		decision := connect.decision with input as inputs.connect(row[0], row[1])
		decision == {"allow": false, "reasons": {row[2]}}
	}
}

test_service_by_password if {
	decision := connect.decision with input as inputs.connect("svc_report", "app") with input.identity.method as "scram-sha-256"
	decision.role == "readonly"
}

passing := {"accounts": {"etl": {"role": "low", "methods": ["pass-through-scram-sha-256"]}}, "roles": {"low": {"databases": {"app": {}}}}}

test_pass_through if {
	decision := connect.decision with input as inputs.connect("etl", "app") with input.identity.method as "pass-through-scram-sha-256"
		with data.access as passing
	decision.role == "low"
}

# One way to pass a credential through is not another, nor is its name.
test_pass_through_otherwise if {
	every method in ["pass-through-password", "pass-through-md5", "pass-through", "scram-sha-256", "cert", ""] {
		decision := connect.decision with input as inputs.connect("etl", "app") with input.identity.method as method
			with data.access as passing
		not decision.allow
	}
}

test_replication if {
	decision := connect.decision with input as inputs.connect("engineer@example.com", "app") with input.session.replication as "database"
	decision == {"allow": false, "reasons": {"replication is not granted"}}
	observed := connect.decision with input as inputs.connect("dba@example.com", "app") with input.session.replication as "database"
	observed.allow
}

groups := {"access": {
	"accounts": {"named@example.com": {"role": "low"}},
	"groups": {"data": "low", "data-too": "low", "ops": "high"},
	"roles": {"low": {"databases": {"app": {}}}, "high": {"databases": {"app": {}}}},
}}

test_group if {
	decision := connect.decision with input as inputs.connect("any@example.com", "app") with input.identity.groups as ["x", "data", "data-too"]
		with data.access as groups.access
	decision.role == "low"
}

test_groups_that_disagree if {
	decision := connect.decision with input as inputs.connect("any@example.com", "app") with input.identity.groups as ["ops", "data"]
		with data.access as groups.access
	decision == {"allow": false, "reasons": {"the groups of any@example.com give more than one role"}}
}

# A group cannot raise a named account.
test_named_account_has_no_groups if {
	decision := connect.decision with input as inputs.connect("named@example.com", "app") with input.identity.groups as ["ops"]
		with data.access as groups.access
	decision.role == "low"
}

requests := {
	"accounts": {
		"ana@example.com": {"role": "low", "roles": ["high"]},
		"bob@example.com": {"role": "low", "roles": ["high"], "methods": ["oidc"]},
	},
	"groups": {"data": "low", "ops": "high"},
	"roles": {"low": {"databases": {"app": {}}}, "high": {"require_reason": true, "databases": {"app": {}}}, "other": {"databases": {"app": {}}}},
}

requesting(user, session) := decision if {
	input_document := inputs.connect(user, "app")
	decision := connect.decision with input as object.union(input_document, {"session": object.union(input_document.session, session)})
		with data.access as requests
}

test_requested_role if {
	requesting("ana@example.com", {}).role == "low"
	requesting("ana@example.com", {"requested_role": "low"}).role == "low"
	requesting("ana@example.com", {"requested_role": "high", "reason": "INC-42"}).role == "high"
}

test_role_that_may_not_be_requested if {
	requesting("ana@example.com", {"requested_role": "other"}) == {
		"allow": false,
		"reasons": {"role other may not be requested by ana@example.com"},
	}
	requesting("nobody@example.com", {"requested_role": "high"}) == {"allow": false, "reasons": {"nobody@example.com has no access"}}
}

test_requested_role_needs_the_method if {
	decision := connect.decision with input as inputs.connect("bob@example.com", "app") with input.session.requested_role as "high"
		with input.identity.method as "scram-sha-256"
		with data.access as requests
	decision == {"allow": false, "reasons": {"bob@example.com may not authenticate by scram-sha-256"}}
}

# Groups that give several roles leave the choice to who comes; they give no other.
test_role_of_one_of_the_groups if {
	decision := connect.decision with input as inputs.connect("any@example.com", "app") with input.identity.groups as ["data", "ops"]
		with input.session.requested_role as "low"
		with data.access as requests
	decision.role == "low"
	other := connect.decision with input as inputs.connect("any@example.com", "app") with input.identity.groups as ["data"]
		with input.session.requested_role as "high"
		with input.session.reason as "INC-42"
		with data.access as requests
	not other.allow
}

test_required_reason if {
	requesting("ana@example.com", {"requested_role": "high"}) == {
		"allow": false,
		"reasons": {"role high takes a reason: PGOPTIONS='-c sallyport.reason=INC-42'"},
	}
}

test_no_data if {
	decision := connect.decision with input as inputs.connect("analyst@example.com", "app") with data.access as {}
	not decision.allow
}

test_undefined_role if {
	decision := connect.decision with input as inputs.connect("named@example.com", "app")
		with data.access as {"accounts": {"named@example.com": {"role": "gone"}}, "roles": {}}
	decision == {"allow": false, "reasons": {"role gone is not defined"}}
}
