package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/e2e/stack"
)

// hidden is what lies behind names that the default policy grants by "*": each of them leads to the secrets, or to code of the
// application. All of it belongs to app_owner and is granted like the other tables, so that PostgreSQL would let it through.
const hidden = `
SET ROLE app_owner;
SET search_path = app;
CREATE VIEW hidden_view AS SELECT id, value FROM secrets;
CREATE VIEW hidden_deep AS SELECT c.name, v.value FROM hidden_view v JOIN customers c ON c.id = v.id;
CREATE MATERIALIZED VIEW hidden_copy AS SELECT value FROM secrets;
CREATE VIEW hidden_sub AS SELECT id, (SELECT max(value) FROM secrets) AS most FROM customers;
CREATE VIEW hidden_cte AS WITH s AS (SELECT value FROM secrets) SELECT s.value FROM s;
CREATE VIEW hidden_roles AS SELECT rolname, rolpassword FROM pg_authid;
CREATE VIEW hidden_text AS SELECT query_to_xml('SELECT * FROM app.secrets', true, false, '') AS x;
CREATE TABLE hidden_child (more text) INHERITS (secrets);
CREATE FUNCTION hidden_leak(text) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = app AS 'SELECT max(value) FROM secrets';
CREATE FUNCTION hidden_total(orders) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = app AS 'SELECT max(value) FROM secrets';
CREATE FUNCTION lower(integer) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = app AS 'SELECT max(value) FROM secrets';
CREATE VIEW hidden_call AS SELECT hidden_leak('x') AS value;
CREATE FUNCTION hidden_compare(integer, text) RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = app AS 'SELECT true FROM secrets';
CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = text, FUNCTION = hidden_compare);
CREATE OPERATOR = (LEFTARG = integer, RIGHTARG = text, FUNCTION = hidden_compare);
CREATE TABLE hidden_target (id integer, note text);
CREATE FUNCTION hidden_touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := app.hidden_leak(NEW.note); RETURN NEW; END';
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON hidden_target FOR EACH ROW EXECUTE FUNCTION hidden_touch();
CREATE TABLE hidden_ruled (id integer);
CREATE RULE also AS ON INSERT TO hidden_ruled DO ALSO DELETE FROM hidden_target;
CREATE TABLE hidden_default (id integer, note text DEFAULT hidden_leak('x'));
CREATE VIEW hidden_writable AS SELECT id, name, value FROM secrets;
CREATE FUNCTION hidden_check(text) RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = app AS 'SELECT $1 <> max(value) FROM secrets';
CREATE DOMAIN hidden_domain AS text CHECK (hidden_check(VALUE));
CREATE TYPE hidden_pair AS (a integer, b text);
CREATE FUNCTION hidden_cast(hidden_pair) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = app AS 'SELECT max(value) FROM secrets';
CREATE CAST (hidden_pair AS text) WITH FUNCTION hidden_cast(hidden_pair);
CREATE TABLE hidden_pairs (p hidden_pair);
CREATE TABLE hidden_rows (d hidden_domain, n integer);
CREATE FUNCTION hidden_row(hidden_rows) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = app AS 'SELECT max(value) FROM secrets';
CREATE CAST (hidden_rows AS text) WITH FUNCTION hidden_row(hidden_rows);
CREATE TABLE hidden_indexed (id integer, note text);
CREATE FUNCTION hidden_salt() RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN ''x''; END';
CREATE INDEX ON hidden_indexed ((note || hidden_salt()));
`

const unhide = `
DROP VIEW app.hidden_deep, app.hidden_view, app.hidden_sub, app.hidden_cte, app.hidden_roles, app.hidden_text, app.hidden_call, app.hidden_writable;
DROP MATERIALIZED VIEW app.hidden_copy;
DROP TABLE app.hidden_child, app.hidden_ruled, app.hidden_target, app.hidden_default;
DROP OPERATOR app.=== (integer, text);
DROP OPERATOR app.= (integer, text);
DROP FUNCTION app.hidden_leak, app.hidden_total, app.hidden_compare, app.hidden_touch;
DROP FUNCTION app.lower(integer);
DROP CAST (app.hidden_rows AS text);
DROP FUNCTION app.hidden_row;
DROP TABLE app.hidden_rows, app.hidden_indexed, app.hidden_pairs;
DROP FUNCTION app.hidden_salt;
DROP CAST (app.hidden_pair AS text);
DROP FUNCTION app.hidden_cast;
DROP TYPE app.hidden_pair;
DROP DOMAIN app.hidden_domain;
DROP FUNCTION app.hidden_check;
`

