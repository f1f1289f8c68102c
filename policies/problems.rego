# What is wrong with data.yaml. While anything is, the policy is not taken into use: a misspelt key is a grant somebody believes in, or
# a limit.
#
# What may be missing is fetched with object.get: `not is_object(data.access.roles)` holds for nothing when there are no roles.
package sallyport

import data.sallyport.builtins

problems contains "access is missing" if not given

given if is_object(data.access)

problems contains sprintf("access: unknown key %s", [key]) if {
	given
	some key in object.keys(data.access) - {"accounts", "groups", "roles"}
}

problems contains sprintf("access: %s is not an object", [key]) if {
	given
	some key in ["accounts", "groups", "roles"]
	not is_object(object.get(data.access, key, null))
}

problems contains sprintf("account %s: %s", [name, problem]) if {
	some name, account in data.access.accounts
	some problem in account_problems(account)
}

account_problems(account) := {"not an object"} if not is_object(account)

account_problems(account) := problems_found if {
	is_object(account)
	unknown := {sprintf("unknown key %s", [key]) | some key in object.keys(account) - {"role", "roles", "methods"}}
	roles := {"its role is not defined" | not defined(object.get(account, "role", null))} | {"roles is not a list of roles" | not roles_only(object.get(account, "roles", []))}
	methods := {"methods is not a list of names" | not names_only(object.get(account, "methods", []))}
	problems_found := (unknown | roles) | methods
}

problems contains sprintf("group %s: its role is not defined", [name]) if {
	some name, role in data.access.groups
	not defined(role)
}

defined(role) if data.access.roles[role]

roles_only(list) if {
	is_array(list)
	every role in list {
		defined(role)
	}
}

problems contains sprintf("role %s: not an object", [name]) if {
	some name, role in data.access.roles
	not is_object(role)
}

roles[name] := role if {
	some name, role in data.access.roles
	is_object(role)
}

problems contains sprintf("role %s: unknown key %s", [name, key]) if {
	some name, role in roles
	some key in (object.keys(role) - {"databases", "observe", "read_only", "require_reason", "bind_values"}) - (durations | amounts)
}

problems contains sprintf("role %s: %s is not true or false", [name, key]) if {
	some name, role in roles
	some key in ["observe", "read_only", "require_reason"]
	not is_boolean(object.get(role, key, false))
}

problems contains sprintf("role %s: bind_values is not off, types, redacted or full", [name]) if {
	some name, role in roles
	not object.get(role, "bind_values", "off") in {"off", "types", "redacted", "full"}
}

# To observe is to let everything through.
problems contains sprintf("role %s: observe and read_only exclude each other", [name]) if {
	some name, role in roles
	role.observe == true
	role.read_only == true
}

problems contains sprintf("role %s: %s is not a positive whole number", [name, key]) if {
	some name, role in roles
	some key in durations
	not positive(object.get(role, key, 1), 8)
}

problems contains sprintf("role %s: %s is not a positive whole number", [name, key]) if {
	some name, role in roles
	some key in amounts
	not positive(object.get(role, key, 1), 15)
}

durations := {"max_session_seconds", "idle_timeout_seconds", "statement_timeout_ms"}

amounts := {"max_rows", "max_bytes", "max_rows_per_hour", "max_bytes_per_hour", "max_sessions", "max_statements_per_second"}

# A whole number of so many digits, and not 0.
positive(value, digits) if regex.match(sprintf(`^[1-9][0-9]{0,%d}$`, [digits - 1]), format_int_or_empty(value))

format_int_or_empty(value) := format_int(value, 10) if {
	is_number(value)
	value == floor(value)
}

else := ""

problems contains sprintf("role %s: databases is not an object", [name]) if {
	some name, role in roles
	not is_object(object.get(role, "databases", null))
}

problems contains sprintf("role %s, database %s: %s", [name, database, problem]) if {
	some name, role in roles
	some database, grants in role.databases
	some problem in database_problems(grants)
}

database_problems(grants) := {"not an object"} if not is_object(grants)

