package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn/md5"
	"github.com/sallyport/sallyport/e2e/stack"
)

// backendMethods are what a backend may ask for, in the order of README.md. Each is a database of that name at the matrix's gateway;
// all of them are the same one at PostgreSQL.
var backendMethods = []string{"scram-sha-256", "scram-sha-256-plus", "md5", "cert"}

// useless is what a client hears whose credential is of no use at the backend.
const useless = "08004 the database refused the session"

// clientMethod is a row of the matrix: how a client comes in, and where it does not.
type clientMethod struct {
	name    string // as README.md has it
	method  string // the rule's
	account string // "": roles of PostgreSQL's own
	options map[string]string
	refused map[string]string // by backend method: SQLSTATE and message
}

func clientMethods() []clientMethod {
	return []clientMethod{
		{"`scram-sha-256`", "scram-sha-256", stack.Service, binding("disable"), nil},
		{"`scram-sha-256`, bound", "scram-sha-256", stack.Service, binding("require"), nil},
		{"`md5`", "md5", stack.Legacy, nil, nil},
		{"`oidc`", "oidc", stack.Analyst, nil, nil},
		{"`oauthbearer`", "oauthbearer", stack.Engineer, nil, nil},
		{"`cert`", "cert", stack.Batch, files(shared.services.BatchCertificate, shared.services.BatchKey), nil},
		{"`pass-through-password`", "pass-through-password", "", nil, map[string]string{"cert": useless}},
		{
			"`pass-through-scram-sha-256`", "pass-through-scram-sha-256", "", binding("disable"),
			map[string]string{"scram-sha-256-plus": useless, "md5": useless, "cert": useless},
		},
		{
			"`pass-through-md5`", "pass-through-md5", "", nil,
			map[string]string{"scram-sha-256": useless, "scram-sha-256-plus": useless, "cert": useless},
		},
	}
}

// TestMatrix runs every method of clients against every method of backends. Each cell is a session that is allowed one statement and
// denied another, or an error that is known.
func TestMatrix(t *testing.T) {
	own := ownRoles(t)
	g := matrixGateway(t, own)
	for _, client := range clientMethods() {
		for _, backend := range backendMethods {
			t.Run(strings.ReplaceAll(client.name, "`", "")+"/"+backend, func(t *testing.T) {
				c := cell{t, g, client, backend, login{
					gateway: g, account: client.account, database: backend, options: client.options, application: client.name + " " + backend,
				}}
				if client.account == "" {
					c.login.account, c.login.password = own.role(client.method, backend), own.password
				}
				if want := client.refused[backend]; want != "" {
					c.refused(want)
					return
				}
				c.works()
			})
		}
	}
}

// TestMatrixIsDocumented: README.md shows what TestMatrix finds.
func TestMatrixIsDocumented(t *testing.T) {
	var table strings.Builder
	fmt.Fprintf(&table, "| client ╲ backend | `%s` |\n|---|%s\n", strings.Join(backendMethods, "` | `"), strings.Repeat("---|", len(backendMethods)))
	for _, client := range clientMethods() {
		fmt.Fprintf(&table, "| %s |", client.name)
		for _, backend := range backendMethods {
			state, _, _ := strings.Cut(client.refused[backend], " ")
			if state == "" {
				state = "yes"
			}
			fmt.Fprintf(&table, " %s |", state)
		}
		table.WriteByte('\n')
	}
	readme, err := os.ReadFile(filepath.Join(shared.root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), table.String()) {
		t.Errorf("README.md has not this table:\n%s", table.String())
	}
}

// roles are PostgreSQL's own, with a password that people know: one for each way to pass it through and each way to store it.
type roles struct{ password string }

func (r roles) role(method, backend string) string {
	stored := "scram"
	if backend == "md5" {
		stored = "md5"
	}
	return "own_" + strings.ReplaceAll(strings.TrimPrefix(method, "pass-through-"), "-", "_") + "_" + stored
}

