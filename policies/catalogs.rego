# What everybody may read of the system catalogs: what drivers, psql and schema browsers ask to show a schema. All of it says what
# there is, nothing of it what is in there.
#
# Not here, and granted to nobody by this: passwords (pg_authid, pg_shadow), what is in
# the tables (pg_statistic, pg_stats, pg_statistic_ext_data, pg_largeobject), what other sessions do (pg_stat_*, pg_locks,
# pg_prepared_xacts), what this session holds in the gateway's name (pg_cursors, pg_prepared_statements), the server's files
# (pg_hba_file_rules, pg_file_settings, pg_config), and credentials for elsewhere (pg_user_mapping, pg_subscription).
package sallyport.catalogs

relations := {
	"pg_catalog": {
		# Relations and what they are made of.
		"pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_index", "pg_inherits", "pg_partitioned_table", "pg_sequence",
		"pg_trigger", "pg_rewrite", "pg_policy", "pg_statistic_ext", "pg_foreign_table",
		"pg_tables", "pg_views", "pg_matviews", "pg_indexes", "pg_policies", "pg_rules",
		# Types, functions, operators and the access methods that use them.
		"pg_type", "pg_enum", "pg_range", "pg_proc", "pg_aggregate", "pg_language", "pg_operator", "pg_cast", "pg_collation",
		"pg_conversion", "pg_am", "pg_amop", "pg_amproc", "pg_opclass", "pg_opfamily",
		"pg_ts_config", "pg_ts_config_map", "pg_ts_dict", "pg_ts_parser", "pg_ts_template",
		# What they belong to, and what is said about them.
		"pg_namespace", "pg_database", "pg_tablespace", "pg_extension", "pg_available_extensions", "pg_event_trigger",
		"pg_foreign_data_wrapper", "pg_foreign_server", "pg_publication", "pg_publication_rel", "pg_publication_namespace",
		"pg_publication_tables", "pg_depend", "pg_description", "pg_shdescription", "pg_default_acl",
		"pg_roles", "pg_auth_members",
		"pg_timezone_names", "pg_timezone_abbrevs",
	},
	"information_schema": {
		"tables", "columns", "views", "schemata", "sequences", "domains", "routines", "parameters", "triggers",
		"table_constraints", "domain_constraints", "check_constraints", "referential_constraints", "key_column_usage",
		"constraint_column_usage", "constraint_table_usage", "view_column_usage", "view_table_usage", "column_domain_usage",
		"column_udt_usage", "element_types", "attributes", "user_defined_types", "collations", "character_sets",
		"applicable_roles", "enabled_roles", "table_privileges", "column_privileges", "role_table_grants", "role_column_grants",
		"information_schema_catalog_name",
	},
}

# Catalogs of which some columns may be read. psql completes the names and words of settings; their values are for SHOW. drizzle-kit looks
# for schemas by their owner, for sequences and for indexes: that and how they were made, but not how far a sequence has come, how often an
# index is used, or what else is known of a user.
#
# nspname and the last three names of indexes are no columns of these. drizzle-kit writes them without a table, so they might be.
columns := {"pg_catalog": {
	"pg_settings": {"name", "context", "vartype", "enumvals", "category", "short_desc", "extra_desc", "unit", "min_val", "max_val"},
	"pg_user": {"usename", "usesysid", "nspname"},
	"pg_sequences": {
		"schemaname", "sequencename", "sequenceowner", "data_type", "start_value", "min_value", "max_value", "increment_by", "cycle",
		"cache_size",
	},
	"pg_stat_user_indexes": {
		"relid", "indexrelid", "schemaname", "relname", "indexrelname",
		"index_name", "table_name", "generated_by_constraint",
	},
}}

# Types outside pg_catalog that are the grammar's own, so to say.
types := {"information_schema": {"cardinal_number", "character_data", "sql_identifier", "time_stamp", "yes_or_no"}}