database_problems(grants) := ((unknown | shapes) | (fields | unfiltered)) | ((channels | schemas) | (extensions | route)) if {
	is_object(grants)
	shapes := {sprintf("%s is not an object", [key]) |
		some key in ["schemas", "channels"]
		not is_object(object.get(grants, key, {}))
	}
	unknown := {sprintf("unknown key %s", [key]) | some key in object.keys(grants) - {"schemas", "channels", "extensions", "fields", "unfiltered", "route"}}
	route := {"route is not the name of a route" | not named(object.get(grants, "route", "-"))}
	unfiltered := {"unfiltered is not true or false" | not is_boolean(object.get(grants, "unfiltered", false))}
	fields := {"fields is not a list of names" | not names_only(object.get(grants, "fields", []))}
	extensions := {"extensions is not a list of names" | not names_only(object.get(grants, "extensions", []))}
	channels := {sprintf("channel %s: not a list of listen and notify", [channel]) |
		some channel, actions in object.get(grants, "channels", {})
		not only(actions, {"listen", "notify"})
	}
	schemas := {sprintf("schema %s: %s", [schema, problem]) |
		some schema, grant in object.get(grants, "schemas", {})
		some problem in schema_problems(schema, grant)
	}
}

schema_problems(_, grant) := {"not an object"} if not is_object(grant)

schema_problems(schema, grant) := (((unknown | shape) | (relations | terms)) | ((functions | operators) | (catalog | long))) if {
	is_object(grant)
	shape := {sprintf("%s is not an object", [key]) |
		some key in ["relations", "terms"]
		not is_object(object.get(grant, key, {}))
	}
	unknown := {sprintf("unknown key %s", [key]) | some key in object.keys(grant) - {"relations", "functions", "operators", "terms"}}
	terms := {sprintf("terms of %s: %s", [relation, problem]) |
		some relation, said in object.get(grant, "terms", {})
		some problem in terms_problems(said)
	}
	relations := {sprintf("relation %s: not a list of select, insert, update, delete, truncate, lock", [relation]) |
		some relation, verbs in object.get(grant, "relations", {})
		not only(verbs, {"select", "insert", "update", "delete", "truncate", "lock"})
	}
	functions := {"functions is not a list of names" | not names_only(object.get(grant, "functions", []))} | withheld(grant)
	operators := {"operators is not a list of names" | not names_only(object.get(grant, "operators", []))}
	catalog := {"its relations are granted for select and by name only" |
		schema in {"pg_catalog", "information_schema"}
		some relation, verbs in object.get(grant, "relations", {})
		not catalog_grant(relation, verbs)
	}
	long := {"a name is longer than PostgreSQL's 63 bytes" |
		some name in {relation | some relation, _ in object.get(grant, "relations", {}); is_string(relation)} | {schema}
		count(base64.encode(name)) > 84
	}
}

terms_problems(said) := {"not an object"} if not is_object(said)

terms_problems(said) := (unknown | numbers) | warning if {
	is_object(said)
	unknown := {sprintf("unknown key %s", [key]) | some key in object.keys(said) - {"max_rows", "max_bytes", "statement_timeout_ms", "warn"}}
	warning := {"warn is not a text" | not is_string(object.get(said, "warn", ""))}
	numbers := {sprintf("%s is not a positive whole number", [key]) |
		some key, digits in {"max_rows": 15, "max_bytes": 15, "statement_timeout_ms": 8}
		not positive(object.get(said, key, 1), digits)
	}
}

withheld(grant) := {sprintf("function %s cannot be granted", [function]) |
	some function in object.get(grant, "functions", [])
	is_string(function)
	builtins.withheld(function)
}

catalog_grant(relation, verbs) if {
	relation != "*"
	only(verbs, {"select"})
}

named(route) if {
	is_string(route)
	route != ""
}

names_only(list) if {
	is_array(list)
	every name in list {
		is_string(name)
		name != "*"
	}
}

only(list, permitted) if {
	is_array(list)
	every item in list {
		item in permitted
	}
}