// everywhere runs statements as the superuser, in the database app.
func everywhere(t *testing.T, statements string) {
	t.Helper()
	if _, err := superuser(t, stack.App).PgConn().Exec(context.WithoutCancel(t.Context()), statements).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

// hide makes what leads to what is withheld. unhidden takes it away, and waits until the shared gateway knows: an operator that it takes to be
// there still would have it deny what the next test does.
func hide(t *testing.T) (unhidden func()) {
	t.Helper()
	everywhere(t, hidden)
	return func() {
		everywhere(t, unhide)
		analyst := login{account: stack.Analyst}.connect(t)
		eventually(t, catalogBound, func() error {
			if got := failure(analyst, pgx.QueryExecModeSimpleProtocol, "SELECT value FROM hidden_view"); got != "42P01" {
				return fmt.Errorf("the gateway knows of it still: %q", got)
			}
			return nil
		})
	}
}

// TestBehindNames: none of the ways from a granted name to what is withheld leads there, by Query and by a prepared statement;
// and each of them is open in PostgreSQL, so that it is the gateway that closes it.
func TestBehindNames(t *testing.T) {
	unhidden := hide(t)
	defer unhidden()
	ways := map[string][]string{
		stack.Analyst: {
			`SELECT value FROM hidden_view`,
			`SELECT count(*) FROM hidden_view`,
			`SELECT id FROM app.hidden_view WHERE false`,
			`SELECT value FROM hidden_deep`,
			`SELECT value FROM hidden_copy`,
			`SELECT most FROM hidden_sub LIMIT 1`,
			`SELECT id FROM hidden_sub LIMIT 1`,
			`SELECT value FROM hidden_cte`,
			`SELECT x FROM hidden_text`,
			`SELECT value FROM hidden_child`,
			`SELECT value FROM hidden_call`,
			`SELECT hidden_leak('x')`,
			`SELECT o.hidden_total FROM orders o LIMIT 1`,
			`SELECT orders.hidden_total FROM orders LIMIT 1`,
			`SELECT (orders).hidden_total FROM orders LIMIT 1`,
			`SELECT x.hidden_total FROM (SELECT * FROM orders LIMIT 1) o, LATERAL (SELECT o.*) AS x LIMIT 1`,
			`SELECT t.hidden_leak FROM lower('x') t`,
			`SELECT (t).hidden_leak FROM lower('x') t`,
			`SELECT lower(1)`,
			`SELECT (1).lower`,
			`SELECT id FROM customers WHERE id === 'x' LIMIT 1`,
			`SELECT id FROM customers WHERE id = 'x'::text LIMIT 1`,
			`SELECT id FROM customers WHERE id IN ('x'::text) LIMIT 1`,
			`SELECT CASE 1 WHEN 'x'::text THEN 1 END`,
			`SELECT 'x'::hidden_domain`,
			`SELECT '(1,x)'::hidden_pair::text`,
			`SELECT h::text FROM hidden_rows h`,
			`SELECT 'x' || p FROM hidden_pairs`,
			`SELECT quote_literal(p) FROM hidden_pairs`,
			`SELECT id FROM hidden_indexed`,
			`SELECT coalesce(h, '(x,1)') FROM hidden_rows h`,
			`SELECT coalesce(h.*, '(x,1)') FROM hidden_rows h`,
			`SELECT h FROM hidden_rows h UNION ALL SELECT '(x,1)'`,
			`SELECT CASE WHEN n > 0 THEN '(x,1)' ELSE hidden_rows END FROM hidden_rows`,
			`SELECT lag(h, 1, '(x,1)') OVER () FROM (SELECT h FROM hidden_rows h) AS h`,
			`SELECT lag(d, 1, 'x') OVER () FROM hidden_rows`,
			`SELECT lead(d, 1, 'x') OVER () FROM hidden_rows`,
			`SELECT width_bucket(d, '{a,b}') FROM hidden_rows`,
			`COPY (SELECT * FROM hidden_view) TO STDOUT`,
			`SELECT c.id FROM customers c WHERE EXISTS (SELECT FROM hidden_view) LIMIT 1`,
		},
		stack.Engineer: {
			`INSERT INTO hidden_target VALUES (1, 'x') RETURNING note`,
			`UPDATE hidden_target SET id = 2 WHERE id > 1`,
			`INSERT INTO hidden_ruled VALUES (1)`,
			`INSERT INTO hidden_default (id) VALUES (1) RETURNING note`,
			`INSERT INTO hidden_writable (id, name, value) VALUES (99, 'x', 'x')`,
			`UPDATE hidden_writable SET value = 'x' WHERE id > 98`,
			`DELETE FROM hidden_writable WHERE id > 98`,
			`MERGE INTO hidden_writable w USING customers c ON w.id > 98 WHEN MATCHED THEN DELETE`,
		},
	}
	eventually(t, catalogBound, func() error { // all of it was one transaction
		if got := failure(login{account: stack.Analyst}.connect(t), pgx.QueryExecModeSimpleProtocol, "SELECT value FROM hidden_view"); got != "42501" {
			return fmt.Errorf("the gateway does not know of it yet: %q", got)
		}
		return nil
	})
	for account, statements := range ways {
		conn := login{account: account, database: stack.App}.connect(t)
		open := asRole(t, account)
		for _, statement := range statements {
			t.Run(statement, func(t *testing.T) {
				for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
					if got := failure(conn, mode, statement); got != "42501" {
						t.Errorf("mode %s: %q, want 42501", mode, got)
					}
				}
				if got := failure(open, pgx.QueryExecModeSimpleProtocol, statement); got != "" && !closedBefore(statement) {
					t.Errorf("PostgreSQL refuses it itself: %s", got)
				}
			})
		}
	}
}

