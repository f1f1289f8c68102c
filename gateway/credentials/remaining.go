package credentials

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"
)

// shortLived are the names of roles that were made for one session: Vault's own (v-…) and ours (s-…).
const shortLived = `^[vs]-`

// Role is a role that was made for one session and is still there.
type Role struct {
	Name     string
	Expires  time.Time // VALID UNTIL: nobody logs in with it afterwards
	Sessions int       // that it has now
}

// Roles asks a database's server for the roles that were made for one session, the oldest end first. Every role may ask that, so the
// catalog's session does. It takes over the connection and closes it.
func Roles(ctx context.Context, conn net.Conn) ([]Role, error) {
	c, err := provision(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("ask for roles: %w", err)
	}
	defer c.end(ctx)
	rows, err := c.rows(ctx, `SELECT r.rolname, extract(epoch FROM r.rolvaliduntil)::bigint::text,
			(SELECT count(*) FROM pg_catalog.pg_stat_activity a WHERE a.usename = r.rolname)::text
		FROM pg_catalog.pg_roles r
		WHERE r.rolname ~ $1 AND r.rolcanlogin AND r.rolvaliduntil < 'infinity' ORDER BY r.rolvaliduntil LIMIT `+strconv.Itoa(maxLeftBehind), shortLived)
	if err != nil {
		return nil, fmt.Errorf("ask for roles: %w", err)
	}
	roles := make([]Role, len(rows))
	for i, row := range rows {
		end, err := strconv.ParseInt(row[1], 10, 64)
		if err != nil {
			return nil, errMalformed
		}
		sessions, err := strconv.Atoi(row[2])
		if err != nil {
			return nil, errMalformed
		}
		roles[i] = Role{Name: row[0], Expires: c.asked.Add(time.Unix(end, 0).Sub(c.clock)).Round(time.Second), Sessions: sessions}
	}
	return roles, nil
}
