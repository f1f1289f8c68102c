package sallyport.functions_test

import data.sallyport.builtins
import data.sallyport.functions
import data.sallyport.inputs_test as inputs

call(schema, name, constants) := result if {
	result := functions.reasons with input as inputs.statement(
		"analyst@example.com",
		{"functions": [{"schema": schema, "name": name, "constants": constants}]},
	)
}

test_permitted if {
	every name in ["count", "lower", "now", "json_build_object", "format_type", "pg_table_is_visible", "version"] {
		count(call("", name, [])) == 0
		count(call("pg_catalog", name, [])) == 0
	}
	count(call("information_schema", "_pg_expandarray", [])) == 0
}

test_schema_matters if {
	every schema in ["app", "public", "pg_temp", "PG_CATALOG", "information_schema"] {
		count(call(schema, "lower", [])) == 1
	}
}

dangerous := {
	"query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema", "table_to_xml", "table_to_xmlschema", "schema_to_xml",
	"schema_to_xml_and_xmlschema", "database_to_xml", "database_to_xmlschema", "cursor_to_xml", "cursor_to_xmlschema", "ts_stat",
	"ts_rewrite", "dblink", "dblink_exec", "dblink_connect", "crosstab", "connectby", "xpath_table", "set_config", "setval", "nextval",
	"currval", "lastval", "lo_from_bytea", "lo_get", "lo_put", "lo_create", "lo_creat", "lo_open", "loread", "lowrite", "lo_import",
	"lo_export", "lo_unlink", "pg_notify", "pg_logical_emit_message", "pg_export_snapshot", "pg_advisory_lock",
	"pg_advisory_lock_shared", "pg_advisory_xact_lock", "pg_try_advisory_lock", "pg_advisory_unlock", "pg_sleep", "pg_sleep_for",
	"pg_sleep_until", "pg_cancel_backend", "pg_terminate_backend", "pg_create_physical_replication_slot",
	"pg_create_logical_replication_slot", "pg_drop_replication_slot", "brin_summarize_new_values", "gin_clean_pending_list",
	"txid_current", "pg_current_xact_id", "pg_stat_get_activity", "pg_stat_get_backend_activity", "pg_mcv_list_items",
	"current_query", "pg_read_file", "pg_read_binary_file", "pg_ls_dir", "pg_ls_waldir", "pg_ls_logdir", "pg_stat_file",
	"pg_show_all_settings", "pg_show_all_file_settings", "pg_hba_file_rules", "pg_lock_status", "pg_prepared_statement", "pg_cursor",
	"pg_prepared_xact", "pg_reload_conf", "pg_rotate_logfile", "pg_switch_wal", "pg_promote", "pg_stat_reset", "pg_config",
	"pg_get_backend_memory_contexts", "pg_get_shmem_allocations", "pg_relation_filepath", "currtid2", "pg_nextoid", "setseed",
	"pg_import_system_collations", "binary_upgrade_set_next_pg_authid_oid", "shell_in", "pg_event_trigger_ddl_commands",
	"pg_replication_origin_create", "pg_get_replication_slots", "regclass", "postgres_fdw_get_connections", "no_such_function", "",
}

test_dangerous if {
	every name in dangerous {
		count(call("", name, [])) == 1
		count(call("pg_catalog", name, [])) == 1
	}
}

# Whoever adds to the list of builtins is told what not to add.
test_list_is_clean if {
	count(builtins.functions & dangerous) == 0
	every name in builtins.functions {
		not regex.match(`^(lo_|dblink|query_to|table_to|schema_to|database_to|cursor_to|pg_stat_|pg_ls_|pg_read_|pg_sleep|binary_upgrade)`, name)
	}
	builtins.of_names - builtins.functions == set()
}

test_reason_has_no_literal if {
	call("", "pg_read_file", ["/etc/passwd"]) == {"function pg_read_file is not granted to analyst@example.com"}
	call("pg_catalog", "pg_table_size", ["app.secrets"]) == {"function pg_catalog.pg_table_size is given a table that is not granted to analyst@example.com"}
}

test_regclass_literals if {
	every literal in ["", "app.orders", "orders", "16384", "pg_class", "pg_catalog.pg_class"] {
		count(call("", "pg_relation_size", [literal])) == 0
	}
	every literal in ["app.secrets", "secrets", "APP.SECRETS", "\"app\".secrets", " secrets", "app . secrets", "app.app.secrets", "other.t", "pg_authid"] {
		count(call("", "pg_relation_size", [literal])) == 1
	}
}

granted(function) := result if {
	result := functions.reasons with input as inputs.statement("analyst@example.com", {"functions": [function]})
		with data.access.roles.readonly.databases.app.schemas as {"app": {"functions": ["total"]}}
}

test_granted if {
	count(granted({"schema": "app", "name": "total", "constants": []})) == 0
	count(granted({"schema": "", "name": "total", "constants": []})) == 0
	count(granted({"schema": "public", "name": "total", "constants": []})) == 1
	count(granted({"schema": "app", "name": "totals", "constants": []})) == 1
}

set_config(settings) := result if {
	result := functions.reasons with input as inputs.statement("analyst@example.com", {
		"functions": [{"schema": "pg_catalog", "name": "set_config", "constants": []}],
		"settings": settings,
	})
}

test_set_config if {
	every name in ["jit", "timezone"] {
		count(set_config([inputs.setting(name, "set", "x")])) == 0
		count(set_config([inputs.setting(name, "set", "x"), inputs.setting("search_path", "set", "x")])) == 1
		count(set_config([inputs.setting(name, "set", "x"), inputs.setting("*", "set", "")])) == 1
		count(set_config([inputs.setting(name, "show", "")])) == 1
	}
	count(set_config([inputs.setting("jit", "show", ""), inputs.setting("jit", "set", "off")])) == 0
	every name in ["search_path", "role", "application_name", "TimeZone", "time zone", "datestyle", "*", ""] {
		count(set_config([inputs.setting(name, "set", "x")])) == 1
	}
	count(set_config([])) == 1
}