// closedBefore says whether PostgreSQL 15 does not do what the statement asks for either: query_to_xml reads with the rights of who asks,
// views are no targets of MERGE, and failure sends no COPY.
func closedBefore(statement string) bool {
	return strings.Contains(statement, "hidden_text") || strings.HasPrefix(statement, "MERGE") || strings.HasPrefix(statement, "COPY")
}

// asRole is a session in PostgreSQL with the privileges of an account's role, in a transaction that comes to nothing.
func asRole(t *testing.T, account string) *pgx.Conn {
	t.Helper()
	conn := superuser(t, stack.App)
	role := map[string]string{stack.Analyst: "app_readonly", stack.Engineer: "app_readwrite"}[account]
	execute(t, conn, "SET search_path = app", "SET ROLE "+role)
	return conn
}

// failure runs a statement in a transaction that is rolled back, and returns the SQLSTATE of its error, "" when there is none.
func failure(conn *pgx.Conn, mode pgx.QueryExecMode, statement string) string {
	ctx := context.Background()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = tx.Rollback(ctx) }()
	rows, err := tx.Query(ctx, statement, mode)
	if err == nil {
		rows.Close()
		err = rows.Err()
	}
	var refused *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refused):
		return refused.Code
	}
	return err.Error()
}

// TestBehindNumbers: a parameter's type that Parse gives by its number leads to no more than its name does.
func TestBehindNumbers(t *testing.T) {
	unhidden := hide(t)
	defer unhidden()
	conn, open := login{account: stack.Analyst}.connect(t), asRole(t, stack.Analyst)
	tests := map[string]struct{ text, value, want string }{
		"hidden_domain": {"SELECT $1", "x", "42501"}, "hidden_domain[]": {"SELECT $1", "{x}", "42501"},
		"hidden_rows": {"SELECT $1", "(x,1)", "42501"}, "hidden_pair": {"SELECT $1::text", "(1,x)", "42501"},
		"secrets": {"SELECT $1", "(1,x,x)", "42501"}, "customers": {"SELECT ($1).id", "(1,x,x,x,1)", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var number uint32
			if err := open.QueryRow(t.Context(), "SELECT $1::text::regtype::oid", name).Scan(&number); err != nil {
				t.Fatal(err)
			}
			run := func(conn *pgx.Conn) error {
				return conn.PgConn().ExecParams(t.Context(), tt.text, [][]byte{[]byte(tt.value)}, []uint32{number}, nil, nil).Read().Err
			}
			if got := sqlstate(t, run(conn)); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if err := run(open); err != nil {
				t.Errorf("PostgreSQL refuses it itself: %v", err)
			}
		})
	}
}

// TestBehindNamesPermitted: what is harmless behind its name is permitted, and a view that is granted by its own name shows what is behind it.
func TestBehindNamesPermitted(t *testing.T) {
	analyst := login{account: stack.Analyst}.connect(t)
	for _, statement := range []string{
		`SELECT count(*) FROM order_totals`,
		`SELECT * FROM payments LIMIT 1`,
		`SELECT * FROM payments_2025 LIMIT 1`,
		`SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status IN ('open', 'paid') LIMIT 1`,
		`SELECT lower(name), (c).email FROM customers c LIMIT 1`,
	} {
		eventually(t, catalogBound, func() error { // other tests define operators, and remove them past the gateway
			if got := failure(analyst, pgx.QueryExecModeSimpleProtocol, statement); got != "" {
				return fmt.Errorf("%s: %s", statement, got)
			}
			return nil
		})
	}
}

