package sallyport.relations_test

import data.sallyport.inputs_test as inputs
import data.sallyport.relations

reasons(user, facts) := result if {
	result := relations.reasons with input as inputs.statement(user, facts)
}

table(user, schema, name, access) := reasons(user, {"relations": [inputs.relation(schema, name, access)]})

test_granted if {
	count(table("analyst@example.com", "app", "orders", ["select"])) == 0
	count(table("analyst@example.com", "", "orders", ["select"])) == 0
	count(table("engineer@example.com", "app", "orders", ["delete", "insert", "select", "update"])) == 0
	count(table("analyst@example.com", "app", "Secrets", ["select"])) == 0
}

test_reason if {
	table("analyst@example.com", "app", "secrets", ["select"]) == {"table app.secrets is not granted to analyst@example.com"}
	table("analyst@example.com", "", "secrets", ["select"]) == {"table app.secrets is not granted to analyst@example.com"}
	table("analyst@example.com", "app", "orders", ["update"]) == {"UPDATE on table app.orders is not granted to analyst@example.com"}
}

test_withheld if {
	every user in ["analyst@example.com", "engineer@example.com"] {
		every access in [["select"], ["insert"], ["update"], ["delete"], ["truncate"], ["lock"], []] {
			count(table(user, "app", "secrets", access)) == 1
		}
	}
}

test_verbs_not_granted if {
	every verb in ["truncate", "create", "alter", "drop", "references", "trigger", "", "SELECT"] {
		count(table("engineer@example.com", "app", "orders", [verb])) == 1
	}
}

test_locks if {
	count(table("engineer@example.com", "app", "orders", ["lock", "select"])) == 0
	count(table("analyst@example.com", "app", "orders", ["lock", "select"])) == 1
	count(table("engineer@example.com", "app", "secrets", ["lock"])) == 1
}

test_lookups if {
	count(table("analyst@example.com", "app", "orders", ["lookup"])) == 0
	count(table("analyst@example.com", "pg_catalog", "pg_authid", ["lookup"])) == 0
	table("analyst@example.com", "app", "secrets", ["lookup"]) == {"table app.secrets is not granted to analyst@example.com"}
	count(table("analyst@example.com", "", "secrets", ["lookup"])) == 1
	table("analyst@example.com", "other", "hunter2", ["lookup"]) == {"a table named by a literal is not granted to analyst@example.com"}
}

test_other_schemas if {
	every schema in ["public", "APP", "pg_temp", "pg_temp_3", "pg_toast", "other", "*"] {
		count(table("engineer@example.com", schema, "orders", ["select"])) == 1
	}
}

# A name in two schemas may be either.
test_every_schema_of_the_path if {
	found := relations.reasons with input as inputs.statement("analyst@example.com", {"relations": [inputs.relation("", "orders", ["select"])]})
		with input.session.search_path as ["app", "other", "pg_temp"]
	found == {"table other.orders is not granted to analyst@example.com"}
}

test_no_search_path if {
	found := relations.reasons with input as inputs.statement("analyst@example.com", {"relations": [inputs.relation("", "orders", ["select"])]})
		with input.session.search_path as ["pg_temp"]
	found == {"table orders is in no schema of the search path"}
}

test_temporary if {
	facts := {"relations": [object.union(inputs.relation("", "orders", ["select"]), {"temporary": true})]}
	count(reasons("engineer@example.com", facts)) == 1
}

test_catalogs if {
	every name in ["pg_class", "pg_attribute", "pg_type", "pg_proc", "pg_roles", "pg_database"] {
		count(table("analyst@example.com", "pg_catalog", name, ["select"])) == 0
		count(table("analyst@example.com", "", name, ["select"])) == 0
	}
	count(table("analyst@example.com", "information_schema", "columns", ["select"])) == 0
}

