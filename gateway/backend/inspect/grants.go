package inspect

// grants are about what everybody may do.
func grants() []check {
	return []check{
		{
			name: "public.schema", severity: High, what: "what PUBLIC may create",
			query: `SELECT format('%I', n.nspname) FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
				WHERE a.grantee = 0 AND a.privilege_type = 'CREATE' AND n.nspname !~ '^pg_temp' ORDER BY 1`,
			says: "PUBLIC may create in schema %[1]s",
			why:  "Whoever can log in puts functions and operators there that others' statements find, and run with their rights (CVE-2018-1058).",
			fix:  []string{"REVOKE CREATE ON SCHEMA %[1]s FROM PUBLIC;"},
		},
		{
			name: "public.database", severity: Medium, what: "what PUBLIC may do in the database",
			query: `SELECT format('%I', d.datname), a.privilege_type FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
				WHERE a.grantee = 0 AND d.datname = current_database() ORDER BY 2`,
			says: "PUBLIC has %[2]s on database %[1]s",
			why:  "Grant it to the groups that need it: every role of the server can come in, and temporary tables keep a role from being dropped.",
			fix:  []string{"REVOKE %[2]s ON DATABASE %[1]s FROM PUBLIC;"},
		},
		{
			name: "public.databases", severity: Low, cluster: true, what: "what PUBLIC may do in other databases",
			query: `SELECT format('%I', d.datname), a.privilege_type FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
				WHERE a.grantee = 0 AND d.datallowconn AND d.datname <> current_database() ORDER BY 1, 2`,
			says: "PUBLIC has %[2]s on database %[1]s",
			why:  "The roles of sessions can come in there too, and what they make there keeps them from being dropped.",
			fix:  []string{"REVOKE %[2]s ON DATABASE %[1]s FROM PUBLIC;"},
		},
		{
			name: "public.files", severity: High, what: "functions that reach out of the database",
			query: publicFunctions(`'pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'pg_stat_file', 'pg_file_write', 'pg_file_unlink',
				'pg_file_rename', 'pg_file_sync', 'lo_import', 'lo_export', 'pg_reload_conf', 'pg_rotate_logfile', 'pg_hba_file_rules',
				'pg_ident_file_mappings', 'pg_show_all_file_settings', 'pg_switch_wal', 'pg_create_restore_point', 'pg_promote', 'pg_ls_logdir',
				'pg_ls_waldir', 'dblink', 'dblink_exec', 'dblink_connect', 'dblink_connect_u', 'dblink_send_query', 'dblink_open'`),
			says: "PUBLIC may execute %[1]s",
			why:  "It reads or writes the server's files, stops or steers the server, or connects elsewhere from its address.",
			fix:  []string{"REVOKE EXECUTE ON FUNCTION %[1]s FROM PUBLIC;"},
		},
		{
			name: "public.large-objects", severity: Low, what: "functions that make large objects",
			query: publicFunctions(`'lo_creat', 'lo_create', 'lo_from_bytea'`),
			says:  "PUBLIC may execute %[1]s",
			why:   "Every role can leave a large object, which keeps it from being dropped where the revocation does not give away what it owns.",
			fix:   []string{"REVOKE EXECUTE ON FUNCTION %[1]s FROM PUBLIC;"},
		},
	}
}

func publicFunctions(names string) string {
	return `SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.proname IN (` + names + `)
		AND has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY 1`
}

