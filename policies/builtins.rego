# PostgreSQL's own functions that everybody may call: they compute from their arguments, or say what the catalogs in catalogs.rego say.
#
# A function gets on this list by being looked at. It must not run a text it is given (query_to_xml, ts_stat), read or write files or
# large objects, change settings, sequences, locks, statistics or other sessions, wait, or send anything anywhere.
#
# Functions of newer releases are on it. On a server older than them such a name, written without a schema, is the application's own
# function if it has one.
package sallyport.builtins

functions := {
	# Aggregates.
	"array_agg", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "corr", "count", "covar_pop", "covar_samp", "every",
	"json_agg", "json_object_agg", "jsonb_agg", "jsonb_object_agg", "max", "min", "mode", "percentile_cont", "percentile_disc",
	"range_agg", "range_intersect_agg", "regr_avgx", "regr_avgy", "regr_count", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx",
	"regr_sxy", "regr_syy", "stddev", "stddev_pop", "stddev_samp", "string_agg", "sum", "var_pop", "var_samp", "variance", "xmlagg",
	"any_value", "json_agg_strict", "jsonb_agg_strict", "json_object_agg_strict", "jsonb_object_agg_strict", "json_object_agg_unique",
	"jsonb_object_agg_unique", "json_object_agg_unique_strict", "jsonb_object_agg_unique_strict",
	# Window functions.
	"cume_dist", "dense_rank", "first_value", "lag", "last_value", "lead", "nth_value", "ntile", "percent_rank", "rank", "row_number",
	# Numbers.
	"abs", "acos", "acosd", "acosh", "asin", "asind", "asinh", "atan", "atan2", "atan2d", "atand", "atanh", "cbrt", "ceil", "ceiling",
	"cos", "cosd", "cosh", "cot", "cotd", "degrees", "div", "erf", "erfc", "exp", "factorial", "floor", "gamma", "gcd", "lcm", "lgamma", "ln", "log",
	"log10", "min_scale", "mod", "pi", "pow", "power", "radians", "random", "random_normal", "round", "scale", "sign", "sin", "sind",
	"sinh", "sqrt", "tan", "tand", "tanh", "trim_scale", "trunc", "width_bucket", "generate_series", "num_nonnulls", "num_nulls",
	"bernoulli", "system", "bit_count", "hashtext", "to_hex", "to_bin", "to_oct",
	# Texts.
	"ascii", "bit_length", "btrim", "casefold", "char_length", "character_length", "chr", "concat", "concat_ws", "convert",
	"convert_from", "convert_to", "decode", "encode", "format", "get_bit", "get_byte", "initcap", "is_normalized", "left", "length",
	"like_escape", "lower", "lpad", "ltrim", "md5", "normalize", "octet_length", "overlay", "parse_ident", "position", "quote_ident",
	"quote_literal", "quote_nullable", "regexp_count", "regexp_instr", "regexp_like", "regexp_match", "regexp_matches",
	"regexp_replace", "regexp_split_to_array", "regexp_split_to_table", "regexp_substr", "repeat", "replace", "reverse", "right",
	"rpad", "rtrim", "set_bit", "set_byte", "sha224", "sha256", "sha384", "sha512", "similar_escape", "similar_to_escape",
	"split_part", "starts_with", "string_to_array", "string_to_table", "strpos", "substr", "substring", "to_ascii", "to_char",
	"to_number", "translate", "unistr", "unicode_assigned", "unicode_version", "upper", "crc32", "crc32c",
	# Dates and times.
	"age", "clock_timestamp", "date_add", "date_bin", "date_part", "date_subtract", "date_trunc", "extract", "isfinite",
	"justify_days", "justify_hours", "justify_interval", "make_date", "make_interval", "make_time", "make_timestamp",
	"make_timestamptz", "now", "overlaps", "statement_timestamp", "timeofday", "timezone", "to_date", "to_timestamp",
	"transaction_timestamp",
	# JSON and XML.
	"array_to_json", "json_array_elements", "json_array_elements_text", "json_array_length", "json_build_array", "json_build_object",
	"json_each", "json_each_text", "json_extract_path", "json_extract_path_text", "json_object", "json_object_keys",
	"json_populate_record", "json_populate_recordset", "json_strip_nulls", "json_to_record", "json_to_recordset", "json_typeof",
	"jsonb_array_elements", "jsonb_array_elements_text", "jsonb_array_length", "jsonb_build_array", "jsonb_build_object",
	"jsonb_each", "jsonb_each_text", "jsonb_extract_path", "jsonb_extract_path_text", "jsonb_insert", "jsonb_object",
	"jsonb_object_keys", "jsonb_path_exists", "jsonb_path_exists_tz", "jsonb_path_match", "jsonb_path_match_tz", "jsonb_path_query",
	"jsonb_path_query_array", "jsonb_path_query_array_tz", "jsonb_path_query_first", "jsonb_path_query_first_tz",
	"jsonb_path_query_tz", "jsonb_populate_record", "jsonb_populate_recordset", "jsonb_pretty", "jsonb_set", "jsonb_set_lax",
	"jsonb_strip_nulls", "jsonb_to_record", "jsonb_to_recordset", "jsonb_typeof", "row_to_json", "to_json", "to_jsonb",
	# Syntax by now, but ordinary names to a backend older than it.
	"json_array", "json_arrayagg", "json_exists", "json_objectagg", "json_query", "json_scalar", "json_serialize", "json_table",
	"json_value", "merge_action",
	"xml_is_well_formed", "xml_is_well_formed_content", "xml_is_well_formed_document", "xmlcomment", "xmlexists", "xpath",
	"xpath_exists",
	# Text search.
	"array_to_tsvector", "get_current_ts_config", "json_to_tsvector", "jsonb_to_tsvector", "numnode", "phraseto_tsquery",
	"plainto_tsquery", "querytree", "setweight", "strip", "to_tsquery", "to_tsvector", "ts_delete", "ts_filter", "ts_headline",
	"ts_rank", "ts_rank_cd", "tsquery_phrase", "tsvector_to_array", "websearch_to_tsquery",
	# Arrays and enumerations.
	"array_append", "array_cat", "array_dims", "array_fill", "array_length", "array_lower", "array_ndims", "array_position",
	"array_positions", "array_prepend", "array_remove", "array_replace", "array_reverse", "array_sample", "array_shuffle",
	"array_sort", "array_to_string", "array_upper", "cardinality", "generate_subscripts", "trim_array", "unnest",
	"enum_first", "enum_last", "enum_range",
	# Ranges.
	"datemultirange", "daterange", "int4multirange", "int4range", "int8multirange", "int8range", "isempty", "lower_inc",
	"lower_inf", "multirange", "nummultirange", "numrange", "range_merge", "tsmultirange", "tsrange", "tstzmultirange", "tstzrange",
	"upper_inc", "upper_inf",
	# Identifiers.
	"gen_random_uuid", "uuidv4", "uuidv7", "uuid_extract_timestamp", "uuid_extract_version",
	# Network addresses.
	"abbrev", "broadcast", "family", "host", "hostmask", "inet_merge", "inet_same_family", "macaddr8_set7bit", "masklen", "netmask",
	"network", "set_masklen", "pg_input_is_valid", "pg_input_error_info",
	# Geometry.
	"area", "bound_box", "box", "center", "circle", "diagonal", "diameter", "height", "isclosed", "isopen", "line", "lseg", "npoints",
	"path", "pclose", "point", "polygon", "popen", "radius", "slope", "width",
	# Casts written as calls. regclass and its kin are not among them: they look names up.
	"bit", "bool", "bpchar", "char", "cidr", "date", "float4", "float8", "inet", "int2", "int4", "int8", "interval", "json", "jsonb",
	"macaddr", "macaddr8", "money", "name", "numeric", "oid", "text", "time", "timestamp", "timestamptz", "timetz", "uuid", "varbit",
	"varchar", "xml",
	# The session and the server.
	"current_database", "current_schema", "current_schemas", "current_setting", "current_user",
	"getdatabaseencoding", "pg_backend_pid", "pg_client_encoding", "pg_is_in_recovery", "pg_listening_channels", "pg_my_temp_schema",
	"pg_is_other_temp_schema", "session_user", "system_user", "version",
	# Releases every advisory lock, of which the session can have none: pools send it between two users of a connection.
	"pg_advisory_unlock_all",
	# What catalogs say.
	"aclexplode", "acldefault", "col_description", "format_type", "obj_description", "oidvectortypes", "pg_available_extensions",
	"pg_char_to_encoding", "pg_collation_for", "pg_collation_is_visible", "pg_column_is_updatable", "pg_column_size",
	"pg_conversion_is_visible", "pg_describe_object", "pg_encoding_max_length", "pg_encoding_to_char", "pg_function_is_visible",
	"pg_get_constraintdef", "pg_get_expr", "pg_get_function_arg_default", "pg_get_function_arguments",
	"pg_get_function_identity_arguments", "pg_get_function_result", "pg_get_function_sqlbody", "pg_get_functiondef",
	"pg_get_indexdef", "pg_get_keywords", "pg_get_partition_constraintdef", "pg_get_partkeydef", "pg_get_ruledef",
	"pg_get_serial_sequence", "pg_get_statisticsobjdef", "pg_get_statisticsobjdef_columns", "pg_get_statisticsobjdef_expressions",
	"pg_get_triggerdef", "pg_get_userbyid", "pg_get_viewdef", "pg_index_column_has_property", "pg_index_has_property",
	"pg_indexam_has_property", "pg_opclass_is_visible", "pg_operator_is_visible", "pg_opfamily_is_visible", "pg_options_to_table",
	"pg_partition_ancestors", "pg_partition_root", "pg_partition_tree", "pg_relation_is_publishable", "pg_relation_is_updatable",
	"pg_statistics_obj_is_visible", "pg_table_is_visible", "pg_tablespace_location", "pg_timezone_abbrevs", "pg_timezone_names",
	"pg_ts_config_is_visible", "pg_ts_dict_is_visible", "pg_ts_parser_is_visible", "pg_ts_template_is_visible", "pg_type_is_visible",
	"pg_typeof", "shobj_description", "to_regclass", "to_regnamespace", "to_regproc", "to_regprocedure", "to_regrole", "to_regtype",
	# What PostgreSQL would permit.
	"has_any_column_privilege", "has_column_privilege", "has_database_privilege", "has_foreign_data_wrapper_privilege",
	"has_function_privilege", "has_language_privilege", "has_schema_privilege", "has_sequence_privilege", "has_server_privilege",
	"has_table_privilege", "has_tablespace_privilege", "has_type_privilege", "pg_has_role", "row_security_active",
	# Sizes.
	"pg_database_size", "pg_indexes_size", "pg_relation_size", "pg_size_bytes", "pg_size_pretty", "pg_table_size",
	"pg_tablespace_size", "pg_total_relation_size",
}

