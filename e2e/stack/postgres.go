package stack

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed sql/cluster.sql
var clusterSQL string

//go:embed sql/grants.sql
var grantsSQL string

//go:embed sql/app.sql
var appSQL string

//go:embed sql/scratch.sql
var scratchSQL string

// provisioner is the role with which gateways make roles themselves.
const provisioner = "sallyport"

const (
	clusterPrefix = "sallyport-pg-"
	leftoverLink  = "postgres.data"
)

// fastShutdown is how long PostgreSQL may take to end: nothing is synced.
const fastShutdown = 20 * time.Second

// defaultMaxConnections is enough for tests that run side by side.
const defaultMaxConnections = 300

// Databases are the names of the databases served.
const (
	App     = "app"
	Scratch = "scratch"
)

// Postgres is a private cluster that speaks TLS on 127.0.0.1 only.
type Postgres struct {
	Bin  string // directory of its programs
	root string // the repository's
	Port int
	Log  string // every statement, with role, database and application_name

	password      string // of the superuser postgres
	vaultPassword string
	// ProvisioningPassword is of the role with which gateways make roles
	// themselves.
	ProvisioningPassword string
	caFile               string // of its certificate
	base                 string // removed with everything in it
	// maxConnections is PostgreSQL's setting.
	maxConnections int
	process        *process
}

// pgFiles are the certificates a cluster needs, PEM.
type pgFiles struct {
	certificate, key []byte
	clientCA         []byte // issuer of the certificates that Vault's roles need
	caFile           string // issuer of the first, a file that stays
}

// startPostgres makes a cluster and fills it. Its directory is under the
// system's temporary one: the account it runs as cannot look into ours.
func startPostgres(ctx context.Context, root, bin, log string, port, maxConnections int, files pgFiles) (_ *Postgres, err error) {
	owner, err := backendAccount()
	if err != nil {
		return nil, err
	}
	base, err := os.MkdirTemp("", clusterPrefix)
	if err != nil {
		return nil, fmt.Errorf("make directory for PostgreSQL: %w", err)
	}
	// The link outlives us if we are killed, for [RemoveLeftovers].
	if err := os.Symlink(base, filepath.Join(filepath.Dir(log), leftoverLink)); err != nil {
		return nil, errors.Join(fmt.Errorf("make directory for PostgreSQL: %w", err), os.Remove(base))
	}
	pg := &Postgres{
		Bin: bin, root: root, Port: port, Log: log, base: base, caFile: files.caFile, maxConnections: maxConnections,
		password: rand.Text(), vaultPassword: rand.Text(), ProvisioningPassword: rand.Text(),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, pg.Stop())
		}
	}()
	if err := pg.initialise(ctx, owner, files); err != nil {
		return nil, fmt.Errorf("initialise PostgreSQL: %w", err)
	}
	pg.process, err = start(command{
		name: "PostgreSQL", path: filepath.Join(bin, "postgres"), args: []string{"-D", pg.data()},
		dir: base, log: log, user: owner,
		parent: syscall.SIGQUIT, // immediate shutdown: its children end with it
	})
	if err != nil {
		return nil, err
	}
	if err := pg.process.ready(ctx, pg.ping); err != nil {
		return nil, err
	}
	if err := pg.fill(ctx); err != nil {
		return nil, fmt.Errorf("fill PostgreSQL: %w", err)
	}
	return pg, nil
}

// HBA is its pg_hba.conf.
func (pg *Postgres) HBA() string { return filepath.Join(pg.data(), "pg_hba.conf") }

func (pg *Postgres) data() string { return filepath.Join(pg.base, "data") }

// Stop ends the cluster and removes it.
func (pg *Postgres) Stop() error {
	var err error
	if pg.process != nil {
		err = pg.process.stop(syscall.SIGINT, fastShutdown)
	}
	return errors.Join(err, os.RemoveAll(pg.base))
}