func (r roles) all() []string {
	var all []string
	for _, client := range clientMethods() {
		for _, backend := range backendMethods {
			if name := r.role(client.method, backend); client.account == "" && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

func ownRoles(t *testing.T) roles {
	t.Helper()
	r := roles{password: "a password of one's own"}
	for _, name := range r.all() {
		stored, groups := verifier(t, name, r.password), "app_readonly"
		if strings.HasSuffix(name, "_md5") {
			secret, err := md5.NewSecret(name, r.password)
			if err != nil {
				t.Fatal(err)
			}
			stored, groups = secret.Encode(), "app_readonly, by_md5"
		}
		role(t, name, fmt.Sprintf("LOGIN PASSWORD '%s' IN ROLE %s", stored, groups))
	}
	return r
}

// verifier is what PostgreSQL stores of a password.
func verifier(t *testing.T, name, password string) string {
	t.Helper()
	line, err := stack.UserlistLine(name, password)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(line, `"`)[3]
}

// role makes a role for the time of the test.
func role(t *testing.T, name, attributes string) {
	t.Helper()
	conn := superuser(t, stack.App)
	quoted := pgx.Identifier{name}.Sanitize()
	execute(t, conn, "CREATE ROLE "+quoted+" "+attributes)
	t.Cleanup(func() {
		execute(t, superuser(t, stack.App), "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '"+name+"'",
			"DROP OWNED BY "+quoted, "DROP ROLE "+quoted)
	})
}

// matrixGateway has a database for each method of backends, and a rule for each of clients.
func matrixGateway(t *testing.T, own roles) *stack.Gateway {
	t.Helper()
	accounts := map[string]string{}
	return ownGateway(t, func(c *stack.GatewayConfig) {
		for _, method := range backendMethods {
			db := c.Databases[stack.App]
			db.Name, db.Method = stack.App, method
			db.VaultRoles = map[string]string{"readonly": map[string]string{"md5": "legacy-readonly", "cert": "app-certified"}[method]}
			if db.VaultRoles["readonly"] == "" {
				db.VaultRoles["readonly"] = "app-readonly"
			}
			if method == "md5" || method == "cert" {
				db.Catalog = &stack.CatalogConfig{VaultRole: db.VaultRoles["readonly"]} // one that comes the same way
			}
			c.Databases[method] = db
		}
		var rules []stack.RuleConfig
		for _, client := range clientMethods() {
			rule := stack.RuleConfig{Method: client.method, Users: []string{client.account}}
			if client.account == "" {
				rule.Users = slices.DeleteFunc(own.all(), func(name string) bool {
					return name != own.role(client.method, "md5") && name != own.role(client.method, "")
				})
			}
			if client.method == "oidc" || client.method == "oauthbearer" {
				rule.Issuer = "demo"
			}
			for _, user := range rule.Users {
				accounts[user] = client.method
			}
			rules = append(rules, rule)
		}
		c.Authentication.Rules = rules
		c.Policy.Directory = readersPolicy(t, accounts, append([]string{stack.App}, backendMethods...))
	})
}

// readersPolicy is the default one with other data: these accounts, each by one method, read all but the secrets.
func readersPolicy(t *testing.T, accounts map[string]string, databases []string) string {
	t.Helper()
	directory := filepath.Join(t.TempDir(), "policies")
	if err := os.CopyFS(directory, os.DirFS(filepath.Join(shared.root, "policies"))); err != nil {
		t.Fatal(err)
	}
	var data strings.Builder
	data.WriteString("access:\n  groups: {}\n  accounts:\n")
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		fmt.Fprintf(&data, "    %q: {role: readonly, methods: [%s]}\n", name, accounts[name])
	}
	data.WriteString("  roles:\n    readonly:\n      read_only: true\n      databases:\n")
	for _, name := range databases {
		fmt.Fprintf(&data, "        %q: {schemas: {app: {relations: {\"*\": [select], secrets: []}}}}\n", name)
	}
	write(t, filepath.Join(directory, "data.yaml"), data.String())
	return directory
}

// cell is one of the matrix.
type cell struct {
	*testing.T
	gateway *stack.Gateway
	client  clientMethod
	backend string
	login   login
}

// works: a session, a statement that is allowed, one that is denied, and another one after it. The audit log knows whose it was.
func (c cell) works() {
	c.Helper()
	user := c.asks("SELECT current_user::text", "SELECT * FROM secrets", "SELECT (count(*) >= 8000)::text FROM orders")
	passed := c.client.account == ""
	if passed && user != c.login.account || !passed && !strings.HasPrefix(user, "v-") {
		c.Errorf("the session's role is %s", user)
	}
	all := ended(c.T, c.gateway, c.login.application)
	statements := 0
	for _, e := range all {
		switch e.Type {
		case "connect":
			credential := map[bool]string{true: "client", false: "vault"}[passed]
			if e.Method != c.client.method || e.User != c.login.account || !e.Allow || e.BackendRole != user || e.Credential != credential || (e.Lease == "") != passed {
				c.Errorf("connect: %+v", e)
			}
		case "statement":
			statements++
			if e.Method != c.client.method || e.BackendRole != user || (e.Lease == "") != passed {
				c.Errorf("statement: %+v", e)
			}
		case "session_end":
			if (e.Revocation == "none") != passed {
				c.Errorf("session_end: %+v", e)
			}
		}
	}
	if count(all, "connect") != 1 || statements < 3 {
		c.Errorf("events: %s", sequence(all))
	}
	c.cameIn(user)
}

// cameIn: PostgreSQL let the role in by the method that it should. By a certificate the role itself has proved nothing.
func (c cell) cameIn(user string) {
	c.Helper()
	authenticated := regexp.MustCompile(`connection authenticated: identity="` + regexp.QuoteMeta(user) + `" method=(\S+)`)
	got := authenticated.FindStringSubmatch(backendLog(c.T))
	want := strings.TrimSuffix(c.backend, "-plus")
	if c.backend == "cert" && got != nil || c.backend != "cert" && (got == nil || got[1] != want) {
		c.Errorf("PostgreSQL's log says %q, want %s", got, want)
	}
}

// asks runs a query for a value, one that must be denied, and one that must say true; it returns the value.
func (c cell) asks(value, denied, truth string) string {
	c.Helper()
	if c.client.method == "oauthbearer" {
		return c.asksByToken(value, denied, truth)
	}
	conn, err := c.login.open(c.T)
	if err != nil {
		c.Fatal(err)
	}
	defer func() { _ = conn.Close(c.Context()) }()
	var got, last string
	if err := conn.QueryRow(c.Context(), value).Scan(&got); err != nil {
		c.Fatal(err)
	}
	if _, err := conn.Exec(c.Context(), denied); sqlstate(c.T, err) != "42501" {
		c.Errorf("%s: %v, want 42501", denied, err)
	}
	if err := conn.QueryRow(c.Context(), truth).Scan(&last); err != nil || last != "true" {
		c.Errorf("%s: %s, %v", truth, last, err)
	}
	return got
}

// asksByToken does it over a connection by hand: no driver here speaks OAUTHBEARER.
func (c cell) asksByToken(value, denied, truth string) string {
	c.Helper()
	r := directly(c.T, c.gateway)
	r.write(c.T, startup("user", c.login.account, "database", c.backend, "application_name", c.login.application))
	next[*pgproto3.AuthenticationSASL](c.T, r)
	r.initial(c.T, bearer(shared.tokens[c.login.account]))
	r.in(c.T)
	defer func() { r.send(c.T, &pgproto3.Terminate{}) }()
	ask := func(text string) string {
		r.send(c.T, &pgproto3.Query{String: text})
		said := ""
		for {
			m, err := r.Receive()
			if err != nil {
				c.Fatal(err)
			}
			switch m := m.(type) {
			case *pgproto3.DataRow:
				said += string(m.Values[0])
			case *pgproto3.ErrorResponse:
				said += m.Code
			case *pgproto3.ReadyForQuery:
				return said
			}
		}
	}
	got := ask(value)
	if said := ask(denied); said != "42501" {
		c.Errorf("%s: %s, want 42501", denied, said)
	}
	if said := ask(truth); said != "true" {
		c.Errorf("%s: %s", truth, said)
	}
	return got
}

// refused: exactly this error and no session. The log tells the operator why.
func (c cell) refused(want string) {
	c.Helper()
	_, err := c.login.open(c.T)
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) || refusal.Severity+" "+refusal.Code+" "+refusal.Message != "FATAL "+want {
		c.Errorf("got %v, want %s", err, want)
	}
	all := ended(c.T, c.gateway, c.login.application)
	if count(all, "connect") != 0 {
		c.Errorf("events: %s", sequence(all))
	}
	why := fmt.Sprintf("a credential that comes by %s cannot be used where the backend may ask for %s", c.client.method, c.backend)
	logged(c.T, c.gateway, all[0].Session, why)
}

// logged waits until the gateway's log says something of a session.
func logged(t *testing.T, g *stack.Gateway, session, text string) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		log, err := os.ReadFile(g.Log)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, session) && strings.Contains(strings.ReplaceAll(line, `\"`, ""), text) {
				return nil
			}
		}
		return fmt.Errorf("the log of session %s does not say %q", session, text)
	})
}
