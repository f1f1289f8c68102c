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
	ahead   time.Duration // of its clock before ours: VALID UNTIL is by its clock
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

func (c *provisioner) ask(ctx context.Context) error {
	began := time.Now()
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
	c.version, c.ahead = version, time.UnixMilli(milliseconds).Sub(began)
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
	return c.run(ctx, "CREATE ROLE "+identifier(lease.Username)+
		" LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 1 PASSWORD '"+verifier+
		"' VALID UNTIL '"+c.validUntil(lease.Expires)+"' IN ROLE "+identifier(group))
}

// extend moves the end of a lease's role.
func (c *provisioner) extend(ctx context.Context, lease Lease) error {
	return c.run(ctx, "ALTER ROLE "+identifier(lease.Username)+" VALID UNTIL '"+c.validUntil(lease.Expires)+"'")
}

func (c *provisioner) validUntil(t time.Time) string {
	return t.Add(c.ahead).UTC().Format("2006-01-02 15:04:05.000-07")
}

// drop drops a role and gives what it owns to owner. Only for that the provisioning role becomes a member: what the role could do it
// could do too, otherwise.
func (c *provisioner) drop(ctx context.Context, name, owner string) error {
	there, err := c.rows(ctx, "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1", name)
	if err != nil || len(there) == 0 {
		return err
	}
	role, inherited := identifier(name), ""
	if c.version >= inheritVersion {
		inherited = " WITH INHERIT TRUE"
	}
	if err := c.run(ctx, "ALTER ROLE "+role+" NOLOGIN", "GRANT "+role+" TO CURRENT_USER"+inherited); err != nil {
		return err
	}
	// A session outlives its role; two seconds are for one that is busy.
	_, err = c.rows(ctx, "SELECT pg_catalog.pg_terminate_backend(pid, 2000)::text FROM pg_catalog.pg_stat_activity WHERE usename = $1", name)
	if err != nil {
		return err
	}
	return c.run(ctx, "REASSIGN OWNED BY "+role+" TO "+identifier(owner), "DROP OWNED BY "+role, "DROP ROLE IF EXISTS "+role)
}

// leftBehind finds the roles that a gateway has made in one of the groups and whose time is over, a while ago: their sessions are, too.
func (c *provisioner) leftBehind(ctx context.Context, groups []string) ([]string, error) {
	list, err := json.Marshal(groups)
	if err != nil {
		return nil, err
	}
	rows, err := c.rows(ctx, `SELECT r.rolname FROM pg_catalog.pg_roles r
		WHERE r.rolname ~ $1 AND NOT r.rolsuper AND r.rolvaliduntil < pg_catalog.clock_timestamp() - interval '2 seconds'
		AND EXISTS (SELECT FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
			WHERE m.member = r.oid AND g.rolname IN (SELECT pg_catalog.json_array_elements_text($2::json)))
		ORDER BY r.rolvaliduntil LIMIT `+strconv.Itoa(maxLeftBehind), minted.String(), string(list))
	names := make([]string, len(rows))
	for i, row := range rows {
		names[i] = row[0]
	}
	return names, err
}

// identifier quotes a name.
func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// verifierOf is what PostgreSQL stores of a password, so that it need not be told the password
// (https://www.postgresql.org/docs/current/catalog-pg-authid.html).
func verifierOf(password string) (string, error) {
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		return "", fmt.Errorf("derive SCRAM verifier: %w", err)
	}
	salt := make([]byte, verifierSalt)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: verifierIterations})
	if err != nil {
		return "", fmt.Errorf("derive SCRAM verifier: %w", err)
	}
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", verifierIterations, encode(salt), encode(stored.StoredKey), encode(stored.ServerKey)), nil
}