// relationGrants are about tables and what else has rows.
func relationGrants() []check {
	return []check{
		{
			name: "public.relation", severity: Medium, what: "what PUBLIC may do with tables",
			query: `SELECT format('%I.%I', n.nspname, c.relname), string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)
				FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
				WHERE a.grantee = 0 AND ` + ownSchema + ` GROUP BY 1 ORDER BY 1`,
			says: "PUBLIC has %[2]s on %[1]s", why: "Every role has it, also those of sessions whose policy knows nothing of the table.",
			fix: []string{"REVOKE ALL ON TABLE %[1]s FROM PUBLIC;"},
		},
		{
			name: "public.column", severity: Medium, what: "what PUBLIC may do with columns",
			query: `SELECT format('%I.%I', n.nspname, c.relname), format('%I', t.attname), string_agg(a.privilege_type, ', ')
				FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(t.attacl) a
				WHERE a.grantee = 0 AND ` + ownSchema + ` GROUP BY 1, 2 ORDER BY 1, 2`,
			says: "PUBLIC has %[3]s on column %[2]s of %[1]s", why: "Every role has it, also those of sessions whose policy knows nothing of the table.",
			fix: []string{"REVOKE ALL (%[2]s) ON TABLE %[1]s FROM PUBLIC;"},
		},
		{
			name: "public.catalog", severity: High, what: "what PUBLIC may read of passwords and files",
			query: `SELECT format('%I', c.relname) FROM pg_class c WHERE c.relnamespace = 'pg_catalog'::regnamespace
				AND c.relname IN ('pg_authid', 'pg_shadow', 'pg_user_mapping', 'pg_largeobject', 'pg_statistic', 'pg_statistic_ext_data',
				'pg_subscription', 'pg_hba_file_rules', 'pg_ident_file_mappings', 'pg_file_settings', 'pg_config')
				AND (has_table_privilege('public', c.oid, 'SELECT') AND c.relname <> 'pg_subscription' OR has_any_column_privilege('public', c.oid, 'UPDATE')) ORDER BY 1`,
			says: "PUBLIC may read or write pg_catalog.%[1]s", why: "It has verifiers of passwords, values of columns or the server's files in it.",
			fix: []string{"REVOKE ALL ON TABLE pg_catalog.%[1]s FROM PUBLIC;"},
		},
		{
			name: "public.default", severity: Medium, what: "default privileges of PUBLIC",
			query: `SELECT format('%I', r.rolname), CASE WHEN d.defaclnamespace = 0 THEN '' ELSE format(' IN SCHEMA %I', n.nspname) END,
				CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'n' THEN 'SCHEMAS' END, string_agg(a.privilege_type, ', ')
				FROM pg_default_acl d JOIN pg_roles r ON r.oid = d.defaclrole LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace, aclexplode(d.defaclacl) a
				WHERE a.grantee = 0 AND d.defaclobjtype IN ('r', 'S', 'n') GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
			says: "PUBLIC gets %[4]s on the %[3]s that %[1]s makes%[2]s", why: "What is made tomorrow is everybody's.",
			fix: []string{"ALTER DEFAULT PRIVILEGES FOR ROLE %[1]s%[2]s REVOKE ALL ON %[3]s FROM PUBLIC;"},
		},
		{
			name: "rls.off", severity: Medium, what: "policies of row-level security",
			query: `SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
				WHERE NOT c.relrowsecurity AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid) ORDER BY 1`,
			says: "%[1]s has policies of row-level security, which is not enabled", why: "Nobody is held to them.",
			fix: []string{"ALTER TABLE %[1]s ENABLE ROW LEVEL SECURITY;"},
		},
		{
			name: "rls.owner", severity: Medium, what: "whom row-level security does not hold",
			query: `SELECT format('%I.%I', n.nspname, c.relname), format('%I', o.rolname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
				JOIN pg_roles o ON o.oid = c.relowner
				WHERE c.relrowsecurity AND NOT c.relforcerowsecurity AND EXISTS (
					SELECT FROM pg_roles g WHERE g.rolname ` + inGroups + ` AND pg_has_role(g.oid, o.oid, 'USAGE')) ORDER BY 1`,
			says: "row-level security of %[1]s does not hold its owner %[2]s, as which sessions come", why: "They read and write all rows.",
			fix: []string{"ALTER TABLE %[1]s FORCE ROW LEVEL SECURITY;"},
		},
	}
}