// TestMeaningMoves: what a prepared statement's name means changes under it, by the dba's session through the gateway at once and by
// somebody who goes past the gateway within the bound.
func TestMeaningMoves(t *testing.T) {
	const harmless = "CREATE OR REPLACE VIEW app.moving AS SELECT id, name AS value FROM app.customers"
	const harmful = "CREATE OR REPLACE VIEW app.moving AS SELECT id, value FROM app.secrets"
	owner := superuser(t, stack.App)
	execute(t, owner, "SET ROLE app_owner", harmless)
	t.Cleanup(func() { execute(t, owner, "DROP VIEW app.moving") })
	analyst := login{account: stack.Analyst}.connect(t)
	const text = "SELECT value FROM moving ORDER BY id LIMIT 1"
	eventually(t, 10*time.Second, func() error { // the view is new
		_, err := analyst.Prepare(t.Context(), "moving", text)
		return err
	})
	verdict := func() string { return failure(analyst, pgx.QueryExecModeCacheStatement, text) }

	t.Run("through the gateway", func(t *testing.T) {
		dba := login{account: stack.DBA}.connect(t)
		for range 5 {
			execute(t, dba, harmful)
			if got := verdict(); got != "42501" {
				t.Fatalf("after the view shows secrets: %q", got)
			}
			execute(t, dba, harmless)
			if got := verdict(); got != "" {
				t.Fatalf("after it shows names again: %q", got)
			}
		}
		execute(t, dba, "BEGIN", harmful, "ROLLBACK")
		if got := verdict(); got != "" {
			t.Errorf("after a rollback: %q", got)
		}
		execute(t, dba, "BEGIN", harmful)
		execute(t, dba, "COMMIT")
		if got := verdict(); got != "42501" {
			t.Errorf("after the commit: %q", got)
		}
		execute(t, dba, harmless)
	})
	t.Run("past the gateway", func(t *testing.T) {
		execute(t, owner, harmful)
		eventually(t, catalogBound, func() error {
			if got := verdict(); got != "42501" {
				return fmt.Errorf("still %q", got)
			}
			return nil
		})
	})
}

// TestMeaningAtFirstUse: what somebody has just made past the gateway, under a name that "*" grants, is judged by what it is the first time
// that it is used.
func TestMeaningAtFirstUse(t *testing.T) {
	const leak = " RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = app AS 'SELECT max(value) FROM secrets'"
	owner := superuser(t, stack.App)
	execute(t, owner, "SET ROLE app_owner", "SET search_path = app")
	t.Cleanup(func() { execute(t, owner, "RESET ROLE") })
	for name, test := range map[string]struct{ create, drop, use string }{
		"a view":        {"CREATE VIEW fresh AS SELECT value FROM secrets", "DROP VIEW fresh", "SELECT value FROM fresh"},
		"a part":        {"CREATE TABLE fresh () INHERITS (secrets)", "DROP TABLE fresh", "SELECT value FROM fresh"},
		"like a column": {"CREATE FUNCTION fresh(orders)" + leak, "DROP FUNCTION fresh(orders)", "SELECT o.fresh FROM orders o"},
		"an operator": {
			"CREATE FUNCTION fresh(integer, text)" + leak + "; CREATE OPERATOR <<=>> (LEFTARG = integer, RIGHTARG = text, FUNCTION = fresh)",
			"DROP FUNCTION fresh(integer, text) CASCADE", "SELECT 1 <<=>> 'x'",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
				// What is dropped past the gateway is still known for a while.
				number := strings.NewReplacer("fresh", fmt.Sprintf("fresh_%s_%d", strings.ReplaceAll(name, " ", "_"), i), "<<=>>", "<<=>>"+strings.Repeat("=", i))
				named := number.Replace
				use := named(test.use)
				analyst := login{account: stack.Analyst}.connect(t)
				if got := failure(analyst, mode, use); !strings.HasPrefix(got, "42") || got == "42501" {
					t.Errorf("mode %s: before there is such a thing: %q, want what PostgreSQL says", mode, got)
				}
				execute(t, owner, named(test.create))
				if got := failure(analyst, mode, use); got != "42501" {
					t.Errorf("mode %s: at its first use: %q, want 42501", mode, got)
				}
				execute(t, owner, named(test.drop))
			}
		})
	}
}
