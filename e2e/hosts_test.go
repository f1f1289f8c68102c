package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/e2e/stack"
)

// replicated is a cluster with a standby, and a gateway before them.
type replicated struct {
	services *stack.Services
	primary  *stack.Postgres
	standby  *stack.Postgres
	gateway  *stack.Gateway
}

// replicate starts one of its own, which a test may break. Everybody's sessions are at the primary, but for those that policy gives the route
// replica: the readonly role's. The standby is localhost to the gateway, the primary 127.0.0.1: so the audit log tells them apart.
func replicate(t *testing.T, edit func(*stack.GatewayConfig), expected ...string) *replicated {
	t.Helper()
	r := replicating(t, stack.Config{WithoutVault: true})
	r.start(t, edit, expected)
	return r
}

// replicating starts the cluster and the standby alone.
func replicating(t *testing.T, cfg stack.Config) *replicated {
	t.Helper()
	dir := t.TempDir()
	var r replicated
	var err error
	cfg.Root, cfg.Dir = shared.root, dir
	if r.services, err = stack.Start(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.services.Stop(); err != nil {
			t.Error(err)
		}
	})
	r.primary = r.services.Postgres
	if r.standby, err = r.primary.StartStandby(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.standby.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &r
}

func (r *replicated) start(t *testing.T, edit func(*stack.GatewayConfig), expected []string) {
	t.Helper()
	hosts := []string{fmt.Sprintf("localhost:%d", r.standby.Port), fmt.Sprintf("127.0.0.1:%d", r.primary.Port)}
	options := stack.GatewayOptions{Dir: t.TempDir(), Binary: shared.binary, EditPolicies: routeReaders, Edit: func(c *stack.GatewayConfig) {
		for name, database := range c.Databases {
			database.Host, database.Port, database.Hosts, database.Target = "", 0, hosts, "primary"
			database.Routes = map[string]stack.RouteConfig{"replica": {Target: "prefer-standby"}}
			c.Databases[name] = database
		}
		if edit != nil {
			edit(c)
		}
	}}
	var err error
	if r.gateway, err = r.services.StartGateway(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.gateway.Stop(); err != nil {
			t.Error(err)
		}
		if err := checkLog(r.gateway.Log, expected...); err != nil {
			t.Error(err)
		}
	})
}

// notOnTheReplica is a rule by where a session is.
const notOnTheReplica = `package sallyport.statement

reasons contains "payments are read at the primary" if {
	input.session.route == "replica"
	some statement in input.statement.statements
	some relation in statement.relations
	relation.name == "payments"
}
`

// routeReaders has the policy send the readonly role's sessions of app to the replica, and keep them from payments there.
func routeReaders(directory string) error {
	file := filepath.Join(directory, "data.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	const reads = "      read_only: true\n      databases:\n        app:\n"
	if strings.Count(string(data), reads) != 1 {
		return fmt.Errorf("%s is not as it was", file)
	}
	if err := os.WriteFile(filepath.Join(directory, "replica.rego"), []byte(notOnTheReplica), 0o600); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strings.Replace(string(data), reads, reads+"          route: replica\n", 1)), 0o600)
}

func (r *replicated) login(t *testing.T, account string) login {
	t.Helper()
	tokens, err := r.services.Login(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	return login{gateway: r.gateway, account: account, password: tokens.ID}
}

// recovering says whether a session is a standby's.
func recovering(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	return value(t, conn, "SELECT pg_is_in_recovery()::text")
}

// atStandby connects at the standby. On a machine that is so busy that this takes longer to replay a role than it is waited for, the primary
// serves: then again.
func atStandby(t *testing.T, l login) (conn *pgx.Conn) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		conn = l.connect(t)
		if got := recovering(t, conn); got != "true" {
			_ = conn.Close(t.Context())
			return fmt.Errorf("in recovery: %s", got)
		}
		return nil
	})
	return conn
}

