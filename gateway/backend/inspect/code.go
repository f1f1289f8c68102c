package inspect

import "strings"

// code is about what runs with somebody else's rights.
func code() []check {
	const definer = `SELECT p.oid::regprocedure::text, format('%I', n.nspname), format('%I', o.rolname) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
		JOIN pg_roles o ON o.oid = p.proowner WHERE p.prosecdef AND ` + ownSchema + `
		AND NOT EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s LIKE 'search\_path=%')
		AND has_function_privilege('public', p.oid, 'EXECUTE')`
	const pin = "ALTER ROUTINE %[1]s SET search_path = pg_catalog, %[2]s, pg_temp;"
	return []check{
		{
			name: "definer.public", severity: High, what: "functions that run with their owners' rights",
			query: definer + ` ORDER BY 1`,
			says:  "%[1]s runs with the rights of %[3]s for everybody, and finds names by its caller's search_path",
			why:   "Who can make a schema, or a temporary table, has it call what is theirs: with the owner's rights.",
			fix:   []string{pin, "REVOKE EXECUTE ON ROUTINE %[1]s FROM PUBLIC;"},
		},
		{
			name: "definer.group", severity: Medium, what: "functions that run with their owners' rights",
			query: strings.Replace(definer, "AND has_function_privilege('public', p.oid, 'EXECUTE')", `AND NOT has_function_privilege('public', p.oid, 'EXECUTE')
				AND EXISTS (SELECT FROM pg_roles g WHERE g.rolname `+inGroups+` AND has_function_privilege(g.oid, p.oid, 'EXECUTE'))`, 1) + ` ORDER BY 1`,
			says: "%[1]s runs with the rights of %[3]s for sessions, and finds names by its caller's search_path",
			why:  "Who can make a schema, or a temporary table, has it call what is theirs: with the owner's rights.",
			fix:  []string{pin},
		},
		{
			name: "event.trigger", severity: Medium, what: "event triggers",
			query: `SELECT format('%I', e.evtname), e.evtfoid::regprocedure::text FROM pg_event_trigger e WHERE e.evtenabled <> 'D' ORDER BY 1`,
			says:  "event trigger %[1]s runs %[2]s with everybody's DDL",
			why:   "It runs with the rights of whoever runs the DDL, superusers too, and no statement shows it to the policy.",
			fix:   []string{"ALTER EVENT TRIGGER %[1]s DISABLE;"},
		},
	}
}

// extensions are about code that reaches out of the database.
func extensions() []check {
	return []check{
		{
			name: "language.untrusted", severity: Medium, what: "languages",
			query: `SELECT l.lanname, coalesce((SELECT format('DROP EXTENSION %I', e.extname) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
					WHERE d.classid = 'pg_language'::regclass AND d.objid = l.oid AND d.deptype = 'e'), format('DROP LANGUAGE %I', l.lanname))
				FROM pg_language l WHERE l.lanispl AND NOT l.lanpltrusted ORDER BY 1`,
			says: "the untrusted language %[1]s is installed", why: "A function in it is a program of the server's account.",
			fix: []string{"%[2]s;"},
		},
		{
			name: "extension", severity: Medium, what: "extensions",
			query: `SELECT e.extname, format('%I', e.extname) FROM pg_extension e WHERE e.extname IN ('dblink', 'postgres_fdw', 'file_fdw', 'adminpack',
				'mysql_fdw', 'oracle_fdw', 'tds_fdw', 'sqlite_fdw', 'ogr_fdw', 'http', 'pg_net', 'aws_s3', 'aws_lambda', 'pg_cron', 'pgagent', 'plsh',
				'pageinspect', 'pg_surgery', 'xml2') ORDER BY 1`,
			says: "extension %[1]s is installed",
			why:  "It reaches files, other servers or other sessions' pages: past the gateway, or past the tables' grants. Leave it if somebody needs it, and grant its functions to nobody else.",
			fix:  []string{"DROP EXTENSION %[2]s;"},
		},
		{
			name: "mapping.public", severity: High, what: "user mappings",
			query: `SELECT format('%I', m.srvname) FROM pg_user_mappings m WHERE m.umuser = 0 ORDER BY 1`,
			says:  "everybody has a user mapping for server %[1]s", why: "Every role acts there as the user whose password it holds.",
			fix: []string{"DROP USER MAPPING FOR PUBLIC SERVER %[1]s;"},
		},
		{
			name: "server.public", severity: Medium, what: "foreign servers",
			query: `SELECT format('%I', s.srvname) FROM pg_foreign_server s, aclexplode(s.srvacl) a WHERE a.grantee = 0 ORDER BY 1`,
			says:  "PUBLIC may use the foreign server %[1]s", why: "Every role can connect there from this server's address.",
			fix: []string{"REVOKE USAGE ON FOREIGN SERVER %[1]s FROM PUBLIC;"},
		},
	}
}
