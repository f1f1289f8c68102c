package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/e2e/openid"
	"github.com/sallyport/sallyport/e2e/stack"
)

// envFile is where scripts find the running demo. The names in it do not change.
const envFile = "demo.env"

// variables are the contract with scripts.
func (d *demo) variables() [][2]string {
	s, g := d.services, d.gateway
	variables := [][2]string{
		{"PGHOST", "localhost"},
		{"PGPORT", strconv.Itoa(g.Port)},
		{"PGDATABASE", stack.App},
		{"PGSSLMODE", "verify-full"},
		{"PGSSLROOTCERT", g.CAFile},
		{"ANALYST_USER", stack.Analyst},
		{"ANALYST_TOKEN", d.tokens[stack.Analyst]},
		{"ENGINEER_USER", stack.Engineer},
		{"ENGINEER_TOKEN", d.tokens[stack.Engineer]},
		{"DBA_USER", stack.DBA},
		{"DBA_TOKEN", d.tokens[stack.DBA]},
		{"OAUTH_USER", stack.OAuth},
		{"OAUTH_TOKEN", d.tokens[stack.OAuth]},
		{"SCRAM_USER", stack.Service},
		{"SCRAM_PASSWORD", g.ServicePassword},
		{"MD5_USER", stack.Legacy},
		{"MD5_PASSWORD", g.LegacyPassword},
		{"CERT_USER", stack.Batch},
		{"PGSSLCERT_FILE", s.BatchCertificate},
		{"PGSSLKEY_FILE", s.BatchKey},
		{"BACKEND_DSN", s.Postgres.DSN(stack.App)},
		{"BACKEND_LOG", s.Postgres.Log},
		{"OIDC_ISSUER", s.OpenID.Issuer()},
		{"OIDC_CLIENT_ID", openid.ClientID},
		{"OIDC_CA_FILE", s.CAFile},
		{"ADMIN_URL", g.AdminURL},
		{"ADMIN_TOKEN", g.AdminToken},
		{"OPERATOR_TOKEN", d.operator},
		{"AUDIT_LOG", g.Audit},
		{"CONFIG", g.Config},
		{"GATEWAY_PID", strconv.Itoa(g.PID())},
		{"GATEWAY_LOG", g.Log},
	}
	if s.Vault != nil {
		variables = append(variables, [2]string{"VAULT_ADDR", s.Vault.Address}, [2]string{"VAULT_TOKEN", s.Vault.Token})
	}
	return variables
}

// writeEnv makes the file appear at once: it holds secrets, and scripts wait for it.
func writeEnv(path string, variables [][2]string) error {
	var text strings.Builder
	for _, v := range variables {
		fmt.Fprintf(&text, "%s=%s\n", v[0], quote(v[1]))
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// quote makes one word of a value for any POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// describe prints what is running and what to try.
func (d *demo) describe(out io.Writer) {
	s, g := d.services, d.gateway
	vault := "none: the gateway makes the roles of its sessions itself"
	if s.Vault != nil {
		vault = s.Vault.Address
	}
	for _, line := range [][2]string{
		{"Sallyport", fmt.Sprintf("localhost:%d, databases app and scratch", g.Port)},
		{"admin", g.AdminURL},
		{"PostgreSQL", fmt.Sprintf("127.0.0.1:%d (%s)", s.Postgres.Port, s.Postgres.Bin)},
		{"Vault", vault},
		{"OpenID provider", fmt.Sprintf("%s (everyone's password is %q)", s.OpenID.Issuer(), stack.Password)},
		{"files", d.dir},
	} {
		fmt.Fprintf(out, "  %-16s %s\n", line[0], line[1])
	}
	fmt.Fprint(out, "\nTry, in another terminal:\n\n")
	for _, c := range d.commands() {
		fmt.Fprintf(out, "# %s\n%s\n\n", c[0], c[1])
	}
	fmt.Fprintln(out, "Ctrl-C stops and removes everything.")
}

// commands are self-contained lines to paste.
func (d *demo) commands() [][2]string {
	load := "set -a; . " + quote(filepath.Join(d.dir, envFile)) + "; "
	psql := func(who, statement string) string {
		return fmt.Sprintf(`(%sPGUSER=$%s_USER PGPASSWORD=$%s_TOKEN psql -c "%s")`, load, who, who, statement)
	}
	return [][2]string{
		{"an analyst reads", psql("ANALYST", "SELECT * FROM order_totals ORDER BY amount DESC LIMIT 3")},
		{"an engineer changes a row", psql("ENGINEER", "UPDATE orders SET status = 'shipped' WHERE id = 42 RETURNING *")},
		{"an analyst is denied", psql("ANALYST", "SELECT * FROM secrets")},
		{"what the audit log says of it", fmt.Sprintf(`(%sgrep 'FROM secrets' "$AUDIT_LOG" | tail -n 1)`, load)},
		{"who is connected", fmt.Sprintf(`(%scurl -s -H "Authorization: Bearer $ADMIN_TOKEN" "$ADMIN_URL/sessions")`, load)},
	}
}

func (d *demo) restartCommand() string {
	return quote(filepath.Join(filepath.Dir(d.dir), "bin", "sallyport")) + " serve --config " + quote(d.gateway.Config)
}