// TestRoutesByPolicy: policy sends readers to the standby and the others to the primary, by the same name; each with a role that was made a
// moment before, on the primary.
func TestRoutesByPolicy(t *testing.T) {
	t.Parallel()
	r := replicate(t, nil)
	engineer, analyst := r.login(t, stack.Engineer), r.login(t, stack.Analyst)
	for range 5 {
		writes, reads := engineer.connect(t), atStandby(t, analyst)
		if got := recovering(t, writes); got != "false" {
			t.Fatalf("in recovery: %s", got)
		}
		product := backendRole(t, writes) // no two sessions leave the same
		execute(t, writes, "UPDATE orders SET product = '"+product+"' WHERE id = 1")
		eventually(t, 5*time.Second, func() error {
			if got := value(t, reads, "SELECT product FROM orders WHERE id = 1"); got != product {
				return fmt.Errorf("the standby has %q", got)
			}
			return nil
		})
		for conn, want := range map[*pgx.Conn]string{writes: "", reads: "42501"} {
			if _, err := conn.Exec(t.Context(), "SELECT amount FROM payments LIMIT 1"); sqlstate(t, err) != want {
				t.Errorf("payments: got %v, want %q", err, want)
			}
			_ = conn.Close(t.Context())
		}
	}
	audit := read(t, r.gateway.Audit)
	for account, want := range map[string]string{
		stack.Analyst:  fmt.Sprintf(`"route":"replica",.*"backend_host":"(localhost","backend_address":"[^"]*:%d|127.0.0.1",)`, r.standby.Port),
		stack.Engineer: fmt.Sprintf(`"backend_host":"127.0.0.1","backend_address":"127.0.0.1:%d"`, r.primary.Port),
	} {
		line := regexp.MustCompile(`(?m)^.*"type":"connect".*"user":"` + regexp.QuoteMeta(account) + `".*$`)
		lines := line.FindAllString(audit, -1)
		if len(lines) < 5 {
			t.Errorf("%s: %d connect events", account, len(lines))
		}
		for _, line := range lines {
			if !regexp.MustCompile(want).MatchString(line) || account == stack.Engineer && strings.Contains(line, `"route"`) {
				t.Errorf("%s: want %s in\n%s", account, want, line)
			}
		}
	}
}

