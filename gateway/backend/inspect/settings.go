package inspect

// settings are about the server's configuration.
func settings() []check {
	set := func(name, value string) []string {
		return []string{"ALTER SYSTEM SET " + name + " = " + value + ";", reload}
	}
	is := func(name, condition string) string {
		return `SELECT s.setting FROM pg_settings s WHERE s.name = '` + name + `' AND s.setting ` + condition
	}
	all := []check{
		{
			name: "ssl.off", severity: High, what: "ssl", query: is("ssl", "<> 'on'"), says: "ssl is %[1]s",
			why: "Without TLS the gateway opens no session, and others send what they have in the clear.",
			fix: set("ssl", "on"),
		},
		{
			name: "ssl.version", severity: Medium, what: "ssl_min_protocol_version", query: is("ssl_min_protocol_version", "IN ('TLSv1', 'TLSv1.1', '')"),
			says: "ssl_min_protocol_version is %[1]q", why: "TLS before 1.2 is broken. The gateway does not speak it; others could be made to.",
			fix: set("ssl_min_protocol_version", "'TLSv1.2'"),
		},
		{
			name: "ssl.ca", severity: Medium, what: "ssl_ca_file", query: is("ssl_ca_file", "= ''"), says: "ssl_ca_file is not set%.0[1]s",
			why:  "Without it PostgreSQL can ask nobody for a certificate: a stolen credential is good without the gateway's.",
			fix:  []string{"put the certificate that signs the gateway's into a file, set ssl_ca_file to it, and add clientcert=verify-ca to the lines of pg_hba.conf"},
			kind: Command,
		},
		{
			name: "password.encryption", severity: High, what: "password_encryption", query: is("password_encryption", "<> 'scram-sha-256'"),
			says: "password_encryption is %[1]s", why: "Whoever reads pg_authid or a backup can log in with an MD5 hash as it is, and the gateway accepts SCRAM only.",
			fix: set("password_encryption", "'scram-sha-256'"),
		},
		{
			name: "password.iterations", severity: Medium, what: "scram_iterations", query: is("scram_iterations", "::int < 4096"),
			says: "scram_iterations is %[1]s", why: "RFC 7677 asks for 4096 at least, and the gateway refuses less: it could not log in.",
			fix: set("scram_iterations", "4096"),
		},
		{
			name: "log.statement", severity: Medium, what: "log_statement", query: is("log_statement", "<> 'none'"), says: "log_statement is %[1]s",
			why: "CREATE ROLE … PASSWORD is written to the log as it came, a password in the clear if Vault sends one. The gateway's audit log has the statements of its sessions already.",
			fix: set("log_statement", "'none'"),
		},
		{
			name: "log.duration", severity: Low, what: "log_min_duration_statement", query: is("log_min_duration_statement", "<> '-1'"),
			says: "log_min_duration_statement is %[1]s", why: "A CREATE ROLE … PASSWORD that takes so long is written to the log as it came.",
			fix: set("log_min_duration_statement", "-1"),
		},
		{
			name: "system.tables", severity: High, what: "allow_system_table_mods", query: is("allow_system_table_mods", "<> 'off'"),
			says: "allow_system_table_mods is %[1]s", why: "The catalogs, which say who may do what, can be written like tables.",
			fix: set("allow_system_table_mods", "off"),
		},
	}
	for n := range all {
		all[n].cluster = true
	}
	return all
}
