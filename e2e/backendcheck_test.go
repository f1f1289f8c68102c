package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/e2e/stack"
)

// found is what "backend check --json" prints.
type found struct {
	Databases []struct {
		Database, Error string
		Role            string `json:"role"`
		Findings        []struct {
			Check, Severity, What, Why string
			Fix                        []string
			Kind                       string `json:"fix_kind"`
		}
		Unseen []struct{ Check, What, Why string }
	}
}

// backendCheck runs the command, and looks for its first database.
func backendCheck(t *testing.T, arguments ...string) (out found, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), shared.binary, append([]string{"backend", "check", "--json"}, arguments...)...)
	text, err := cmd.Output()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &out); err != nil || len(out.Databases) == 0 || out.Databases[0].Error != "" {
		t.Fatalf("%v: %s", err, text)
	}
	return out, cmd.ProcessState.ExitCode()
}

// spoiled is everything that the check knows to find, done to a database.
var spoiled = []string{
	"ALTER SYSTEM SET ssl_min_protocol_version = 'TLSv1'", "ALTER SYSTEM SET password_encryption = 'md5'",
	"ALTER SYSTEM SET log_min_duration_statement = 0", "ALTER SYSTEM SET allow_system_table_mods = on", "SELECT pg_reload_conf()",
	"GRANT CREATE ON SCHEMA public TO PUBLIC", "GRANT CONNECT, TEMP ON DATABASE app TO PUBLIC", "GRANT CONNECT ON DATABASE postgres TO PUBLIC",
	"GRANT EXECUTE ON FUNCTION pg_read_file(text) TO PUBLIC", "CREATE TABLE app.open (a int)", "GRANT SELECT ON app.open TO PUBLIC",
	"GRANT UPDATE (name) ON app.customers TO PUBLIC", "GRANT SELECT ON pg_authid TO PUBLIC",
	"ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC",
	"CREATE POLICY nobody ON app.orders USING (false)",
	"CREATE TABLE app.rows (a int)", "ALTER TABLE app.rows OWNER TO app_readwrite", "ALTER TABLE app.rows ENABLE ROW LEVEL SECURITY",
	"CREATE FUNCTION app.all_may() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1'",
	"CREATE FUNCTION app.some_may(text, VARIADIC int[]) RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1'",
	"REVOKE ALL ON FUNCTION app.some_may FROM PUBLIC", "GRANT EXECUTE ON FUNCTION app.some_may TO app_readwrite",
	"CREATE FUNCTION app.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
	"CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION app.watch()",
	"CREATE LANGUAGE wild HANDLER plpgsql_call_handler", "CREATE EXTENSION dblink", "CREATE EXTENSION file_fdw",
	"CREATE FOREIGN DATA WRAPPER bare", "CREATE SERVER far FOREIGN DATA WRAPPER bare", "CREATE USER MAPPING FOR PUBLIC SERVER far",
	"GRANT USAGE ON FOREIGN SERVER far TO PUBLIC",
	"CREATE ROLE extra LOGIN SUPERUSER", "CREATE ROLE bypass LOGIN BYPASSRLS", "CREATE ROLE maker LOGIN CREATEROLE REPLICATION",
	"SET password_encryption = 'md5'", "CREATE ROLE person LOGIN PASSWORD 'of-a-person'",
	"ALTER ROLE app_readwrite LOGIN CREATEDB", "ALTER ROLE app_objects LOGIN",
	"GRANT pg_execute_server_program TO app_readwrite", "GRANT pg_monitor TO app_readonly",
	"GRANT CREATE ON SCHEMA app TO app_readwrite", "GRANT CONNECT ON DATABASE scratch TO app_readwrite",
}

// spoiledHBA are lines that let people in.
const spoiledHBA = `local    all  all     trust
host     all  all     0.0.0.0/0    md5
hostssl  all  person  10.0.0.0/8   password
host     all  person  10.1.0.0/16  trust
host     all  person  10.2.0.0/16  ident
hostnossl all person  127.0.0.2/32 scram-sha-256
hostssl  all  person  127.0.0.3/32 md5
hostssl  all  person  127.0.0.4/32 nonsense
`

