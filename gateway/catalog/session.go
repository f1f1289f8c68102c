package catalog

import (
	"context"
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
)

// Session is a session that a Catalog reads over. It is the Catalog's own: nobody else uses it.
type Session struct {
	// Conn is authenticated, idle, and positioned behind ReadyForQuery.
	Conn net.Conn

	// Keep runs beside the reading until its ctx ends. An error before that says that the session has to be replaced. nil: it needs nothing.
	Keep func(ctx context.Context) error

	// Close ends the session and closes Conn. It is called once. What a session that is not idle was running may run still.
	Close func(idle bool)
}

const (
	// statementTime is how long one query may take. The longest, over the columns, takes a hundredth of it with 10,000 tables.
	statementTime = 30 * time.Second
	// lockTime is how long the text of a view may have to wait for somebody who has locked what the view reads.
	lockTime = 100 * time.Millisecond
	// maxMessage bounds one message of the backend. The longest has a view's text, whose characters have four bytes at most.
	maxMessage = 5 * maxDefinition
)

// settings make the backend write every name out, wait for nobody for long, and spend no more on planning than on the queries. They are
// set here so that what the role and the database have does not count.
var settings = [...][2]string{
	{"search_path", ""},
	{"default_transaction_read_only", "on"},
	{"statement_timeout", strconv.FormatInt(statementTime.Milliseconds(), 10)},
	{"lock_timeout", strconv.FormatInt(lockTime.Milliseconds(), 10)},
	{"idle_in_transaction_session_timeout", strconv.FormatInt(statementTime.Milliseconds(), 10)},
	{"quote_all_identifiers", "off"},
	{"jit", "off"},
	{"max_parallel_workers_per_gather", "0"},
	{"plan_cache_mode", "force_generic_plan"},
}

// errNoCancel keeps pgconn from opening a connection of its own to send a cancel request over, which is Session.Close's to do.
var errNoCancel = errors.New("cancel requests are sent by the session's owner")

// connection is a Session in use.
type connection struct {
	session *Session
	pg      *pgconn.PgConn
}

// use takes over a session. close ends it.
func use(session *Session) (*connection, error) {
	pg, err := pgconn.Construct(&pgconn.HijackedConn{
		Conn: session.Conn, TxStatus: 'I', ParameterStatuses: make(map[string]string),
		// None of pgconn's defaults, which come from the environment and service files.
		Config: &pgconn.Config{
			BuildFrontend:             pgproto3.NewFrontend,
			MaxProtocolMessageBodyLen: maxMessage,
			BuildContextWatcherHandler: func(pg *pgconn.PgConn) ctxwatch.Handler {
				return &pgconn.DeadlineContextWatcherHandler{Conn: pg.Conn()}
			},
			OnPgError: func(_ *pgconn.PgConn, err *pgconn.PgError) bool { return err.Severity != "FATAL" },
			DialFunc:  func(context.Context, string, string) (net.Conn, error) { return nil, errNoCancel },
		},
	})
	if err != nil {
		return nil, fmt.Errorf("use catalog session: %w", err)
	}
	return &connection{session: session, pg: pg}, nil
}

// prepare makes the session ready to be read over.
func (c *connection) prepare(ctx context.Context) error {
	for _, s := range settings {
		if err := c.run(ctx, "SELECT pg_catalog.set_config($1, $2, false)", s[0], s[1]); err != nil {
			return fmt.Errorf("set %s: %w", s[0], err)
		}
	}
	if _, err := c.pg.Prepare(ctx, digestStatement, digestSQL, nil); err != nil {
		return fmt.Errorf("prepare the digest: %w", err)
	}
	return nil
}

// close ends the session, and returns when nothing of it is left.
func (c *connection) close() {
	idle := !c.pg.IsClosed() && !c.pg.IsBusy()
	c.session.Close(idle)
	if c.pg.IsClosed() {
		<-c.pg.CleanupDone()
	}
}

// query is one that returns rows.
type query struct {
	sql  string // its $1 is how many rows to return at most
	most int
	what string // the rows are, for the error that says that there are too many
}

// rows gives take each row, which is good until take returns.
func (c *connection) rows(ctx context.Context, q query, take func(*row)) error {
	result := c.pg.ExecParams(ctx, q.sql, parameters(strconv.Itoa(q.most+1)), nil, nil, nil)
	number, err := each(result, take)
	switch {
	case err != nil:
		return fmt.Errorf("read %s: %w", q.what, err)
	case number > q.most:
		return fmt.Errorf("read %s: there are more than %d", q.what, q.most)
	}
	return nil
}

// run runs what returns nothing of interest.
func (c *connection) run(ctx context.Context, sql string, values ...string) error {
	_, err := each(c.pg.ExecParams(ctx, sql, parameters(values...), nil, nil, nil), func(*row) {})
	return err
}

func parameters(values ...string) [][]byte {
	encoded := make([][]byte, len(values))
	for i, value := range values {
		encoded[i] = []byte(value)
	}
	return encoded
}

// each reads a result to its end, and says how many rows it had.
func each(result *pgconn.ResultReader, take func(*row)) (number int, err error) {
	var r row
	for result.NextRow() {
		r.fields = result.Values()
		if number++; r.err == nil {
			take(&r)
		}
	}
	_, err = result.Close()
	return number, errors.Join(err, r.err)
}

// row is a row in text format. Its methods note what is not as it was asked for; the first such note makes the query fail.
type row struct {
	fields [][]byte
	err    error
}

var errMalformed = errors.New("the backend sent a row of another form")

// bytes is nil for NULL.
func (r *row) bytes(i int) []byte {
	if i >= len(r.fields) {
		r.err = errMalformed
		return nil
	}
	return r.fields[i]
}

func (r *row) text(i int) string { return string(r.bytes(i)) }

func (r *row) flag(i int) bool { return string(r.bytes(i)) == "t" }

func (r *row) oid(i int) uint32 {
	n, err := strconv.ParseUint(r.text(i), 10, 32)
	if err != nil {
		r.err = errMalformed
	}
	return uint32(n) // #nosec G115 -- parsed as 32 bits
}

func (r *row) number(i int) int {
	n, err := strconv.ParseInt(r.text(i), 10, 32)
	if err != nil {
		r.err = errMalformed
	}
	return int(n)
}

// texts decodes an array of texts in JSON.
func (r *row) texts(i int) []string {
	var list []string
	if err := json.Unmarshal(r.bytes(i), &list); err != nil {
		r.err = errMalformed
	}
	return list
}

// array encodes OIDs as PostgreSQL's array literal.
func array(oids []uint32) string {
	var b strings.Builder
	for i, oid := range oids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(oid), 10))
	}
	return "{" + b.String() + "}"
}
