package sallyport.commands_test

import data.sallyport.commands
import data.sallyport.inputs_test as inputs

reasons(facts) := result if {
	result := commands.reasons with input as inputs.statement("engineer@example.com", facts)
}

test_permitted if {
	every command in ["SELECT", "BEGIN", "COMMIT", "ROLLBACK TO", "SET", "SHOW", "PREPARE", "FETCH", "EXPLAIN", "DISCARD ALL", "UNLISTEN"] {
		count(reasons({"command": command})) == 0
	}
}

test_denied if {
	every command in [
		"", "select", "CREATE TABLE", "CREATE TABLE AS", "SELECT INTO", "DROP TABLE", "ALTER TABLE", "ALTER ROLE", "GRANT", "DO", "CALL",
		"LOCK TABLE", "LOCK", "VACUUM", "ANALYZE", "PREPARE TRANSACTION", "COMMIT PREPARED", "ROLLBACK PREPARED", "LOAD", "CHECKPOINT",
		"COMMENT", "SECURITY LABEL", "REFRESH MATERIALIZED VIEW", "CLUSTER", "REINDEX", "IMPORT FOREIGN SCHEMA", "UNKNOWN",
		"SET ROLE", "SET SESSION AUTHORIZATION", "ALTER SYSTEM", "REASSIGN OWNED", "DROP OWNED", "EXECUTE DYNAMIC",
	] {
		reasons({"command": command}) == {sprintf("%s is not permitted", [command])}
	}
}

# What EXPLAIN, PREPARE, COPY or a CTE carries counts as much.
test_nested if {
	count(reasons({"command": "EXPLAIN", "commands": ["EXPLAIN", "CREATE TABLE AS"]})) == 1
	count(reasons({"command": "SELECT", "commands": ["SELECT", "DELETE"]})) == 1
}

test_command_outside_its_list if {
	count(reasons({"command": "DROP TABLE", "commands": []})) == 1
}

test_write_without_relation if {
	count(reasons({"command": "DELETE"})) == 1
	count(reasons({"command": "DELETE", "relations": [inputs.relation("app", "orders", ["select"])]})) == 1
	count(reasons({"command": "DELETE", "relations": [inputs.relation("app", "orders", ["delete", "select"])]})) == 0
}

test_opaque if {
	"DO is not permitted: the text does not show what it does" in reasons({"opaque": ["DO"]})
}

test_copy if {
	count(reasons({"command": "COPY", "copy": {"direction": "to", "endpoint": "client"}})) == 0
	every endpoint in ["file", "program", ""] {
		count(reasons({"command": "COPY", "copy": {"direction": "to", "endpoint": endpoint}})) == 1
	}
}

test_roles if count(reasons({"roles": ["postgres"]})) == 1

test_unfiltered if {
	reasons({"unfiltered": [{"schema": "app", "name": "orders"}]}) == {"UPDATE or DELETE of app.orders needs a WHERE that says which rows"}
}

test_channels if {
	count(reasons({"command": "LISTEN", "channels": [{"name": "c", "action": "listen"}]})) == 1
	count(reasons({"command": "NOTIFY", "channels": [{"name": "c", "action": "notify"}]})) == 1
	count(reasons({"command": "LISTEN"})) == 1
	count(reasons({"command": "UNLISTEN", "channels": [{"name": "*", "action": "unlisten"}]})) == 0
}

test_granted_channel if {
	grants := {"channels": {"c": ["listen"]}, "schemas": {}}
	facts := {"command": "LISTEN", "channels": [{"name": "c", "action": "listen"}]}
	listen := commands.reasons with input as inputs.statement("engineer@example.com", facts)
		with data.access.roles.readwrite.databases.app as grants
	count(listen) == 0
	notify := commands.reasons with input as inputs.statement("engineer@example.com", {"command": "NOTIFY", "channels": [{"name": "c", "action": "notify"}]})
		with data.access.roles.readwrite.databases.app as grants
	count(notify) == 1
}