test_catalogs_denied if {
	every name in [
		"pg_authid", "pg_shadow", "pg_user", "pg_group", "pg_stat_activity", "pg_stat_statements", "pg_stats", "pg_stats_ext", "pg_statistic",
		"pg_statistic_ext_data", "pg_locks", "pg_hba_file_rules", "pg_ident_file_mappings", "pg_file_settings", "pg_largeobject",
		"pg_largeobject_metadata", "pg_user_mapping", "pg_user_mappings", "pg_subscription", "pg_prepared_statements",
		"pg_prepared_xacts", "pg_cursors", "pg_db_role_setting", "pg_config", "pg_replication_slots", "pg_shmem_allocations",
		"pg_backend_memory_contexts", "pg_settings", "pg_seclabels", "pg_no_such",
	] {
		count(table("analyst@example.com", "pg_catalog", name, ["select"])) == 1
		count(table("analyst@example.com", "", name, ["select"])) == 1
	}
	every name in ["foreign_server_options", "user_mapping_options", "role_usage_grants", "_pg_user_mappings", "COLUMNS"] {
		count(table("analyst@example.com", "information_schema", name, ["select"])) == 1
	}
}

test_catalogs_are_not_written if {
	every verb in ["insert", "update", "delete", "truncate", "lock"] {
		count(table("engineer@example.com", "pg_catalog", "pg_class", [verb])) == 1
		count(table("engineer@example.com", "", "pg_settings", [verb])) == 1
	}
}

of_catalog(name, columns, unsure) := reasons("analyst@example.com", {"relations": [{
	"schema": "pg_catalog", "name": name, "temporary": false, "access": ["select"], "columns": columns, "all_unsure": unsure,
}]})

test_columns_of_catalogs if {
	count(of_catalog("pg_settings", ["context", "name"], false)) == 0
	count(of_catalog("pg_user", ["nspname", "usesysid"], false)) == 0
	count(of_catalog("pg_sequences", ["cycle", "max_value", "sequencename"], false)) == 0
	count(of_catalog("pg_stat_user_indexes", ["index_name", "indexrelname", "relname"], false)) == 0
	every name, withheld in {
		"pg_settings": [["setting"], ["name", "setting"], ["reset_val"], ["sourcefile"]],
		"pg_user": [["passwd"], ["usename", "passwd"], ["useconfig"], ["valuntil"], ["usesuper"]],
		"pg_sequences": [["last_value"], ["last_value", "sequencename"]],
		"pg_stat_user_indexes": [["idx_scan"], ["idx_tup_read"], ["relname", "last_idx_scan"]],
	} {
		every columns in array.concat(withheld, [["*"]]) {
			count(of_catalog(name, columns, false)) == 1
		}
		count(of_catalog(name, ["relname"], true)) == 1
	}
}

type(schema, name) := reasons("analyst@example.com", {"types": [{"schema": schema, "name": name}]})

test_types if {
	count(type("app", "color")) == 0
	count(type("", "color")) == 0
	count(type("information_schema", "sql_identifier")) == 0
	type("app", "secrets") == {"type app.secrets is not granted to analyst@example.com"}
	count(type("", "secrets")) == 1
	count(type("app", "_color")) == 0
	count(type("app", "_secrets")) == 1
	count(type("", "__secrets")) == 1
	count(type("public", "color")) == 1
	count(type("", "pg_authid")) == 1
}

test_granted_catalog if {
	grants := {"pg_catalog": {"relations": {"pg_locks": ["select"]}}}
	found := relations.reasons with input as inputs.statement("analyst@example.com", {"relations": [inputs.relation("", "pg_locks", ["select"])]})
		with data.access.roles.readonly.databases.app.schemas as grants
	count(found) == 0
}

# What the catalog knows of a relation.
resolved(user, name, access, known) := reasons(user, {"relations": [object.union(inputs.relation("app", name, access), known)]})

view(name) := {"schema": "app", "name": name}

granting(verbs) := {
	"accounts": {"analyst@example.com": {"role": "readonly"}},
	"roles": {"readonly": {"databases": {"app": {"schemas": {"app": {"relations": object.union({"*": ["select"], "secrets": []}, verbs)}}}}}},
}

test_behind_a_view if {
	known := {"through": [view("open")]}
	resolved("analyst@example.com", "secrets", ["select"], known) == {
		"table app.secrets, by way of app.open, is not granted to analyst@example.com",
	}
	count(resolved("analyst@example.com", "orders", ["select"], known)) == 0
}

