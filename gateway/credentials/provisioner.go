package credentials

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"
)

const (
	// verifierIterations are PostgreSQL's own: a random password needs no more.
	verifierIterations = 4096
	verifierSalt       = 16
	// maxProvisionMessage bounds one message of the backend: a row with a role's name, or an error.
	maxProvisionMessage = 64 << 10
	// maxLeftBehind bounds one sweep; the next goes on.
	maxLeftBehind = 1000
	// inheritVersion is the first PostgreSQL in which each membership says whether it is inherited.
	inheritVersion = 160000
)

// provisioner is one connection of the provisioning role.
type provisioner struct {
	pg      *pgconn.PgConn
	version int
	// asked is when it was asked for its time, by our clock, and clock what it said: VALID UNTIL is by its clock.
	asked, clock time.Time
}

// errNoCancel keeps pgconn from opening a connection of its own: what takes too long ends with the connection, and by statement_timeout.
var errNoCancel = errors.New("nothing is cancelled")

// provision takes over a connection, and asks the backend for its version and its time.
func provision(ctx context.Context, conn net.Conn) (*provisioner, error) {
	pg, err := pgconn.Construct(&pgconn.HijackedConn{
		Conn: conn, TxStatus: 'I', ParameterStatuses: make(map[string]string),
		// None of pgconn's defaults, which come from the environment and service files.
		Config: &pgconn.Config{
			BuildFrontend:             pgproto3.NewFrontend,
			MaxProtocolMessageBodyLen: maxProvisionMessage,
			BuildContextWatcherHandler: func(pg *pgconn.PgConn) ctxwatch.Handler {
				return &pgconn.DeadlineContextWatcherHandler{Conn: pg.Conn()}
			},
			OnPgError: func(_ *pgconn.PgConn, err *pgconn.PgError) bool { return err.Severity != "FATAL" },
			DialFunc:  func(context.Context, string, string) (net.Conn, error) { return nil, errNoCancel },
		},
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("use provisioning connection: %w", err), conn.Close())
	}
	c := &provisioner{pg: pg}
	if err := c.ask(ctx); err != nil {
		c.end(ctx)
		return nil, err
	}
	return c, nil
}

// ask asks the backend for its version and its time. Both clocks may be set at any time: what was heard holds for the next statement, and
// what passes until then is told by the clock that is not set.
func (c *provisioner) ask(ctx context.Context) error {
	asked := time.Now()
	rows, err := c.rows(ctx, `SELECT pg_catalog.current_setting('server_version_num'),
		(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::bigint::text`)
	if err != nil {
		return err
	}
	if len(rows) != 1 || len(rows[0]) != 2 {
		return errMalformed
	}
	version, versionErr := strconv.Atoi(rows[0][0])
	milliseconds, timeErr := strconv.ParseInt(rows[0][1], 10, 64)
	c.version, c.asked, c.clock = version, asked, time.UnixMilli(milliseconds)
	return errors.Join(versionErr, timeErr)
}

// end closes the connection.
func (c *provisioner) end(ctx context.Context) {
	_ = c.pg.Close(ctx)
	<-c.pg.CleanupDone()
}

// rows runs a query whose rows are few.
func (c *provisioner) rows(ctx context.Context, sql string, values ...string) ([][]string, error) {
	parameters := make([][]byte, len(values))
	for i, value := range values {
		parameters[i] = []byte(value)
	}
	result := c.pg.ExecParams(ctx, sql, parameters, nil, nil, nil).Read()
	rows := make([][]string, len(result.Rows))
	for i, row := range result.Rows {
		for _, field := range row {
			rows[i] = append(rows[i], string(field))
		}
	}
	return rows, result.Err
}

// run runs statements in one transaction.
func (c *provisioner) run(ctx context.Context, statements ...string) error {
	_, err := c.pg.Exec(ctx, strings.Join(statements, "; ")).ReadAll()
	return err
}

func (c *provisioner) ping(ctx context.Context) error { return c.run(ctx, "SELECT 1") }

// create makes a lease's role. VALID UNTIL is checked only at login, so it bounds a credential that nobody revoked; one connection is
// all a session needs.
func (c *provisioner) create(ctx context.Context, lease Lease, verifier, group string) error {
	if err := c.ask(ctx); err != nil {
		return err
	}
	return c.run(ctx, "CREATE ROLE "+identifier(lease.Username)+
		" LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 1 PASSWORD '"+verifier+
		"' VALID UNTIL '"+c.validUntil(lease.Expires)+"' IN ROLE "+identifier(group))
}

// extend moves the end of a lease's role.
func (c *provisioner) extend(ctx context.Context, lease Lease) error {
	if err := c.ask(ctx); err != nil {
		return err
	}
	return c.run(ctx, "ALTER ROLE "+identifier(lease.Username)+" VALID UNTIL '"+c.validUntil(lease.Expires)+"'")
}

