package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/e2e/stack"
)

const pgbouncerName = "PgBouncer"

const (
	// pgbouncerPool has a session for every client of any workload.
	pgbouncerPool = 100
	// stopPatience is how long a proxy may take to end once asked to.
	stopPatience = 10 * time.Second
)

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
max_client_conn = 1000
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

// daemon is a proxy that is a process of ours.
type daemon struct {
	cmd *exec.Cmd
}

func (d daemon) pid() int                        { return d.cmd.Process.Pid }
func (daemon) settle(context.Context, int) error { return nil }

func (d daemon) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timer := time.AfterFunc(stopPatience, func() { _ = d.cmd.Process.Kill() })
	defer timer.Stop()
	var exit *exec.ExitError
	if err := d.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

func (b *bench) startPgBouncer(ctx context.Context) (_ *target, err error) {
	const role = "bench_pgbouncer"
	program, version, err := findPgBouncer(ctx)
	if err != nil {
		return nil, err
	}
	password, err := b.createRole(ctx, role)
	if err != nil {
		return nil, err
	}
	// With the verifier that PostgreSQL has, PgBouncer needs no password: it
	// logs in with the keys that the client's login gave it.
	verifier, err := b.query(ctx, "SELECT rolpassword FROM pg_authid WHERE rolname = $1", role)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, ca := b.path("pgbouncer"), b.path("pgbouncer-ca.crt")
	if err := b.writePgBouncer(dir, ca, fmt.Sprintf("%q %q\n", role, verifier), port); err != nil {
		return nil, err
	}
	cmd, err := startPgBouncer(program, dir, b.path("pgbouncer.log"))
	if err != nil {
		return nil, err
	}
	t := &target{
		name: pgbouncerName, version: version, roles: role, proxy: daemon{cmd},
		env: connection(port, role, password, ca),
	}
	dsn := fmt.Sprintf("host=127.0.0.1 port=%d dbname=%s user=%s password=%s sslmode=verify-full sslrootcert=%s", port, stack.App, role, password, ca)
	err = poll(ctx, func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
	if err != nil {
		log, _ := os.ReadFile(b.path("pgbouncer.log"))
		return nil, errors.Join(fmt.Errorf("%w; its log says\n%s", err, log), t.proxy.stop())
	}
	return t, nil
}

// findPgBouncer prefers Debian's, which is not in everybody's PATH.
func findPgBouncer(ctx context.Context) (path, version string, err error) {
	path = "/usr/sbin/pgbouncer"
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath("pgbouncer"); err != nil {
			return "", "", fmt.Errorf("find pgbouncer: %w; install the package pgbouncer", err)
		}
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", "", fmt.Errorf("ask pgbouncer for its version: %w", err)
	}
	return path, firstLine(out), nil
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
		"pgbouncer.ini": fmt.Appendf(nil, pgbouncerSettings, stack.App, b.services.Postgres.Port, port, pgbouncerPool),
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
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// startPgBouncer runs it as another user if we are root, which it refuses to run as.
func startPgBouncer(program, dir, log string) (*exec.Cmd, error) {
	cmd := exec.Command(program, "pgbouncer.ini")
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

// ordinaryUser is one that a Debian machine has.
func ordinaryUser() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("find a user to run PgBouncer as: there is neither postgres nor nobody")
}

// handOver gives a directory and its files to a user.
func handOver(dir string, to *syscall.Credential) error {
	return filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, int(to.Uid), int(to.Gid))
	})
}

const (
	// Ports are chosen below those that the kernel gives to outgoing
	// connections: any of those could take it before PgBouncer does.
	firstPort, lastPort = 20000, 32767
	// portAttempts bounds the search.
	portAttempts = 1000
)

func freePort() (int, error) {
	for range portAttempts {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("find a free port: there is none")
}