// expectedChecks are what must be found then, how often.
var expectedChecks = map[string]int{
	"ssl.version": 1, "password.encryption": 1, "log.statement": 1, "log.duration": 1, "system.tables": 1,
	"public.schema": 1, "public.database": 2, "public.databases": 1, "public.files": 0, "public.large-objects": 3,
	"public.relation": 1, "public.column": 1, "public.catalog": 1, "public.default": 1, "rls.off": 1, "rls.owner": 1,
	"definer.public": 1, "definer.group": 1, "event.trigger": 1, "language.untrusted": 1, "extension": 2, "mapping.public": 1, "server.public": 1,
	"role.superuser": 1, "role.bypassrls": 1, "role.powerful": 1, "role.login": 3, "role.md5": 1, "role.first": 1,
	"group.server": 1, "group.all": 1, "group.attribute": 1, "group.login": 1, "group.elsewhere": 1, "owner.login": 1, "owner.powerful": 1,
	"hba.trust": 2, "hba.others": 1, "hba.password": 1, "hba.ident": 1, "hba.plain": 1, "hba.md5": 2, "hba.error": 1,
}

// TestBackendCheck: a server with everything wrong, of which everything is found, and nothing any more once what is printed was done.
func TestBackendCheck(t *testing.T) {
	spare, err := shared.services.SparePostgres(t.Context(), t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := spare.Stop(); err != nil {
			t.Error(err)
		}
	})
	admin, err := pgx.Connect(t.Context(), spare.DSN(stack.App))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	execute(t, admin, "CREATE ROLE inspector LOGIN SUPERUSER PASSWORD 'of-the-inspector'")
	execute(t, admin, spoiled...)
	hba, err := os.ReadFile(spare.HBA())
	if err != nil {
		t.Fatal(err)
	}
	write(t, spare.HBA(), string(hba)+spoiledHBA)
	config, password := configFor(t, spare), filepath.Join(t.TempDir(), "password")
	write(t, password, "of-the-inspector\n")
	arguments := []string{
		"--config", config, "--user", "inspector", "--password-file", password, "--group", "app_readonly", "--group", "app_readwrite",
		"--expect", "vault", "--expect", "vault_dba", "--expect", "sallyport", stack.App,
	}
	out, status := backendCheck(t, append([]string{"--owner", "app_objects"}, arguments...)...)
	checkFound(t, out, status)
	applyFixes(t, admin, spare, out)
	if out, status = backendCheck(t, append([]string{"--owner", "app_owner"}, arguments...)...); status != 1 || !slices.Contains(checksOf(out), "owner.powerful") {
		t.Errorf("status %d, and of an owner who owns the schema: %q", status, checksOf(out))
	}
	out, _ = backendCheck(t, append([]string{"--owner", "app_objects"}, arguments...)...)
	for _, f := range out.Databases[0].Findings {
		if !strings.HasPrefix(f.Check, "release.") {
			t.Errorf("still there: %s: %s", f.Check, f.What)
		}
	}
}

// configFor is the shared gateway's configuration, for another cluster.
func configFor(t *testing.T, pg *stack.Postgres) string {
	t.Helper()
	text, err := os.ReadFile(shared.gateway.Config)
	if err != nil {
		t.Fatal(err)
	}
	old, next := "port: "+strconv.Itoa(shared.services.Postgres.Port), "port: "+strconv.Itoa(pg.Port)
	path := filepath.Join(filepath.Dir(shared.gateway.Config), "spare.yaml") // whose paths are relative to it
	write(t, path, strings.ReplaceAll(string(text), old, next))
	return path
}

func checksOf(out found) (checks []string) {
	for _, f := range out.Databases[0].Findings {
		checks = append(checks, f.Check)
	}
	return checks
}

func checkFound(t *testing.T, out found, status int) {
	t.Helper()
	if status != 1 || len(out.Databases[0].Unseen) > 0 || out.Databases[0].Role != "inspector" {
		t.Errorf("status %d, looked at by %s, %v not seen", status, out.Databases[0].Role, out.Databases[0].Unseen)
	}
	counts := make(map[string]int)
	for _, f := range out.Databases[0].Findings {
		counts[f.Check]++
		if f.Severity == "" || f.Why == "" || len(f.Fix) == 0 || strings.Contains(f.What+strings.Join(f.Fix, ""), "%!") {
			t.Errorf("incomplete: %+v", f)
		}
	}
	if counts["public.files"] < 2 { // dblink comes in many forms
		t.Errorf("%d functions that reach out of the database", counts["public.files"])
	}
	delete(counts, "public.files")
	for check, want := range expectedChecks {
		if counts[check] != want && check != "public.files" {
			t.Errorf("%s is found %d times, want %d", check, counts[check], want)
		}
		delete(counts, check)
	}
	for check := range counts {
		if !strings.HasPrefix(check, "release.") {
			t.Errorf("%s was not expected", check)
		}
	}
}