// validUntil is an end by the backend's clock.
func (c *provisioner) validUntil(t time.Time) string {
	return c.clock.Add(t.Sub(c.asked)).UTC().Format("2006-01-02 15:04:05.000-07")
}

// drop drops a role and gives what it owns to the owner of its groups. Only for that the provisioning role becomes a member: what the role
// could do it could do too, otherwise. left are the functions that ran with the role's rights, and do not with the owner's.
func (c *provisioner) drop(ctx context.Context, name string, ownerOf func(groups []string) string) (left []string, err error) {
	groups, err := c.groupsOf(ctx, name)
	if err != nil || groups == nil {
		return nil, err
	}
	role, inherited := identifier(name), ""
	if c.version >= inheritVersion {
		inherited = " WITH INHERIT TRUE"
	}
	if err := c.run(ctx, "ALTER ROLE "+role+" NOLOGIN", "GRANT "+role+" TO CURRENT_USER"+inherited); err != nil {
		return nil, err
	}
	// A session outlives its role; two seconds are for one that is busy.
	_, err = c.rows(ctx, "SELECT pg_catalog.pg_terminate_backend(pid, 2000)::text FROM pg_catalog.pg_stat_activity WHERE usename = $1", name)
	if err != nil {
		return nil, err
	}
	if left, err = c.definers(ctx, name); err != nil {
		return nil, err
	}
	var statements []string
	for _, function := range left {
		statements = append(statements, "ALTER ROUTINE "+function+" SECURITY INVOKER")
	}
	return left, c.run(ctx, append(statements,
		"REASSIGN OWNED BY "+role+" TO "+identifier(ownerOf(groups)), "DROP OWNED BY "+role, "DROP ROLE IF EXISTS "+role)...)
}

// groupsOf are the groups that a role is a member of; nil when there is no such role.
func (c *provisioner) groupsOf(ctx context.Context, name string) ([]string, error) {
	rows, err := c.rows(ctx, `SELECT coalesce(g.rolname, '') FROM pg_catalog.pg_roles r
		LEFT JOIN pg_catalog.pg_auth_members m ON m.member = r.oid LEFT JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
		WHERE r.rolname = $1 ORDER BY 1`, name)
	return first(rows), err
}

// definers are the functions of a role that run with its rights, whoever calls them: with an owner's that lives on they would do so for
// ever, and EXECUTE is everybody's unless somebody has taken it away.
func (c *provisioner) definers(ctx context.Context, name string) ([]string, error) {
	rows, err := c.rows(ctx, `SELECT p.oid::pg_catalog.regprocedure::text
		FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_roles r ON r.oid = p.proowner WHERE r.rolname = $1 AND p.prosecdef ORDER BY 1`, name)
	return first(rows), err
}

// first is the first column.
func first(rows [][]string) []string {
	var column []string
	for _, row := range rows {
		column = append(column, row[0])
	}
	return column
}

// mintedRoles finds the roles that a gateway has made in one of the groups, the oldest end first.
func (c *provisioner) mintedRoles(ctx context.Context, groups []string) ([]mintedRole, error) {
	list, err := json.Marshal(groups)
	if err != nil {
		return nil, err
	}
	rows, err := c.rows(ctx, `SELECT r.rolname, r.rolvaliduntil::text, (extract(epoch FROM r.rolvaliduntil - pg_catalog.clock_timestamp()) * 1000)::bigint::text
		FROM pg_catalog.pg_roles r
		WHERE r.rolname ~ $1 AND NOT r.rolsuper AND pg_catalog.isfinite(r.rolvaliduntil)
		AND EXISTS (SELECT FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
			WHERE m.member = r.oid AND g.rolname IN (SELECT pg_catalog.json_array_elements_text($2::json)))
		ORDER BY r.rolvaliduntil LIMIT `+strconv.Itoa(maxLeftBehind), minted.String(), string(list))
	if err != nil {
		return nil, err
	}
	roles := make([]mintedRole, len(rows))
	for i, row := range rows {
		if len(row) != 3 {
			return nil, errMalformed
		}
		milliseconds, err := strconv.ParseInt(row[2], 10, 64)
		if err != nil {
			return nil, errMalformed
		}
		roles[i] = mintedRole{row[0], row[1], time.Duration(milliseconds) * time.Millisecond}
	}
	return roles, nil
}

// identifier quotes a name.
func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// verifierOf is what PostgreSQL stores of a password, so that it need not be told the password
// (https://www.postgresql.org/docs/current/catalog-pg-authid.html). client has derived the keys for it: so need no login.
func verifierOf(password string) (verifier string, client *scram.Client, err error) {
	client, err = scram.SHA256.NewClient("", password, "")
	if err != nil {
		return "", nil, fmt.Errorf("derive SCRAM verifier: %w", err)
	}
	salt := make([]byte, verifierSalt)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: verifierIterations})
	if err != nil {
		return "", nil, fmt.Errorf("derive SCRAM verifier: %w", err)
	}
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", verifierIterations, encode(salt), encode(stored.StoredKey), encode(stored.ServerKey)), client, nil
}
