package inspect

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"
)

// maxMessage bounds one message of the backend: all of a pg_hba.conf.
const maxMessage = 4 << 20

// errNoCancel keeps pgconn from opening a connection of its own: what takes too long ends by statement_timeout.
var errNoCancel = errors.New("nothing is cancelled")

// Over uses a connection that is authenticated, idle, and positioned behind ReadyForQuery. Whoever gave it ends it.
func Over(conn net.Conn) (*pgconn.PgConn, error) {
	pg, err := pgconn.Construct(&pgconn.HijackedConn{
		Conn: conn, TxStatus: 'I', ParameterStatuses: make(map[string]string),
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
		return nil, fmt.Errorf("use session: %w", err)
	}
	return pg, nil
}
