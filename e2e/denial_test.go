package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/e2e/stack"
)

// denied lists what the default policy must not let through, by account.
var denied = map[string][]string{
	stack.Analyst: {
		`SELECT * FROM secrets`,
		`SELECT * FROM app.secrets`,
		`SELECT * FROM "app"."secrets"`,
		`SELECT * FROM APP.SECRETS`,
		`SELECT * FROM U&"\0061pp".secrets`,
		`TABLE secrets`,
		`SELECT 1; SELECT * FROM secrets`,
		`SELECT c.id FROM customers c JOIN secrets s ON s.id = c.id`,
		`SELECT (SELECT value FROM secrets LIMIT 1)`,
		`SELECT 1 WHERE EXISTS (SELECT FROM secrets)`,
		`WITH x AS (SELECT * FROM secrets) SELECT 1`,
		`SELECT id FROM customers UNION SELECT id FROM secrets`,
		`SELECT 1 FROM customers ORDER BY (SELECT max(value) FROM secrets)`,
		`EXPLAIN SELECT * FROM secrets`,
		`EXPLAIN ANALYZE SELECT * FROM secrets`,
		`PREPARE p AS SELECT * FROM secrets`,
		`DECLARE c CURSOR WITH HOLD FOR SELECT * FROM secrets`,
		`CREATE TEMP TABLE x AS SELECT * FROM secrets`,
		`CREATE TEMP TABLE customers (a int)`,
		`SELECT * INTO TEMP x FROM customers`,
		`CREATE VIEW v AS SELECT 1`,
		`COPY secrets TO STDOUT`,
		`COPY (SELECT * FROM secrets) TO STDOUT`,
		`COPY customers TO '/tmp/customers'`,
		`COPY customers TO PROGRAM 'cat'`,
		`COPY orders FROM STDIN`,
		`COPY (DELETE FROM orders WHERE id = 1 RETURNING id) TO STDOUT`,
		`INSERT INTO orders (customer_id, product, quantity, amount) VALUES (1, 'bell', 1, 1)`,
		`UPDATE orders SET status = 'open' WHERE id = 1`,
		`DELETE FROM orders WHERE id = 1`,
		`WITH d AS (DELETE FROM orders WHERE id = 1 RETURNING id) SELECT * FROM d`,
		`MERGE INTO orders USING customers ON false WHEN MATCHED THEN DELETE`,
		`SELECT * FROM orders WHERE id = 1 FOR UPDATE`,
		`TRUNCATE orders`,
		`DO $$ BEGIN PERFORM 1; END $$`,
		`SELECT query_to_xml('SELECT * FROM app.secrets', true, false, '')`,
		`SELECT table_to_xml('app.secrets', true, false, '')`,
		`SELECT pg_read_file('PG_VERSION')`,
		`SELECT pg_ls_dir('.')`,
		`SELECT lo_from_bytea(0, 'x')`,
		`SELECT lo_import('/etc/passwd')`,
		`SELECT pg_terminate_backend(1)`,
		`SELECT pg_cancel_backend(1)`,
		`SELECT pg_advisory_lock(1)`,
		`SELECT pg_notify('a', 'b')`,
		`SELECT nextval('orders_id_seq')`,
		`SELECT set_config('search_path', 'public', false)`,
		`SELECT 1 LIMIT length(set_config('role', 'postgres', false))`,
		`UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'`,
		`SET standard_conforming_strings = off`,
		`SET client_encoding = 'SJIS'`,
		`SET NAMES 'BIG5'`,
		`SET search_path = public`,
		`SET ROLE postgres`,
		`SET SESSION AUTHORIZATION postgres`,
		`SET row_security = off`,
		`SET session_replication_role = replica`,
		`SET local_preload_libraries = 'x'`,
		`RESET ROLE`,
		`ALTER ROLE CURRENT_USER PASSWORD 'x'`,
		`ALTER ROLE CURRENT_USER SET search_path = public`,
		`CREATE ROLE x`,
		`GRANT app_readwrite TO CURRENT_USER`,
		`GRANT SELECT ON customers TO PUBLIC`,
		`LOAD 'x'`,
		`LISTEN a`,
		`NOTIFY a`,
		`LOCK TABLE customers`,
		`VACUUM customers`,
		`ANALYZE customers`,
		`CHECKPOINT`,
		`REINDEX TABLE customers`,
		`CREATE EXTENSION dblink`,
		`CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
		`COMMENT ON TABLE customers IS 'x'`,
		`ALTER SYSTEM SET log_statement = 'none'`,
		`ALTER DATABASE app SET search_path = public`,
		`SELECT * FROM pg_stat_activity`,
		`SELECT * FROM pg_stats`,
		`SELECT * FROM pg_statistic`,
		`SELECT * FROM pg_authid`,
		`SELECT * FROM pg_shadow`,
		`SELECT * FROM pg_hba_file_rules`,
		`SELECT * FROM pg_file_settings`,
		`SELECT * FROM pg_largeobject`,
	},
	stack.Engineer: {
		`UPDATE orders SET status = 'open'`,
		`DELETE FROM orders`,
		`WITH d AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM d`,
		`EXPLAIN ANALYZE DELETE FROM orders`,
		`PREPARE p AS DELETE FROM orders`,
		`TRUNCATE orders`,
		`DROP TABLE orders`,
		`ALTER TABLE orders ADD COLUMN x int`,
		`CREATE TABLE x (a int)`,
		`CREATE TEMP TABLE x (a int)`,
		`CREATE INDEX ON orders (product)`,
		`CREATE RULE r AS ON SELECT TO orders DO INSTEAD SELECT 1`,
		`CREATE TRIGGER t AFTER INSERT ON orders EXECUTE FUNCTION f()`,
		`ALTER TABLE orders DISABLE TRIGGER ALL`,
		`DO $$ BEGIN DELETE FROM app.orders; END $$`,
		`GRANT SELECT ON orders TO PUBLIC`,
		`COPY orders FROM '/etc/passwd'`,
		`COPY orders FROM PROGRAM 'id'`,
		`SET ROLE app_owner`,
		`DROP OWNED BY CURRENT_USER`,
		`REASSIGN OWNED BY CURRENT_USER TO postgres`,
	},
}

// TestDenied sends each statement both ways and in a transaction. What comes
// back is 42501, the transaction is aborted, the connection lives, and
// PostgreSQL has never seen it.
func TestDenied(t *testing.T) {
	n := 0
	for account, statements := range denied {
		conn := login{account: account}.connect(t)
		for _, statement := range statements {
			n++
			mark := fmt.Sprintf("denied-%04d", n)
			t.Run(account+" "+statement, func(t *testing.T) {
				text := "/* " + mark + " */ " + statement
				modes := []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol}
				if !strings.Contains(statement, "; ") || strings.HasPrefix(statement, "DO") {
					modes = append(modes, pgx.QueryExecModeExec, pgx.QueryExecModeDescribeExec)
				}
				for _, mode := range modes {
					_, err := conn.Exec(t.Context(), text, mode)
					if got := sqlstate(t, err); got != "42501" {
						t.Errorf("%v: SQLSTATE %q, want 42501: %v", mode, got, err)
					}
				}
				execute(t, conn, "BEGIN")
				if _, err := conn.Exec(t.Context(), text, pgx.QueryExecModeSimpleProtocol); err == nil {
					t.Error("not denied in a transaction")
				}
				if _, err := conn.Exec(t.Context(), "SELECT 1"); sqlstate(t, err) != "25P02" {
					t.Errorf("the transaction is not aborted: %v", err)
				}
				execute(t, conn, "ROLLBACK", "SELECT 1")
				if strings.Contains(backendLog(t), mark) {
					t.Error("PostgreSQL has seen it")
				}
			})
		}
	}
}

// TestAllowed is the other side: the policy is not simply against everything.
func TestAllowed(t *testing.T) {
	allowed := map[string][]string{
		stack.Analyst: {
			`SELECT version()`,
			`SELECT current_user, session_user, current_database(), current_schema()`,
			`SELECT c.name, sum(o.amount) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name ORDER BY 2 DESC LIMIT 5`,
			`SELECT * FROM order_totals LIMIT 1`,
			`SELECT date_trunc('month', paid_on), count(*) FROM payments GROUP BY 1`,
			`WITH top AS (SELECT customer_id, count(*) AS n FROM orders GROUP BY 1) SELECT * FROM top ORDER BY n DESC LIMIT 1`,
			`SELECT row_number() OVER (ORDER BY salary) FROM customers LIMIT 1`,
			`EXPLAIN SELECT * FROM customers`,
			`SET statement_timeout = '10s'`,
			`SET application_name = 'report'`,
			`SHOW server_version`,
			`SHOW search_path`,
			`BEGIN READ ONLY`, `COMMIT`,
			`PREPARE p AS SELECT * FROM customers WHERE id = $1`, `EXECUTE p(1)`, `DEALLOCATE p`,
			`BEGIN`, `DECLARE c CURSOR FOR SELECT id FROM customers`, `FETCH 10 FROM c`, `CLOSE c`, `ROLLBACK`,
			`SELECT now(), coalesce(NULL, 1), lower('A'), count(*) FROM customers`,
			`VALUES (1), (2)`,
			``, `;`,
		},
		stack.Engineer: {
			`BEGIN`,
			`INSERT INTO orders (customer_id, product, quantity, amount) VALUES (1, 'bell', 1, 1) RETURNING id`,
			`UPDATE orders SET status = 'open' WHERE id = 1`,
			`DELETE FROM orders WHERE id = 2`,
			`INSERT INTO orders (id, customer_id, product, quantity, amount) VALUES (1, 1, 'bell', 1, 1) ON CONFLICT (id) DO UPDATE SET quantity = 2`,
			`SELECT * FROM orders WHERE id = 1 FOR UPDATE`,
			`ROLLBACK`,
		},
		stack.DBA: {
			`SELECT * FROM secrets`,
			`DO $$ BEGIN PERFORM 1; END $$`,
			`BEGIN`, `CREATE TABLE x (a int)`, `TRUNCATE orders CASCADE`, `DELETE FROM payments`, `ROLLBACK`,
			`SET ROLE app_owner`, `RESET ROLE`,
			`SELECT * FROM pg_stat_activity`,
			`VACUUM customers`,
			`SELECT pg_read_file('PG_VERSION')`,
			`LISTEN a`, `NOTIFY a`,
		},
	}
	for account, statements := range allowed {
		t.Run(account, func(t *testing.T) {
			conn := login{account: account}.connect(t)
			for _, statement := range statements {
				if _, err := conn.Exec(t.Context(), statement, pgx.QueryExecModeSimpleProtocol); err != nil {
					t.Errorf("%s: %v", statement, err)
				}
			}
		})
	}
}

// TestDenialExplains: the client learns why, and under which id the log has it.
func TestDenialExplains(t *testing.T) {
	out, err := psql(t, login{account: stack.Analyst, application: "explains"}, "SELECT * FROM secrets;")
	if err == nil || !strings.Contains(out, "ERROR") || !strings.Contains(out, "DETAIL") || !strings.Contains(out, "HINT") {
		t.Fatalf("%v: %s", err, out)
	}
	statements := find(ended(t, shared.gateway, "explains"), "statement", "FROM secrets")
	if len(statements) != 1 || statements[0].Decision != "deny" || len(statements[0].Reasons) == 0 {
		t.Fatalf("audit log: %+v", statements)
	}
	if !strings.Contains(out, statements[0].ID) {
		t.Errorf("the decision's id %s is not in %s", statements[0].ID, out)
	}
}