// lineNumber is in what is said of a line of pg_hba.conf.
var lineNumber = regexp.MustCompile(`^line (\d+) of `)

// applyFixes does what is printed, as somebody would.
func applyFixes(t *testing.T, admin *pgx.Conn, pg *stack.Postgres, out found) {
	t.Helper()
	text, err := os.ReadFile(pg.HBA())
	if err != nil {
		t.Fatal(err)
	}
	hba := strings.Split(string(text), "\n")
	for _, f := range out.Databases[0].Findings {
		switch {
		case f.Kind == "sql":
			execute(t, admin, f.Fix...)
		case lineNumber.MatchString(f.What):
			n, err := strconv.Atoi(lineNumber.FindStringSubmatch(f.What)[1])
			if err != nil {
				t.Fatal(err)
			}
			hba[n-1] = map[bool]string{true: f.Fix[0], false: ""}[f.Kind == "pg_hba.conf"]
		case f.Check == "role.md5":
			execute(t, admin, "SET password_encryption = 'scram-sha-256'", "ALTER ROLE person PASSWORD 'another'")
		}
	}
	write(t, pg.HBA(), strings.Join(hba, "\n"))
	execute(t, admin, "SELECT pg_reload_conf()")
}

// TestBackendCheckBySession: with a credential of the gateway's own, what it may not see is said to be unseen, and nothing is left.
func TestBackendCheckBySession(t *testing.T) {
	before := value(t, superuser(t, stack.App), "SELECT count(*)::text FROM pg_roles WHERE rolname ~ '^v-'")
	out, status := backendCheck(t, "--config", shared.gateway.Config)
	if status != 1 || len(out.Databases) != 2 || !strings.HasPrefix(out.Databases[0].Role, "v-") {
		t.Errorf("status %d: %+v", status, out)
	}
	var unseen []string
	for _, u := range out.Databases[0].Unseen {
		unseen = append(unseen, u.Check)
		if !strings.Contains(u.Why, "permission denied") {
			t.Errorf("%s: %s", u.Check, u.Why)
		}
	}
	if !slices.Equal(unseen, []string{"role.md5", "role.first", "hba"}) {
		t.Errorf("not seen: %q", unseen)
	}
	if !slices.Contains(checksOf(out), "log.statement") {
		t.Errorf("found: %q", checksOf(out))
	}
	for _, f := range out.Databases[1].Findings {
		if f.Check == "log.statement" {
			t.Error("what is the server's is said of two of its databases")
		}
	}
	if after := value(t, superuser(t, stack.App), "SELECT count(*)::text FROM pg_roles WHERE rolname ~ '^v-'"); after != before {
		t.Errorf("there were %s roles of sessions and are %s", before, after)
	}
	text, status := sallyport(t, "backend", "check", "--config", shared.gateway.Config, stack.App)
	if status != 1 || !strings.Contains(text, "not seen, for v-") || !strings.Contains(text, "sql: ALTER SYSTEM SET log_statement = 'none';") {
		t.Errorf("status %d:\n%s", status, text)
	}
}

// TestBackendCheckByDSN: a connection string comes from a file, and no secret of it is printed.
func TestBackendCheckByDSN(t *testing.T) {
	dsn := filepath.Join(t.TempDir(), "dsn")
	write(t, dsn, shared.services.Postgres.DSN("postgres")+"\n")
	out, _ := backendCheck(t, "--config", shared.gateway.Config, "--dsn-file", dsn, stack.Scratch)
	if out.Databases[0].Role != "postgres" || len(out.Databases[0].Unseen) > 0 {
		t.Errorf("%+v", out)
	}
	write(t, dsn, "postgresql://somebody:hidden@localhost:bad/")
	text, status := sallyport(t, "backend", "check", "--config", shared.gateway.Config, "--dsn-file", dsn, stack.Scratch)
	if status != 2 || strings.Contains(text, "hidden") {
		t.Errorf("status %d:\n%s", status, text)
	}
}