# A view's own call may set anything: the settings are those that the text shows.
test_set_config_in_a_view if {
	count(set_config_through([])) == 0
	count(set_config_through([{"schema": "app", "name": "v"}])) == 1
}

set_config_through(views) := result if {
	result := functions.reasons with input as inputs.statement("analyst@example.com", {
		"functions": [{"schema": "pg_catalog", "name": "set_config", "constants": [], "through": views}],
		"settings": [inputs.setting("jit", "set", "off")],
	})
}

operator(schema, grants) := result if {
	result := functions.reasons with input as inputs.statement("analyst@example.com", {"operators": [{"schema": schema, "name": "+"}]})
		with data.access.roles.readonly.databases.app.schemas as grants
}

test_operators if {
	count(operator("app", {"app": {"relations": {"*": ["select"]}}})) == 1
	count(operator("app", {"app": {"operators": ["+"]}})) == 0
	count(operator("public", {"app": {"operators": ["+"]}})) == 1
}

attribute(name) := result if {
	result := functions.reasons with input as inputs.statement("analyst@example.com", {"attributes": [name]})
}

test_attributes if {
	every name in ["n", "x", "lower"] {
		count(attribute(name)) == 0
	}
	every name in ["pg_sleep", "current_setting", "to_regclass", "street", "", "*"] {
		attribute(name) == {sprintf("field or function %s is not granted to analyst@example.com", [name])}
	}
	granted := functions.reasons with input as inputs.statement("analyst@example.com", {"attributes": ["street"]})
		with data.access.roles.readonly.databases.app.fields as ["street"]
	count(granted) == 0
}

# What the catalog knows of a function.
described(facts) := object.union({"schema": "app", "name": "touch", "language": "plpgsql", "volatility": "volatile", "security_definer": false, "extension": "", "through": []}, facts)

called(function) := result if {
	result := functions.reasons with input as inputs.statement("analyst@example.com", {"functions": [function]})
}

# A function that somebody put into pg_catalog, or named like one of PostgreSQL's, is not PostgreSQL's.
test_added_to_pg_catalog if {
	count(called(described({"schema": "pg_catalog", "name": "lower"}))) == 1
	count(called(described({"schema": "pg_catalog", "name": "lower", "language": ""}))) == 0
	count(called(described({"name": "lower"}))) == 1
}

test_run_unseen if {
	called(described({"through": [{"schema": "app", "name": "orders"}]})) == {
		"function app.touch, by way of app.orders, is not granted to analyst@example.com",
	}
	by_table := called(described({"through": [{"schema": "app", "name": "orders"}]})) with data.access.roles.readonly.databases.app.schemas.app.relations as {"orders": ["select"]}
	count(by_table) == 0
	by_star := called(described({"through": [{"schema": "app", "name": "orders"}]})) with data.access.roles.readonly.databases.app.schemas.app.relations as {"*": ["select"]}
	count(by_star) == 1
	by_name := called(described({"through": [{"schema": "app", "name": "orders"}]})) with data.access.roles.readonly.databases.app.schemas.app.functions as ["touch"]
	count(by_name) == 0
}

# A default of an argument, a check of a domain that an argument is of, a cast to an operand.
test_run_by_a_function if {
	function := described({"name": "is_email", "through": [{"schema": "app", "name": "send"}]})
	count(called(function)) == 1
	by_function := called(function) with data.access.roles.readonly.databases.app.schemas.app.functions as ["send"]
	count(by_function) == 0
	by_another := called(function) with data.access.roles.readonly.databases.app.schemas.app.functions as ["sends"]
	count(by_another) == 1
	by_operator := called(function) with data.access.roles.readonly.databases.app.schemas.app.operators as ["send"]
	count(by_operator) == 0
}

test_of_extensions if {
	function := described({"schema": "public", "name": "similarity", "language": "c", "extension": "pg_trgm"})
	count(called(function)) == 1
	granted := called(function) with data.access.roles.readonly.databases.app.extensions as ["pg_trgm"]
	count(granted) == 0
	operator := {"operators": [{"schema": "public", "name": "%", "extension": "pg_trgm"}]}
	denied := functions.reasons with input as inputs.statement("analyst@example.com", operator)
	count(denied) == 1
	permitted := functions.reasons with input as inputs.statement("analyst@example.com", operator)
		with data.access.roles.readonly.databases.app.extensions as ["pg_trgm"]
	count(permitted) == 0
}

# In a view it is the view's, if that is granted by its name.
test_of_extensions_that_run_text if {
	every name in ["crosstab", "crosstab4", "connectby", "dblink", "dblink_exec", "xpath_table"] {
		function := described({"schema": "public", "name": name, "language": "c", "extension": "text"})
		every extensions in [[], ["text"]] {
			denied := called(function) with data.access.roles.readonly.databases.app.extensions as extensions
			count(denied) == 1
		}
		in_view := called(object.union(function, {"through": [{"schema": "app", "name": "crossed"}]}))
			with data.access.roles.readonly.databases.app.extensions as ["text"]
		count(in_view) == 1
	}
}

test_of_extensions_that_run_text_in_a_granted_view if {
	function := described({"schema": "public", "name": "crosstab", "language": "c", "extension": "text", "through": [{"schema": "app", "name": "crossed"}]})
	permitted := called(function) with data.access.roles.readonly.databases.app.schemas.app.relations.crossed as ["select"]
	count(permitted) == 0
}
