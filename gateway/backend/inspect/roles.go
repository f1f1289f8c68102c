package inspect

// roles are about who can log in past the gateway.
func roles() []check {
	const others = `r.rolcanlogin AND r.rolname !~ '` + sessionRoles + `' AND r.rolname NOT ` + inLogins
	const expect = "It logs in past the gateway wherever pg_hba.conf lets it: unjudged, and nobody's session is recorded. "
	return []check{
		{
			name: "role.superuser", severity: High, cluster: true, what: "superusers",
			query: `SELECT format('%I', r.rolname) FROM pg_roles r WHERE r.rolsuper AND r.oid <> 10 AND ` + others + ` ORDER BY 1`,
			says:  "%[1]s is a superuser and can log in", why: expect + "If it is meant to, name it: --expect.",
			fix: []string{"ALTER ROLE %[1]s NOLOGIN;"},
		},
		{
			name: "role.bypassrls", severity: High, cluster: true, what: "roles that row-level security does not hold",
			query: `SELECT format('%I', r.rolname) FROM pg_roles r WHERE r.rolbypassrls AND NOT r.rolsuper AND ` + others + ` ORDER BY 1`,
			says:  "%[1]s can log in, and row-level security does not hold it", why: expect + "If it is meant to, name it: --expect.",
			fix: []string{"ALTER ROLE %[1]s NOLOGIN;"},
		},
		{
			name: "role.powerful", severity: Medium, cluster: true, what: "roles that make roles, or read the write-ahead log",
			query: `SELECT format('%I', r.rolname), concat_ws(' and ', CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolreplication THEN 'REPLICATION' END)
				FROM pg_roles r WHERE (r.rolcreaterole OR r.rolreplication) AND NOT r.rolsuper AND NOT r.rolbypassrls AND ` + others + ` ORDER BY 1`,
			says: "%[1]s can log in and has %[2]s",
			why:  "Before 16 CREATEROLE makes itself a member of any role that is no superuser; REPLICATION reads every table. If it is meant to, name it: --expect.",
			fix:  []string{"ALTER ROLE %[1]s NOLOGIN;"},
		},
		{
			name: "role.login", severity: Low, cluster: true, what: "roles that log in",
			query: `SELECT format('%I', r.rolname) FROM pg_roles r WHERE NOT (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolreplication) AND ` + others + ` ORDER BY 1`,
			says:  "%[1]s can log in", why: expect + "If it is meant to, name it: --expect.",
			fix: []string{"ALTER ROLE %[1]s NOLOGIN;"},
		},
		{
			name: "role.md5", severity: Medium, cluster: true, what: "how passwords are stored",
			query: `SELECT format('%I', a.rolname) FROM pg_authid a WHERE a.rolpassword LIKE 'md5%' ORDER BY 1`,
			says:  "the password of %[1]s is stored as MD5", why: "Whoever reads pg_authid or a backup can log in with the hash as it is.",
			fix: []string{`in psql, with password_encryption = scram-sha-256: \password %[1]s`}, kind: Command,
		},
		{
			name: "role.first", severity: Low, cluster: true, what: "the password of the first superuser",
			query: `SELECT format('%I', a.rolname) FROM pg_authid a WHERE a.oid = 10 AND a.rolcanlogin AND a.rolpassword IS NOT NULL AND a.rolname NOT ` + inLogins,
			says:  "the superuser %[1]s has a password", why: "It is of use from elsewhere, unlike peer on the server itself. If it is meant to, name it: --expect.",
			fix: []string{"ALTER ROLE %[1]s PASSWORD NULL;"},
		},
	}
}

// groups are about what the roles of sessions are members of.
func groups() []check {
	member := func(names string) string {
		return `SELECT format('%I', d.rolname), format('%I', m.rolname) FROM pg_auth_members a JOIN pg_roles d ON d.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
			WHERE d.rolname IN (` + names + `) AND m.rolname !~ '^pg_' AND EXISTS (
				SELECT FROM pg_roles g WHERE g.rolname ` + inGroups + ` AND pg_has_role(g.oid, m.oid, 'MEMBER')) ORDER BY 1, 2`
	}
	return []check{
		{
			name: "group.server", severity: High, cluster: true, what: "groups that leave the database",
			query: member(`'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', 'pg_create_subscription'`),
			says:  "sessions are members of %[1]s, by %[2]s",
			why:   "COPY then runs programs, or reads and writes files, as the server's account: which is more than a superuser.",
			fix:   []string{"REVOKE %[1]s FROM %[2]s;"},
		},
		{
			name: "group.all", severity: Medium, cluster: true, what: "groups that go through the whole server",
			query: member(`'pg_read_all_data', 'pg_write_all_data', 'pg_maintain', 'pg_signal_backend', 'pg_monitor', 'pg_read_all_stats', 'pg_stat_scan_tables'`),
			says:  "sessions are members of %[1]s, by %[2]s",
			why:   "The grants in the database are the backstop of the policy: this role sees or touches what is in all tables, or in others' sessions.",
			fix:   []string{"REVOKE %[1]s FROM %[2]s;"},
		},
		{
			name: "group.attribute", severity: High, cluster: true, what: "attributes of groups",
			query: `SELECT DISTINCT format('%I', r.rolname), concat_ws(' ', CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
					CASE WHEN r.rolcreatedb THEN 'CREATEDB' END, CASE WHEN r.rolreplication THEN 'REPLICATION' END, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END)
				FROM pg_roles r JOIN pg_roles g ON g.rolname ` + inGroups + ` AND pg_has_role(g.oid, r.oid, 'MEMBER') AND NOT g.rolsuper OR g.oid = r.oid AND g.rolname ` + inGroups + `
				WHERE r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls ORDER BY 1`,
			says: "sessions can become %[1]s, which has %[2]s", why: "SET ROLE takes attributes that are not inherited.",
			fix: []string{"ALTER ROLE %[1]s NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS;"},
		},
		{
			name: "group.elsewhere", severity: Medium, cluster: true, what: "groups in other databases",
			query: `SELECT format('%I', g.rolname), format('%I', d.datname) FROM pg_database d, aclexplode(d.datacl) a JOIN pg_roles g ON g.oid = a.grantee
				WHERE a.privilege_type = 'CONNECT' AND g.rolname ` + inGroups + ` AND d.datname <> current_database() ORDER BY 1, 2`,
			says: "sessions of %[1]s may connect to database %[2]s too",
			why:  "What one leaves there keeps its role from being dropped: a revocation gives away what it owns in one database.",
			fix:  []string{"REVOKE CONNECT ON DATABASE %[2]s FROM %[1]s;"},
		},
		{
			name: "group.login", severity: Medium, cluster: true, what: "groups that log in",
			query: `SELECT format('%I', r.rolname) FROM pg_roles r WHERE r.rolcanlogin AND r.rolname ` + inGroups + ` AND r.rolname NOT ` + inLogins + ` ORDER BY 1`,
			says:  "%[1]s, whose members sessions are, can log in", why: "It is somebody without a session, for whom nothing is recorded and nothing ends.",
			fix: []string{"ALTER ROLE %[1]s NOLOGIN;"},
		},
	}
}