// RemoveLeftovers removes the data of a cluster that was started with this
// directory for its log by a process that was killed.
func RemoveLeftovers(dir string) error {
	link := filepath.Join(dir, leftoverLink)
	base, err := os.Readlink(link)
	if err != nil || !strings.HasPrefix(filepath.Base(base), clusterPrefix) {
		return nil // there is none, or it is not ours
	}
	return errors.Join(os.RemoveAll(base), os.Remove(link))
}

// TrustClients has PostgreSQL take client certificates of one more authority.
func (pg *Postgres) TrustClients(ctx context.Context, authority []byte) error {
	file, err := os.OpenFile(filepath.Join(pg.data(), "clients.crt"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.Write(authority)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return pg.execute(ctx, "postgres", "SELECT pg_reload_conf()")
}

// PID is the postmaster's.
func (pg *Postgres) PID() int { return pg.process.pid() }

// DSN connects a superuser to a database, straight, with verified TLS.
func (pg *Postgres) DSN(database string) string {
	return pg.dsn(url.UserPassword("postgres", pg.password), database)
}

func (pg *Postgres) dsn(user *url.Userinfo, database string) string {
	address := url.URL{
		Scheme: "postgresql", User: user, Host: address(pg.Port), Path: "/" + database,
		RawQuery: url.Values{"sslmode": {"verify-full"}, "sslrootcert": {pg.caFile}}.Encode(),
	}
	return address.String()
}

// ConnectAs opens a connection as any role; a nil certificate is no certificate.
func (pg *Postgres) ConnectAs(ctx context.Context, user, password, database string, certificate *tls.Certificate) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(pg.dsn(url.UserPassword(user, password), database))
	if err != nil {
		return nil, fmt.Errorf("parse DSN: %w", err)
	}
	if certificate != nil {
		config.TLSConfig.Certificates = []tls.Certificate{*certificate}
	}
	return pgx.ConnectConfig(ctx, config)
}

func (pg *Postgres) ping(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, pg.DSN("postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// initialise runs initdb and writes the configuration and the certificates.
func (pg *Postgres) initialise(ctx context.Context, owner *account, files pgFiles) error {
	if err := owner.own(pg.base); err != nil {
		return err
	}
	passwordFile := filepath.Join(pg.base, "password")
	if err := owner.write(passwordFile, []byte(pg.password+"\n")); err != nil {
		return err
	}
	args := []string{
		"-D", pg.data(), "--username=postgres", "--pwfile=" + passwordFile, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
	}
	if err := run(ctx, owner, pg.base, filepath.Join(pg.Bin, "initdb"), args...); err != nil {
		return err
	}
	if err := os.Remove(passwordFile); err != nil {
		return err
	}
	byCertificate, ident, err := certificateLines(ctx, pg.Bin)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"server.crt":           files.certificate,
		"server.key":           files.key,
		"clients.crt":          files.clientCA,
		"pg_hba.conf":          []byte(strings.ReplaceAll(hba, ":certificate", byCertificate)),
		"pg_ident.conf":        []byte(ident),
		"postgresql.auto.conf": []byte(pg.settings()),
	} {
		if err := owner.write(filepath.Join(pg.data(), name), content); err != nil {
			return err
		}
	}
	return nil
}

// hba lets in the two roles that are not Vault's by password, from this
// machine; everyone else only with the gateway's certificate on top of the
// password, so that a credential is useless to whoever steals one. Members of
// two groups come otherwise, with the same certificate; those of a third with
// certificates in their own names. Standbys come as members of a fourth, for
// replication only.
const hba = `# TYPE  DATABASE  USER             ADDRESS       METHOD
hostssl all       postgres,vault,vault_dba,vault_rotated 127.0.0.1/32 scram-sha-256
hostssl replication +by_replication 127.0.0.1/32 scram-sha-256
hostssl all       +by_md5          127.0.0.1/32  md5 clientcert=verify-ca
hostssl all       +by_certificate  127.0.0.1/32  :certificate
hostssl all       +by_own_name     127.0.0.1/32  cert
hostssl all       all              127.0.0.1/32  scram-sha-256 clientcert=verify-ca
`

// certificateLines is how a role that did not exist before is known by the
// certificate of the gateway. Since 16 a pattern in pg_ident.conf can stand
// for such roles; before, the certificate can be demanded, but not mapped.
func certificateLines(ctx context.Context, bin string) (method, ident string, err error) {
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return "", "", fmt.Errorf("ask for PostgreSQL's version: %w", err)
	}
	var major int
	if _, err := fmt.Sscanf(string(out), "postgres (PostgreSQL) %d", &major); err != nil {
		return "", "", fmt.Errorf("read PostgreSQL's version %q: %w", out, err)
	}
	if major < 16 {
		return "trust clientcert=verify-ca", "", nil
	}
	return "cert map=gateway", "gateway sallyport /^v-\n", nil
}

func (pg *Postgres) settings() string {
	settings := [][2]string{
		{"listen_addresses", "127.0.0.1"},
		{"port", strconv.Itoa(pg.Port)},
		{"unix_socket_directories", ""},
		{"max_connections", strconv.Itoa(pg.maxConnections)},
		{"ssl", "on"},
		{"ssl_cert_file", "server.crt"},
		{"ssl_key_file", "server.key"},
		{"ssl_ca_file", "clients.crt"},
		{"password_encryption", "scram-sha-256"},
		{"log_statement", "all"},
		{"log_connections", "on"},
		{"log_disconnections", "on"},
		{"log_line_prefix", "%m [%p] user=%u db=%d app=%a "},
		{"log_timezone", "UTC"},
		{"fsync", "off"}, // the cluster does not outlive its process
		{"synchronous_commit", "off"},
		{"full_page_writes", "off"},
	}
	var out strings.Builder
	for _, s := range settings {
		fmt.Fprintf(&out, "%s = '%s'\n", s[0], s[1])
	}
	return out.String()
}

// fill makes the roles and the databases.
func (pg *Postgres) fill(ctx context.Context) error {
	// Statement by statement: CREATE DATABASE cannot run in a transaction
	// block, and several statements in one message are one.
	cluster := strings.NewReplacer(
		":vault_password", "'"+pg.vaultPassword+"'", ":provisioning_password", "'"+pg.ProvisioningPassword+"'",
	).Replace(clusterSQL)
	if err := pg.execute(ctx, "postgres", strings.SplitAfter(cluster, ";\n")...); err != nil {
		return err
	}
	for _, database := range []string{App, Scratch} {
		if err := pg.deploy(ctx, database); err != nil {
			return err
		}
	}
	if err := pg.execute(ctx, App, grantsSQL, appSQL); err != nil {
		return err
	}
	return pg.execute(ctx, Scratch, scratchSQL)
}

// deploy runs the statements that the repository has for a database.
func (pg *Postgres) deploy(ctx context.Context, database string) error {
	groups, err := deployed(pg.root, "postgresql/database.sql", "app", database)
	if err != nil {
		return err
	}
	scripts := []string{groups}
	for _, role := range []string{"vault", provisioner} {
		grants, err := deployed(pg.root, "postgresql/provisioner.sql", "app", database, "vault", role)
		if err != nil {
			return err
		}
		scripts = append(scripts, grants)
	}
	return pg.execute(ctx, database, scripts...)
}

func (pg *Postgres) execute(ctx context.Context, database string, scripts ...string) error {
	conn, err := pgx.Connect(ctx, pg.DSN(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, script := range scripts {
		if _, err := conn.PgConn().Exec(ctx, script).ReadAll(); err != nil {
			return fmt.Errorf("in database %s: %w", database, err)
		}
	}
	return nil
}
