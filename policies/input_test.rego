# Inputs for the tests: see README.md for what they hold.
package sallyport.inputs_test

identity(user) := {"user": user, "method": "oidc", "issuer": "https://issuer.example", "subject": "1", "name": "", "groups": []}

session(role) := {
	"id": "s", "database": "app", "client_address": "192.0.2.1", "application_name": "", "role": role, "observe": false,
	"replication": "", "reason": "", "requested_role": "", "search_path": ["app", "pg_temp"],
}

connect(user, database) := {
	"version": 2, "action": "connect", "identity": identity(user),
	"session": object.union(session(""), {"database": database, "search_path": []}),
}

roles := {
	"analyst@example.com": "readonly",
	"engineer@example.com": "readwrite",
	"dba@example.com": "admin",
	"svc_report": "readonly",
}

# A text of one statement. `facts` holds what is not empty.
statement(user, facts) := {
	"version": 2, "action": "statement", "identity": identity(user), "session": session(roles[user]),
	"statement": {
		"complete": true, "incomplete": [], "fingerprint": "", "normalized": "",
		"statements": [object.union(
			{
				"command": "SELECT", "class": "query", "commands": [object.get(facts, "command", "SELECT")],
				"relations": [], "functions": [], "attributes": [], "operators": [], "types": [], "settings": [], "channels": [], "roles": [],
				"unfiltered": [], "opaque": [], "unknown": [],
			},
			facts,
		)],
	},
}

relation(schema, name, access) := {
	"schema": schema, "name": name, "temporary": false, "access": access, "columns": ["*"], "all_unsure": false,
}

setting(name, action, value) := {"name": name, "action": action, "value": value, "known": true}
