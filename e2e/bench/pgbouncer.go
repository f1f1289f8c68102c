package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/e2e/stack"
)

// pgbouncerName is Debian's; a newer one has its version behind it.
const pgbouncerName = "PgBouncer"

// debianPgBouncer is not in everybody's PATH.
const debianPgBouncer = "/usr/sbin/pgbouncer"

// pgbouncerSettings do what the gateway does on its two sides: TLS, SCRAM, and
// towards PostgreSQL a verified certificate and one of its own. In session
// mode a client has its own PostgreSQL session, as with the gateway.
const pgbouncerSettings = `[databases]
%[1]s = host=127.0.0.1 port=%[2]d dbname=%[1]s

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %[3]d
unix_socket_dir =
pool_mode = session
default_pool_size = %[4]d
max_client_conn = %[4]d
auth_type = scram-sha-256
auth_file = userlist.txt
client_tls_sslmode = require
client_tls_cert_file = server.crt
client_tls_key_file = server.key
server_tls_sslmode = verify-full
server_tls_ca_file = backend-ca.crt
server_tls_cert_file = client.crt
server_tls_key_file = client.key
`

// pgbouncer is one that is installed.
type pgbouncer struct{ name, path, version string }

// findPgBouncers finds Debian's, and the one in PATH if that is newer. Where
// there is but one, that is it, whoever's it is.
func findPgBouncers(ctx context.Context, debian string) ([]pgbouncer, error) {
	var found []pgbouncer
	paths := []string{debian}
	if path, err := exec.LookPath("pgbouncer"); err == nil {
		paths = append(paths, path)
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		out, err := exec.CommandContext(ctx, path, "--version").Output()
		if err != nil {
			return nil, fmt.Errorf("ask %s for its version: %w", path, err)
		}
		p := pgbouncer{name: pgbouncerName, path: path, version: firstLine(out)}
		if len(found) > 0 {
			if !newer(p.version, found[0].version) {
				continue
			}
			p.name = p.version // which begins with the name
		}
		found = append(found, p)
	}
	if len(found) == 0 {
		return nil, errors.New("find pgbouncer: there is none; install the package pgbouncer")
	}
	return found, nil
}

// newer compares what two PgBouncers say of themselves: "PgBouncer 1.25.2".
func newer(a, b string) bool { return slices.Compare(versionOf(a), versionOf(b)) > 0 }

func versionOf(said string) (numbers []int) {
	_, version, _ := strings.Cut(said, " ")
	for part := range strings.SplitSeq(version, ".") {
		digits := strings.TrimRightFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		n, err := strconv.Atoi(digits)
		if err != nil {
			return numbers
		}
		numbers = append(numbers, n)
	}
	return numbers
}

func (p pgbouncer) start(ctx context.Context, b *bench) (_ *target, err error) {
	dir, err := b.newDir("pgbouncer")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	ca, log := dir+"-ca.crt", dir+".log"
	prefix := fmt.Sprintf("bench_pgbouncer_%d", port)
	logins, err := b.createLogins(ctx, prefix, login{port: port, caFile: ca})
	if err != nil {
		return nil, err
	}
	userlist, err := b.userlist(ctx, logins[:])
	if err != nil {
		return nil, err
	}
	if err := b.writePgBouncer(dir, ca, userlist, port); err != nil {
		return nil, err
	}
	cmd, err := p.run(dir, log)
	if err != nil {
		return nil, err
	}
	t := &target{version: p.version, roles: prefix + "%", proxy: daemon{cmd}, logins: logins}
	err = poll(ctx, func(ctx context.Context) error {
		conn, err := logins[reader].connect(ctx)
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
	if err != nil {
		text, _ := os.ReadFile(log)
		return nil, errors.Join(fmt.Errorf("%w; its log says\n%s", err, text), t.proxy.stop())
	}
	return t, nil
}

// userlist has the verifiers that PostgreSQL has: with them PgBouncer needs no
// password, it logs in with the keys that the client's login gave it.
func (b *bench) userlist(ctx context.Context, logins []login) (string, error) {
	var out strings.Builder
	for _, l := range logins {
		verifier, err := b.query(ctx, "SELECT rolpassword FROM pg_authid WHERE rolname = $1", l.user)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "%q %q\n", l.user, verifier)
	}
	return out.String(), nil
}

// writePgBouncer makes its directory, and the authority that its clients trust.
func (b *bench) writePgBouncer(dir, ca, userlist string, port int) error {
	authority, err := certs.New("Sallyport bench")
	if err != nil {
		return err
	}
	certificate, key, err := authority.Issue(certs.Request{
		CommonName: "pgbouncer", DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true,
	})
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"server.crt": certificate, "server.key": key, "userlist.txt": []byte(userlist),
		"pgbouncer.ini": fmt.Appendf(nil, pgbouncerSettings, stack.App, b.services.Postgres.Port, port, maxConnections),
	}
	for name, source := range map[string]string{
		"backend-ca.crt": b.services.CAFile, "client.crt": b.services.ClientCertificate, "client.key": b.services.ClientKey,
	} {
		if files[name], err = os.ReadFile(source); err != nil {
			return err
		}
	}
	if err := os.WriteFile(ca, authority.CertPEM(), 0o600); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// run runs it as another user if we are root, which it refuses to run as.
func (p pgbouncer) run(dir, log string) (*exec.Cmd, error) {
	cmd := exec.Command(p.path, "pgbouncer.ini")
	// A group of its own: a Ctrl-C in the terminal is for us.
	cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		credential, err := ordinaryUser()
		if err != nil {
			return nil, err
		}
		cmd.SysProcAttr.Credential = credential
		if err := handOver(dir, credential); err != nil {
			return nil, err
		}
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, cmd.Start()
}
