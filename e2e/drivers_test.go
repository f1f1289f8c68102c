package e2e

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/lib/pq"

	"github.com/sallyport/sallyport/e2e/stack"
)

// customer is the one that all clients ask for, see stack/sql/app.sql.
const customer = "Chidi Jansen"

// TestPrograms runs clients that are not written in Go. Each says ok.
func TestPrograms(t *testing.T) {
	clients := filepath.Join(shared.root, "e2e", "clients")
	programs := map[string][]string{
		"psycopg 3":     {"/usr/bin/python3", filepath.Join(clients, "psycopg3_probe.py")},
		"psycopg 2":     {"/usr/bin/python3", filepath.Join(clients, "psycopg2_probe.py")},
		"asyncpg":       {"/usr/bin/python3", filepath.Join(clients, "asyncpg_probe.py")},
		"node-postgres": {"node", filepath.Join(clients, "node", "probe.mjs")},
		"JDBC":          {"java", "-cp", "/usr/share/java/postgresql.jar", filepath.Join(clients, "jdbc", "Probe.java")},
		"tab key":       {"/usr/bin/python3", filepath.Join(clients, "completion.py")},
	}
	for name, command := range programs {
		for _, account := range []string{stack.Analyst, stack.Service, stack.Legacy} {
			t.Run(name+" as "+account, func(t *testing.T) {
				out, err := program(t, login{account: account}, "", command[0], command[1:]...)
				if err != nil || !strings.HasSuffix(strings.TrimSpace(out), "ok") {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
	}
}

// TestNodeChannelBinding: node-postgres proves the password together with the gateway's certificate.
func TestNodeChannelBinding(t *testing.T) {
	l := login{account: stack.Service, options: map[string]string{"channel_binding": "require"}}
	out, err := program(t, l, "", "node", filepath.Join(shared.root, "e2e", "clients", "node", "probe.mjs"))
	if err != nil || !strings.HasSuffix(strings.TrimSpace(out), "ok") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestPgx(t *testing.T) {
	modes := map[string]pgx.QueryExecMode{
		"cache statement": pgx.QueryExecModeCacheStatement,
		"cache describe":  pgx.QueryExecModeCacheDescribe,
		"describe":        pgx.QueryExecModeDescribeExec,
		"exec":            pgx.QueryExecModeExec,
		"simple protocol": pgx.QueryExecModeSimpleProtocol,
	}
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			conn := login{account: stack.Analyst}.connect(t)
			for range 3 {
				var got string
				err := conn.QueryRow(t.Context(), "SELECT name FROM customers WHERE id = $1", mode, 42).Scan(&got)
				if err != nil || got != customer {
					t.Fatalf("got %q, %v", got, err)
				}
				_, err = conn.Exec(t.Context(), "SELECT * FROM secrets WHERE id = $1", mode, 1)
				if state := sqlstate(t, err); state != "42501" {
					t.Fatalf("SQLSTATE %q, want 42501", state)
				}
			}
		})
	}
	t.Run("batch", testPgxBatch)
}

// testPgxBatch: a batch is one pipeline and one implicit transaction.
func testPgxBatch(t *testing.T) {
	conn := login{account: stack.Engineer}.connect(t)
	before := value(t, conn, "SELECT status FROM orders WHERE id = 100")
	batch := &pgx.Batch{}
	batch.Queue("UPDATE orders SET status = 'returned' WHERE id = $1", 100)
	batch.Queue("SELECT 1")
	batch.Queue("DROP TABLE orders")
	batch.Queue("SELECT 2")
	err := conn.SendBatch(t.Context(), batch).Close()
	if state := sqlstate(t, err); state != "42501" {
		t.Errorf("SQLSTATE %q, want 42501", state)
	}
	if after := value(t, conn, "SELECT status FROM orders WHERE id = 100"); after != before {
		t.Errorf("the update before the denied statement was committed: %s, was %s", after, before)
	}
}

func TestLibpq(t *testing.T) {
	// The driver of that name for database/sql, not the C library.
	db, err := sql.Open("postgres", login{account: stack.Analyst}.dsn(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var got string
	if err := db.QueryRow("SELECT name FROM customers WHERE id = $1", 42).Scan(&got); err != nil || got != customer {
		t.Fatalf("got %q, %v", got, err)
	}
	_, err = db.Exec("SELECT * FROM secrets")
	var pqErr *pq.Error
	if !errors.As(err, &pqErr) || pqErr.Code != "42501" {
		t.Errorf("got %v, want 42501", err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("SELECT * FROM secrets"); err == nil {
		t.Error("not denied in a transaction")
	}
	if err := tx.Commit(); err == nil {
		t.Error("a transaction with a denied statement was committed")
	}
	if err := db.Ping(); err != nil {
		t.Errorf("after a denial: %v", err)
	}
}

func TestPgbench(t *testing.T) {
	bench := filepath.Join(shared.services.Postgres.Bin, "pgbench")
	conn := superuser(t, stack.App)
	execute(t, conn, `CREATE TABLE app.pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84)) WITH (fillfactor = 100)`,
		`CREATE TABLE app.pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88))`,
		`CREATE TABLE app.pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84))`,
		`CREATE TABLE app.pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))`,
		`INSERT INTO app.pgbench_accounts SELECT n, 1, 0, '' FROM generate_series(1, 100000) n`,
		`INSERT INTO app.pgbench_branches VALUES (1, 0)`,
		`INSERT INTO app.pgbench_tellers SELECT n, 1, 0 FROM generate_series(1, 10) n`)
	t.Cleanup(func() {
		execute(t, superuser(t, stack.App), `DROP TABLE app.pgbench_accounts, app.pgbench_branches, app.pgbench_tellers, app.pgbench_history`)
	})
	for _, mode := range []string{"simple", "extended", "prepared"} {
		for script, account := range map[string]string{"select-only": stack.Analyst, "tpcb-like": stack.Engineer} {
			t.Run(mode+" "+script, func(t *testing.T) {
				out, err := program(t, login{account: account}, "", bench, "-n", "-M", mode, "-b", script, "-c", "4", "-j", "2", "-t", "100")
				if err != nil || !strings.Contains(out, "number of transactions actually processed: 400/400") {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
	}
	// pgbench's pipelines: every statement of a transaction before its first answer.
	t.Run("pipeline", func(t *testing.T) {
		script := filepath.Join(t.TempDir(), "pipeline.sql")
		write(t, script, "\\set aid random(1, 100000)\n\\startpipeline\n"+
			strings.Repeat("SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n", 20)+"\\endpipeline\n")
		out, err := program(t, login{account: stack.Analyst}, "", bench, "-n", "-M", "prepared", "-f", script, "-c", "4", "-t", "100")
		if err != nil || !strings.Contains(out, "actually processed: 400/400") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

func TestCancel(t *testing.T) {
	conn := login{account: stack.Analyst, application: "cancel"}.connect(t)
	started := make(chan error, 1)
	watcher := superuser(t, stack.App)
	go func() {
		_, err := conn.Exec(t.Context(), "SELECT count(*) FROM orders a, orders b, orders c")
		started <- err
	}()
	eventually(t, 10*time.Second, func() error {
		var n int
		query := "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%orders a, orders b%' AND state = 'active' AND pid <> pg_backend_pid()"
		if err := watcher.QueryRow(t.Context(), query).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			return errors.New("the query does not run yet")
		}
		return nil
	})
	if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-started:
		if state := sqlstate(t, err); state != "57014" {
			t.Errorf("SQLSTATE %q, want 57014", state)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("not cancelled")
	}
	if got := value(t, conn, "SELECT 'alive'"); got != "alive" {
		t.Errorf("got %q", got)
	}
	_ = conn.Close(t.Context())
	for _, e := range ended(t, shared.gateway, "cancel") {
		if e.Type == "outcome" && e.Status == "cancelled" {
			return
		}
	}
	t.Error(fmt.Errorf("no outcome says cancelled"))
}