# Whoever grants a view by its own name means what it shows, however deep; by "*" nobody means anything.
test_behind_a_granted_view if {
	every way in [[view("open")], [view("open"), view("inner")], [view("outer"), view("open")]] {
		found := resolved("analyst@example.com", "secrets", ["select"], {"through": way}) with data.access as granting({"open": ["select"]})
		count(found) == 0
	}
	withheld := resolved("analyst@example.com", "secrets", ["select"], {"through": [view("open")]}) with data.access as granting({"open": []})
	count(withheld) == 1
	other := resolved("analyst@example.com", "secrets", ["select"], {"through": [view("open")]}) with data.access as granting({"other": ["select"]})
	count(other) == 1
	otherwise := resolved("analyst@example.com", "secrets", ["select"], {"through": [{"schema": "hidden", "name": "open"}]}) with data.access as granting({"open": ["select"]})
	count(otherwise) == 1
}

# To read what is behind a view does not mean to write it.
test_written_behind_a_view if {
	known := {"through": [view("open")]}
	reads := resolved("analyst@example.com", "secrets", ["select", "update"], known) with data.access as granting({"open": ["select"]})
	count(reads) == 1
	writes := resolved("analyst@example.com", "secrets", ["select", "update"], known) with data.access as granting({"open": ["update"]})
	count(writes) == 0
}

test_locked_behind_a_view if {
	known := {"through": [view("open")]}
	reads := resolved("analyst@example.com", "secrets", ["select", "lock"], known) with data.access as granting({"open": ["select"]})
	count(reads) == 1
	writes := resolved("analyst@example.com", "secrets", ["select", "lock"], known) with data.access as granting({"open": ["update"]})
	count(writes) == 0
}

test_foreign_table if {
	known := {"kind": "foreign table"}
	resolved("analyst@example.com", "elsewhere", ["select"], known) == {
		"foreign table app.elsewhere is not granted to analyst@example.com by its name",
	}
	named := resolved("analyst@example.com", "elsewhere", ["select"], known) with data.access as granting({"elsewhere": ["select"]})
	count(named) == 0
	seen := object.union(known, {"through": [view("open")]})
	through := resolved("analyst@example.com", "elsewhere", ["select"], seen) with data.access as granting({"open": ["select"]})
	count(through) == 0
	count(resolved("analyst@example.com", "elsewhere", ["lookup"], known)) == 0
	count(resolved("analyst@example.com", "elsewhere", ["select"], {"kind": "table"})) == 0
}

test_part_of_a_withheld_table if {
	known := {"ancestors": [view("secrets")]}
	resolved("analyst@example.com", "secrets_2024", ["select"], known) == {
		"table app.secrets, which app.secrets_2024 is part of, is not granted to analyst@example.com",
	}
	named := resolved("analyst@example.com", "secrets_2024", ["select"], known) with data.access as granting({"secrets_2024": ["select"]})
	count(named) == 0
	count(resolved("analyst@example.com", "payments_2024", ["select"], {"ancestors": [view("payments")]})) == 0
}

test_part_that_is_withheld if {
	known := {"descendants": [view("payments_2024"), view("payments_2025")]}
	count(resolved("analyst@example.com", "payments", ["select"], known)) == 0
	found := resolved("analyst@example.com", "payments", ["select"], known) with data.access as granting({"payments_2025": []})
	found == {"table app.payments_2025, which is part of app.payments, is not granted to analyst@example.com"}
	both := resolved("analyst@example.com", "payments", ["select"], known) with data.access as granting({"payments": ["select"], "payments_2025": []})
	count(both) == 1
	looked := resolved("analyst@example.com", "payments", ["lookup"], known) with data.access as granting({"payments_2025": []})
	count(looked) == 0
}

test_rules if {
	reading := resolved("engineer@example.com", "ruled", ["select"], {"rules": true})
	count(reading) == 0
	resolved("engineer@example.com", "ruled", ["insert"], {"rules": true}) == {
		"table app.ruled has rules, and is not granted to engineer@example.com by its name",
	}
	grants := {"schemas": {"app": {"relations": {"*": ["insert"], "ruled": ["insert"]}}}}
	named := resolved("engineer@example.com", "ruled", ["insert"], {"rules": true}) with data.access.roles.readwrite.databases.app as grants
	count(named) == 0
}

test_types_of_extensions if {
	facts := {"types": [{"schema": "public", "name": "citext", "extension": "citext"}]}
	count(reasons("analyst@example.com", facts)) == 1
	granted := reasons("analyst@example.com", facts) with data.access.roles.readonly.databases.app.extensions as ["citext"]
	count(granted) == 0
	other := reasons("analyst@example.com", facts) with data.access.roles.readonly.databases.app.extensions as ["hstore", ""]
	count(other) == 1
}
