package sallyport.settings_test

import data.sallyport.inputs_test as inputs
import data.sallyport.settings

reasons(setting) := result if {
	result := settings.reasons with input as inputs.statement("analyst@example.com", {"command": "SET", "settings": [setting]})
}

test_harmless if {
	every row in [
		["application_name", "my app 1.0"], ["application_name", "0123456789abcdef"], ["datestyle", "ISO, MDY"], ["intervalstyle", "iso_8601"], ["timezone", "Europe/Berlin"],
		["timezone", "UTC"], ["timezone", "<+02>-02"], ["timezone", "America/Argentina/Buenos_Aires"], ["timezone", "-3.5"], ["timezone", "+02:00"], ["extra_float_digits", "3"], ["bytea_output", "hex"],
		["client_min_messages", "warning"], ["client_min_messages", "NOTICE"], ["statement_timeout", "0"], ["statement_timeout", "30s"],
		["lock_timeout", "500 ms"], ["idle_in_transaction_session_timeout", "60000"], ["transaction_isolation", "serializable"],
		["transaction_read_only", "on"], ["default_transaction_isolation", "read committed"], ["client_encoding", "UTF8"],
		["client_encoding", "utf-8"], ["standard_conforming_strings", "on"], ["jit", "off"],
	] {
		every action in ["set", "set_local"] {
			count(reasons(inputs.setting(row[0], action, row[1]))) == 0
		}
	}
}

test_not_set if {
	every row in [
		["standard_conforming_strings", "off"], ["standard_conforming_strings", ""], ["client_encoding", "SJIS"], ["client_encoding", "BIG5"],
		["client_encoding", "SQL_ASCII"], ["client_encoding", "utf8; x"], ["client_min_messages", "debug1"], ["client_min_messages", "log"],
		["search_path", "app"], ["search_path", "public"], ["role", "postgres"], ["session_authorization", "postgres"], ["row_security", "off"],
		["session_replication_role", "replica"], ["local_preload_libraries", "x"], ["app.tenant", "7"], ["work_mem", "1GB"],
		["backslash_quote", "on"], ["escape_string_warning", "off"], ["transform_null_equals", "on"], ["lc_messages", "C"],
		["debug_print_parse", "on"], ["transaction_snapshot", "1"], ["application_name", "a\nb"], ["application_name", "ä"],
		["application_name", "0123456789abcdef dba@example.com psql"], ["application_name", "0123456789ABCDEF x"],
		["timezone", "a'b"], ["timezone", "../../etc/passwd"], ["timezone", "/etc/localtime"], ["statement_timeout", "-1"], ["statement_timeout", "1e9"], ["password_encryption", "md5"], ["", ""], ["*", ""],
		["default_tablespace", "x"], ["default_table_access_method", "x"], ["temp_tablespaces", "x"], ["dynamic_library_path", "x"],
	] {
		count(reasons(inputs.setting(row[0], "set", row[1]))) == 1
	}
}

test_value_not_known if {
	count(reasons(object.union(inputs.setting("timezone", "set", ""), {"known": false}))) == 1
	count(reasons(object.union(inputs.setting("timezone", "show", ""), {"known": false}))) == 1
	count(reasons(object.union(inputs.setting("timezone", "reset", ""), {"known": false}))) == 1
}

test_reset if {
	every name in ["*", "timezone", "search_path", "statement_timeout", "standard_conforming_strings", "session_authorization"] {
		count(reasons(inputs.setting(name, "reset", ""))) == 0
	}
	every name in ["role", "app.tenant", "row_security", "session_replication_role"] {
		count(reasons(inputs.setting(name, "reset", ""))) == 1
	}
}

test_show if {
	every name in ["server_version", "search_path", "transaction_isolation", "timezone", "standard_conforming_strings"] {
		count(reasons(inputs.setting(name, "show", ""))) == 0
	}
	every name in ["*", "data_directory", "hba_file", "primary_conninfo", "app.tenant", "shared_preload_libraries", "ssl_key_file"] {
		count(reasons(inputs.setting(name, "show", ""))) == 1
	}
}

test_unknown_action if count(reasons(inputs.setting("timezone", "frobnicate", "UTC"))) == 1

test_reason_has_no_value if {
	reasons(inputs.setting("search_path", "set", "hunter2")) == {"setting search_path may not be set to this"}
}

test_reason_has_no_name_from_a_literal if {
	found := settings.reasons with input as inputs.statement("analyst@example.com", {
		"functions": [{"schema": "", "name": "set_config", "constants": ["hunter2", "x"]}],
		"settings": [inputs.setting("hunter2", "set", "x")],
	})
	found == {"a setting named to a function may not be set to this"}
}

limited(value) := result if {
	result := settings.reasons with input as inputs.statement("analyst@example.com", {"settings": [inputs.setting("statement_timeout", "set", value)]})
		with data.access.roles.readonly.statement_timeout_ms as 30000
}

# The role's own limit cannot be lifted.
test_statement_timeout if {
	every value in ["1", "30000", "30000ms", "5000 ms"] {
		count(limited(value)) == 0
	}
	every value in ["0", "00", "30001", "31s", "1h", "", "30s", "0ms"] {
		count(limited(value)) == 1
	}
}
