package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Severity is how much a finding matters.
type Severity string

// The severities: a way around the gateway or out of the database, help on such a way, and what is better otherwise.
const (
	High   Severity = "high"
	Medium Severity = "medium"
	Low    Severity = "low"
)

// Finding is something to be put right.
type Finding struct {
	Check    string   `json:"check"` // its name, constant
	Severity Severity `json:"severity"`
	Cluster  bool     `json:"cluster"` // it is the whole server's, not the database's
	What     string   `json:"what"`
	Why      string   `json:"why"`
	Fix      []string `json:"fix"` // statements of SQL, lines of pg_hba.conf, or what else to do: see Kind
	Kind     Kind     `json:"fix_kind"`
}

// Kind is what a fix is.
type Kind string

// The kinds.
const (
	SQL     Kind = "sql"         // statements, to be run in the database that was looked at
	HBA     Kind = "pg_hba.conf" // a line in place of the one that was found
	Command Kind = "command"     // something to do by hand
)

// Unseen is what could not be looked at.
type Unseen struct {
	Check string `json:"check"`
	What  string `json:"what"`
	Why   string `json:"why"`
}

// Report is what was found in one database.
type Report struct {
	Version  string    `json:"server_version"`
	Role     string    `json:"role"` // that looked
	Holes    string    `json:"releases_as_of"`
	Findings []Finding `json:"findings"`
	Unseen   []Unseen  `json:"unseen"`
}

// About is what the gateway's configuration says of a database, and when.
type About struct {
	Day      time.Time      // by which the support of releases has ended or not; zero: today
	Gateways []netip.Prefix // where gateways connect from; empty: where this session comes from
	Groups   []string       // whose members the roles of sessions are; those of the sessions that are there need not be named
	Logins   []string       // roles that are meant to log in: the provisioning role, static accounts, Vault's own, monitoring
	Owner    string         // gets what sessions leave; "": not known
	Owners   map[string]string
	Schemas  []string // the search_path of sessions
}

// sessionRoles are the names of roles that are made for one session: Vault's own and the gateway's.
const sessionRoles = `^[vs]-`

// inspection is one look at one database.
type inspection struct {
	pg     *pgconn.PgConn
	about  About
	facts  string // what queries know of about, as JSON
	report Report
}

// Inspect looks at the database of a session. The caller closes it. An error is that the session was lost.
func Inspect(ctx context.Context, pg *pgconn.PgConn, about About) (Report, error) {
	if about.Day.IsZero() {
		about.Day = time.Now()
	}
	i := &inspection{pg: pg, about: about, report: Report{Findings: []Finding{}, Unseen: []Unseen{}}}
	if err := i.begin(ctx); err != nil {
		return Report{}, err
	}
	for _, c := range checks() {
		if err := i.look(ctx, c); err != nil {
			return Report{}, err
		}
	}
	for _, look := range []func(context.Context) error{i.hba, i.owners} {
		if err := look(ctx); err != nil {
			return Report{}, err
		}
	}
	order := map[Severity]int{High: 0, Medium: 1, Low: 2}
	slices.SortStableFunc(i.report.Findings, func(a, b Finding) int { return order[a.Severity] - order[b.Severity] })
	return i.report, nil
}

// begin sets what the queries rely on, and learns who sessions are members of.
func (i *inspection) begin(ctx context.Context) error {
	for _, set := range []string{"SET search_path = ''", "SET default_transaction_read_only = on", "SET statement_timeout = '30s'", "SET lock_timeout = '1s'"} {
		if err := i.pg.Exec(ctx, set).Close(); err != nil {
			return fmt.Errorf("prepare session: %w", err)
		}
	}
	rows, err := i.rows(ctx, `SELECT current_setting('server_version'), current_setting('server_version_num'), session_user,
		coalesce(host(inet_client_addr()), ''), coalesce((SELECT json_agg(DISTINCT g.rolname) FROM pg_auth_members m
			JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid
			WHERE r.rolname ~ '`+sessionRoles+`' AND r.rolcanlogin AND isfinite(r.rolvaliduntil))::text, '[]')
		FROM (SELECT) AS one`)
	if err != nil || len(rows) != 1 {
		return fmt.Errorf("ask who is there: %w", errors.Join(err, errRows(rows)))
	}
	row := rows[0]
	var groups []string
	if err := json.Unmarshal([]byte(row[4]), &groups); err != nil {
		return fmt.Errorf("ask who is there: %w", err)
	}
	i.about.Groups = slices.Compact(slices.Sorted(slices.Values(append(groups, i.about.Groups...))))
	if address, err := netip.ParseAddr(row[3]); err == nil && len(i.about.Gateways) == 0 {
		i.about.Gateways = []netip.Prefix{netip.PrefixFrom(address, address.BitLen())}
	}
	i.report.Version, i.report.Role, i.report.Holes = row[0], row[2], releasesOf
	facts, err := json.Marshal(map[string][]string{
		"groups": i.about.Groups, "logins": append(slices.Clone(i.about.Logins), row[2]), "schemas": i.about.Schemas,
	})
	i.facts = string(facts)
	i.release(row[0], row[1])
	return err
}

func errRows(rows [][]string) error {
	if len(rows) != 1 {
		return errors.New("not one row")
	}
	return nil
}

// look makes findings of what a check's query gives.
func (i *inspection) look(ctx context.Context, c check) error {
	rows, seen, err := i.ask(ctx, c.name, c.what, c.query)
	if err != nil || !seen {
		return err
	}
	for _, row := range rows {
		i.report.Findings = append(i.report.Findings, c.finding(row))
	}
	return nil
}

// ask runs a query of a check. seen is false when it was not let to, which is reported.
func (i *inspection) ask(ctx context.Context, name, what, query string) (rows [][]string, seen bool, err error) {
	rows, err = i.rows(ctx, "WITH about(facts) AS (SELECT $1::pg_catalog.jsonb) "+query, i.facts)
	var refused *pgconn.PgError
	switch {
	case err == nil:
		return rows, true, nil
	case errors.As(err, &refused) && !i.pg.IsClosed():
		i.report.Unseen = append(i.report.Unseen, Unseen{name, what, fmt.Sprintf("%s (SQLSTATE %s)", refused.Message, refused.Code)})
		return nil, false, nil
	}
	return nil, false, fmt.Errorf("look at %s: %w", name, err)
}

// rows runs a query whose rows are few; NULL is "".
func (i *inspection) rows(ctx context.Context, query string, values ...string) ([][]string, error) {
	parameters := make([][]byte, len(values))
	for n, value := range values {
		parameters[n] = []byte(value)
	}
	result := i.pg.ExecParams(ctx, query, parameters, nil, nil, nil).Read()
	rows := make([][]string, len(result.Rows))
	for n, row := range result.Rows {
		for _, field := range row {
			rows[n] = append(rows[n], strings.ToValidUTF8(string(field), "?"))
		}
	}
	return rows, result.Err
}
