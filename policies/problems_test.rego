package sallyport_test

import data.sallyport

found(access) := result if {
	result := sallyport.problems with data.access as access
}

role(terms) := {"accounts": {}, "groups": {}, "roles": {"r": object.union({"databases": {}}, terms)}}

database(grants) := role({"databases": {"d": grants}})

schema(name, grants) := database({"schemas": {name: grants}})

test_shipped_data if count(sallyport.problems) == 0

test_good if {
	count(found(role({"observe": true, "read_only": false, "max_session_seconds": 60}))) == 0
	count(found(role({"bind_values": "full"}))) == 0
	count(found(role({"max_rows": 1, "max_bytes": 100000000000000, "max_rows_per_hour": 1000, "max_bytes_per_hour": 1000}))) == 0
	count(found(schema("s", {"terms": {"t": {"max_rows": 100, "max_bytes": 4096, "statement_timeout_ms": 500, "warn": "careful"}, "*": {}}}))) == 0
	count(found({"accounts": {"a": {"role": "r", "roles": ["r"]}}, "groups": {}, "roles": {"r": {"databases": {}, "require_reason": true}}})) == 0
	count(found(database({"channels": {"c": ["listen", "notify"]}, "unfiltered": true, "route": "replica"}))) == 0
	count(found(schema("s", {"relations": {"*": [], "t": ["select", "lock"]}, "functions": ["f"], "operators": ["+"]}))) == 0
	count(found(schema("pg_catalog", {"relations": {"pg_locks": ["select"]}}))) == 0
}

test_problems if {
	every access in [
		{},
		null,
		{"accounts": {}, "groups": {}, "roles": {}, "grant": {}},
		{"accounts": [], "groups": {}, "roles": {}},
		{"accounts": {"a": "r"}, "groups": {}, "roles": {"r": {"databases": {}}}},
		{"accounts": {"a": {"role": "nope"}}, "groups": {}, "roles": {}},
		{"accounts": {"a": {}}, "groups": {}, "roles": {}},
		{"accounts": {"a": {"role": "r", "method": ["oidc"]}}, "groups": {}, "roles": {"r": {"databases": {}}}},
		{"accounts": {"a": {"role": "r", "methods": "oidc"}}, "groups": {}, "roles": {"r": {"databases": {}}}},
		{"accounts": {}, "groups": {"g": "nope"}, "roles": {}},
		{"accounts": {}, "groups": {}, "roles": {"r": {}}},
		{"accounts": {}, "groups": {}, "roles": {"r": null}},
		{"accounts": {"a": {"role": "r", "roles": ["nope"]}}, "groups": {}, "roles": {"r": {"databases": {}}}},
		{"accounts": {"a": {"role": "r", "roles": "r"}}, "groups": {}, "roles": {"r": {"databases": {}}}},
		{"accounts": {"a": {"roles": ["r"]}}, "groups": {}, "roles": {"r": {"databases": {}}}},
		role({"require_reason": "yes"}),
		role({"observ": true}),
		role({"observe": "yes"}),
		role({"observe": true, "read_only": true}),
		role({"max_session_seconds": 0}),
		role({"max_session_seconds": "8h"}),
		role({"statement_timeout_ms": 1.5}),
		role({"idle_timeout_seconds": -1}),
		role({"max_rows": 0}),
		role({"max_sessions": 0}),
		role({"bind_values": "all"}),
		role({"bind_values": true}),
		role({"max_statements_per_second": 0.5}),
		role({"max_bytes": "1 MB"}),
		role({"max_rows_per_hour": 1.5}),
		role({"max_bytes_per_hour": 1000000000000000000}),
		schema("s", {"terms": []}),
		schema("s", {"terms": {"t": 100}}),
		schema("s", {"terms": {"t": {"max_row": 100}}}),
		schema("s", {"terms": {"t": {"max_rows": 0}}}),
		schema("s", {"terms": {"t": {"warn": ["careful"]}}}),
		schema("s", {"terms": {"t": {"statement_timeout_ms": "5s"}}}),
		role({"databases": []}),
		database([]),
		database({"schema": {}}),
		database({"schemas": []}),
		database({"unfiltered": "no"}),
		database({"route": ""}),
		database({"route": ["replica"]}),
		database({"fields": "f"}),
		database({"channels": {"c": ["shout"]}}),
		database({"channels": ["c"]}),
		schema("s", []),
		schema("s", {"tables": {}}),
		schema("s", {"relations": ["t"]}),
		schema("s", {"relations": {"t": "select"}}),
		schema("s", {"relations": {"t": ["SELECT"]}}),
		schema("s", {"relations": {"t": ["all"]}}),
		schema("s", {"functions": "f"}),
		schema("s", {"functions": ["*"]}),
		schema("s", {"functions": ["set_config"]}),
		schema("s", {"functions": ["pg_sleep"]}),
		schema("s", {"functions": ["lo_get"]}),
		schema("s", {"operators": {"+": true}}),
		schema("pg_catalog", {"relations": {"*": ["select"]}}),
		schema("pg_catalog", {"relations": {"pg_class": ["update"]}}),
		schema("information_schema", {"relations": {"*": []}}),
		schema("s", {"relations": {"tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt": []}}),
	] {
		count(found(access)) > 0
	}
}