# Of these, those whose argument is the name of a relation or of a setting. Its literal is judged; ('hba_file'::text).current_setting has
# none that could be.
of_names := {
	"current_setting", "pg_indexes_size", "pg_partition_ancestors", "pg_partition_root", "pg_partition_tree", "pg_relation_is_publishable",
	"pg_relation_size", "pg_table_size", "pg_total_relation_size", "to_regclass",
}

# Fields of the rows that PostgreSQL's own functions give: (information_schema._pg_expandarray(i.indkey)).n is how JDBC finds keys.
fields := {"n", "x"}

# Functions in other schemas that come with PostgreSQL.
elsewhere := {"information_schema": {"_pg_expandarray", "_pg_truetypid", "_pg_truetypmod", "_pg_char_max_length", "_pg_index_position"}}

# Prefixes and names of functions that nobody is given by name in data.yaml: a grant of an application's function of this name would
# reach PostgreSQL's own as well, because pg_catalog is searched first. Who must have these is observed instead.
withheld(name) if {
	some prefix in ["pg_", "lo_", "query_to_", "table_to_", "schema_to_", "database_to_", "cursor_to_", "txid_", "binary_upgrade_", "brin_", "gin_"]
	startswith(name, prefix)
}

withheld(name) if {
	name in {
		"set_config", "setval", "nextval", "currval", "lastval", "loread", "lowrite", "ts_stat", "ts_rewrite", "current_query",
		"currtid2", "setseed", "shell_in",
	}
}

withheld(name) if runs_text(name)

# Functions of extensions that run a text they are given, or read a table by a name in a text.
runs_text(name) if startswith(name, "dblink")

runs_text(name) if name in {"crosstab", "crosstab2", "crosstab3", "crosstab4", "crosstabn", "connectby", "xpath_table"}
