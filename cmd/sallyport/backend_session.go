package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/backend/inspect"
	"github.com/sallyport/sallyport/gateway/config"
)

// inspectTime bounds the look at one database.
const inspectTime = 2 * time.Minute

// passwordVariable is where PostgreSQL's own clients look.
const passwordVariable = "PGPASSWORD"

// backendLook is who looks, and what is known of the databases besides the configuration.
type backendLook struct {
	user, passwordFile, dsnFile string
	owner                       string
	groups, expected            []string
	gateways                    []netip.Prefix
}

func (l *backendLook) define(flags *flag.FlagSet) {
	add := func(list *[]string) func(string) error {
		return func(text string) error {
			*list = append(*list, text)
			return nil
		}
	}
	flags.StringVar(&l.user, "user", "", "look as this `role`, a superuser for instance, in place of one that the gateway's credentials give; its password is in --password-file or "+passwordVariable)
	flags.StringVar(&l.passwordFile, "password-file", "", "the `file` with the role's password")
	flags.StringVar(&l.dsnFile, "dsn-file", "", "a `file` with a connection string, to look over that connection, a local socket for instance")
	flags.StringVar(&l.owner, "owner", "", "the `role` that gets what sessions leave, as Vault's revocation statements have it")
	flags.Func("group", "a `role` whose members sessions are; those of the sessions that are there, and of minted.groups, are known", add(&l.groups))
	flags.Func("expect", "a `role` that is meant to log in past the gateway: Vault's, one for backups", add(&l.expected))
	flags.Func("gateway", "an address or a `network` of gateways; default: where this command comes from", l.gateway)
}

func (l *backendLook) misused() string {
	switch {
	case l.user != "" && l.dsnFile != "":
		return "--user and --dsn-file exclude each other"
	case l.passwordFile != "" && l.user == "":
		return "--password-file needs --user"
	}
	return ""
}

// database looks at one.
func (l *backendLook) database(ctx context.Context, c *config.Config, known *databaseCatalogs, name string) (report inspect.Report, err error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	pg, done, err := l.session(ctx, c, known, name)
	if err != nil {
		return report, err
	}
	defer done()
	return inspect.Inspect(ctx, pg, l.about(c.Databases[name]))
}

// session opens one, as the flags say or with a credential of the gateway's. done ends it.
func (l *backendLook) session(ctx context.Context, c *config.Config, known *databaseCatalogs, name string) (pg *pgconn.PgConn, done func(), err error) {
	switch {
	case l.dsnFile != "":
		return l.byDSN(ctx, c.Databases[name].Name)
	case l.user != "":
		return l.byPassword(ctx, c, name)
	}
	sessions, err := known.anySessions(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	session, err := sessions.Open(ctx)
	if err != nil {
		return nil, nil, err
	}
	if pg, err = inspect.Over(session.Conn); err != nil {
		session.Close(true)
		return nil, nil, err
	}
	return pg, func() { session.Close(true) }, nil
}

// anySessions are a database's, by its catalog's role, or else by one of the policy's.
func (d *databaseCatalogs) anySessions(ctx context.Context, database string) (gateway.CatalogSessions, error) {
	section := d.config.Databases[database]
	role := ""
	if roles := slices.Sorted(maps.Keys(section.VaultRoles)); len(roles) > 0 {
		role = section.VaultRoles[roles[0]]
	}
	if section.Catalog != nil {
		role = section.Catalog.VaultRole
	}
	if role == "" {
		return gateway.CatalogSessions{}, errors.New("the gateway has no credential of its own for this database: --user or --dsn-file")
	}
	source, err := d.issuer(ctx, database)
	if err != nil {
		return gateway.CatalogSessions{}, err
	}
	return gateway.CatalogSessions{
		Hosts: catalogHosts(d.backend[database].Hosts), VaultRole: role, Credentials: source,
		Revoker: source.Revoker(), Logger: slog.New(slog.DiscardHandler),
	}, nil
}

// byPassword opens a session as any role, to where and as verified as the gateway's are.
func (l *backendLook) byPassword(ctx context.Context, c *config.Config, name string) (*pgconn.PgConn, func(), error) {
	text := []byte(os.Getenv(passwordVariable))
	if l.passwordFile != "" {
		var err error
		if text, err = os.ReadFile(l.passwordFile); err != nil {
			return nil, nil, err
		}
	}
	password := backend.Password(strings.TrimSpace(string(text)))
	databases, err := c.Backends()
	if err != nil {
		return nil, nil, err
	}
	cfg := databases[name].Backend
	cfg.AllowSuperuser = true
	session, err := backend.Open(ctx, cfg, l.user, password, []backend.Parameter{
		{Name: "client_encoding", Value: "UTF8"}, {Name: "application_name", Value: "sallyport backend check"},
	})
	if err != nil {
		return nil, nil, err
	}
	pg, err := inspect.Over(session.Conn)
	return pg, func() { ended(pg, session.Conn) }, err
}

// byDSN opens one by a connection string.
func (l *backendLook) byDSN(ctx context.Context, database string) (*pgconn.PgConn, func(), error) {
	text, err := os.ReadFile(l.dsnFile)
	if err != nil {
		return nil, nil, err
	}
	cfg, err := pgconn.ParseConfig(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, nil, fmt.Errorf("%s is no connection string that could be read", l.dsnFile) // the error might quote it
	}
	cfg.Database = database
	pg, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	return pg, func() { ended(pg, pg.Conn()) }, nil
}

// ended ends a session.
func ended(pg *pgconn.PgConn, conn net.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = pg.Close(ctx)
	_ = conn.Close()
}