// TestReplicaLag: a standby that is behind does not know a new session's role. It is waited for, a little, and then the primary serves.
func TestReplicaLag(t *testing.T) {
	t.Parallel()
	r := replicate(t, nil)
	analyst := r.login(t, stack.Analyst)
	standby, err := pgx.Connect(t.Context(), r.standby.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer standby.Close(t.Context())
	atStandby(t, analyst)
	execute(t, standby, "SELECT pg_wal_replay_pause()")
	if got := recovering(t, analyst.connect(t)); got != "false" {
		t.Errorf("a role that the standby does not have: in recovery: %s", got)
	}
	execute(t, standby, "SELECT pg_wal_replay_resume()")
	atStandby(t, analyst)
}

// TestCancelReachesTheHost: a cancel request goes to the server that runs the session, not to the first of the list.
func TestCancelReachesTheHost(t *testing.T) {
	r := replicate(t, nil)
	for account, server := range map[string]*stack.Postgres{stack.Engineer: r.primary, stack.Analyst: r.standby} {
		var conn *pgx.Conn
		if l := r.login(t, account); server == r.standby {
			conn = atStandby(t, l)
		} else {
			conn = l.connect(t)
		}
		done := make(chan error, 1)
		go func() {
			_, err := conn.Exec(t.Context(), "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b")
			done <- err
		}()
		eventually(t, 10*time.Second, func() error {
			direct, err := pgx.Connect(t.Context(), server.DSN(stack.App))
			if err != nil {
				return err
			}
			defer direct.Close(t.Context())
			if n := value(t, direct, "SELECT count(*)::text FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%100000%1000000%' AND pid <> pg_backend_pid()"); n != "1" {
				return fmt.Errorf("%s run there", n)
			}
			return nil
		})
		if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; sqlstate(t, err) != "57014" {
			t.Errorf("%s: %v", account, err)
		}
	}
}

// TestRouteWithCredentialsOfItsOwn: a route may be served by database users that nobody has to make, on a standby that is all it names; and
// goes on while there is no primary at all.
func TestRouteWithCredentialsOfItsOwn(t *testing.T) {
	var r *replicated
	password := filepath.Join(t.TempDir(), "reporter.password")
	write(t, password, "reporters-password\n")
	r = replicate(t, func(c *stack.GatewayConfig) {
		app := c.Databases[stack.App]
		app.Routes["replica"] = stack.RouteConfig{
			Hosts: app.Hosts[:1], Target: "standby", Credentials: "static",
			Catalog: &stack.CatalogConfig{Account: "readonly"},
			Static:  &stack.StaticConfig{Accounts: map[string]stack.AccountConfig{"readonly": {User: "reporter", PasswordFile: password}}},
		}
	}, provisioningLost)
	primary, err := pgx.Connect(t.Context(), r.primary.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer primary.Close(t.Context())
	execute(t, primary, "CREATE ROLE reporter LOGIN IN ROLE app_readonly PASSWORD 'reporters-password'")
	if err := r.standby.CaughtUp(t.Context(), r.primary); err != nil {
		t.Fatal(err)
	}
	analyst := r.login(t, stack.Analyst)
	for _, where := range []string{"with a primary", "without one"} {
		catalogOf(t, r.gateway, "app.routes.replica")
		conn := analyst.connect(t)
		if got := value(t, conn, "SELECT current_user || ' ' || pg_is_in_recovery()"); got != "reporter true" {
			t.Errorf("%s: %s", where, got)
		}
		value(t, conn, "SELECT product FROM orders WHERE id = 1") // which the route's own catalog knows
		if where == "with a primary" {
			if err := r.primary.Crash(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := analyst.open(t); sqlstate(t, err) != "57P03" {
		t.Errorf("a route to standbys takes a primary: %v", err)
	}
}

// catalogOf waits until names are known by a place's catalog.
func catalogOf(t *testing.T, g *stack.Gateway, place string) {
	t.Helper()
	known := regexp.MustCompile(`(?m)^sallyport_catalog_generation\{database="` + regexp.QuoteMeta(place) + `"\} [1-9]`)
	eventually(t, 30*time.Second, func() error {
		if _, body := ask(t, g, http.MethodGet, "/metrics", ""); !known.MatchString(body) {
			return errors.New("the catalog was not read")
		}
		return nil
	})
}

// TestDatabaseLimit: more clients than a database may have sessions wait for each other, one that is killed while it waits is forgotten, and
// a reload lets more of them in.
func TestDatabaseLimit(t *testing.T) {
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		app := c.Databases[stack.App]
		app.MaxSessions, app.Queue = 2, "3s"
		c.Databases[stack.App] = app
	})
	metric := func(name string) string {
		_, body := ask(t, g, http.MethodGet, "/metrics", "")
		match := regexp.MustCompile(`(?m)^sallyport_database_` + name + `\{database="app",route=""\} (\d+)$`).FindStringSubmatch(body)
		if match == nil {
			t.Fatalf("no %s in\n%s", name, body)
		}
		return match[1]
	}
	wait := func(name, want string) {
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			if got := metric(name); got != want {
				return fmt.Errorf("%s is %s, want %s", name, got, want)
			}
			return nil
		})
	}
	analyst := login{gateway: g, account: stack.Analyst}
	first := analyst.connect(t)
	analyst.connect(t)
	if _, err := analyst.open(t); sqlstate(t, err) != "53300" {
		t.Errorf("a third session: %v", err)
	}
	killed := exec.Command("psql", "-c", "SELECT 1")
	killed.Env = append(os.Environ(), analyst.environment(t)...)
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	wait("sessions_waiting", "1")
	_ = killed.Process.Kill()
	_ = killed.Wait()
	wait("sessions_waiting", "0")
	next := make(chan error, 1)
	go func() {
		conn, err := analyst.open(t)
		if err == nil {
			err = conn.Close(t.Context())
		}
		next <- err
	}()
	wait("sessions_waiting", "1")
	_ = first.Close(t.Context())
	if err := <-next; err != nil {
		t.Errorf("when one has ended: %v", err)
	}
	wait("sessions", "1")
	config := read(t, g.Config)
	write(t, g.Config, strings.Replace(config, "max_connections: 2", "max_connections: 3", 1))
	if err := g.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	wait("sessions_max", "3")
	for range 2 {
		analyst.connect(t)
	}
	wait("sessions", "3")
}
