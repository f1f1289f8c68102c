package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/e2e/stack"
)

// account is a kind of client: what the default policy lets it do is what the
// grants in PostgreSQL let it do where there is no policy.
type account int

const (
	reader   account = iota // reads the tables
	writer                  // reads and writes their rows
	accounts                // how many there are
)

// group is the role that an account's roles in PostgreSQL inherit from.
func (a account) group() string { return [accounts]string{"app_readonly", "app_readwrite"}[a] }

// login is how a client gets in somewhere. The password is a token where that is what people have.
type login struct {
	port             int
	user, password   string
	caFile           string
	certificate, key string // "" where none is asked for
}

// env is what libpq is told.
func (l login) env() []string {
	env := []string{
		// The address too: localhost may be ::1 first, where nobody listens.
		"PGHOST=localhost", "PGHOSTADDR=127.0.0.1", "PGPORT=" + strconv.Itoa(l.port), "PGDATABASE=" + stack.App,
		"PGUSER=" + l.user, "PGPASSWORD=" + l.password, "PGSSLMODE=verify-full", "PGSSLROOTCERT=" + l.caFile,
		"PGGSSENCMODE=disable", "PGCONNECT_TIMEOUT=30",
	}
	if l.certificate != "" {
		env = append(env, "PGSSLCERT="+l.certificate, "PGSSLKEY="+l.key)
	}
	return env
}

// config is the same for pgx.
func (l login) config() (*pgconn.Config, error) {
	settings := url.Values{"sslmode": {"verify-full"}, "sslrootcert": {l.caFile}}
	if l.certificate != "" {
		settings.Set("sslcert", l.certificate)
		settings.Set("sslkey", l.key)
	}
	address := url.URL{
		Scheme: "postgresql", User: url.UserPassword(l.user, l.password), Host: "127.0.0.1:" + strconv.Itoa(l.port), Path: "/" + stack.App,
		RawQuery: settings.Encode(),
	}
	return pgconn.ParseConfig(address.String())
}

// connect logs in with pgx, and verifies the cipher suite.
func (l login) connect(ctx context.Context, change ...func(*pgconn.Config)) (*pgconn.PgConn, error) {
	config, err := l.config()
	if err != nil {
		return nil, err
	}
	for _, f := range change {
		f(config)
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := checkConnection(conn); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

func checkConnection(conn *pgconn.PgConn) error {
	client, ok := conn.Conn().(*tls.Conn)
	if !ok {
		return errors.New("the client's connection has no TLS")
	}
	state := client.ConnectionState()
	return checkSuite("client", "TLSv"+tls.VersionName(state.Version)[len("TLS "):]+" "+tls.CipherSuiteName(state.CipherSuite))
}

// createLogins makes a role for each account that may do in PostgreSQL what
// those can that Vault mints for the gateway's clients.
func (b *bench) createLogins(ctx context.Context, prefix string, base login) (logins [accounts]login, err error) {
	for a := range accounts {
		logins[a] = base
		logins[a].user = fmt.Sprintf("%s_%d", prefix, a)
		if logins[a].password, err = b.createRole(ctx, logins[a].user, a.group()); err != nil {
			return logins, err
		}
	}
	return logins, nil
}
