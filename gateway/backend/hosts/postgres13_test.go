package hosts

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/gateway/backend"
)

// postgres13 is a server that does not report what it is: the last version of which that is so, of the npm package next to node-postgres.
type postgres13 struct {
	bin, home string
	data      string
	owner     *syscall.Credential // nil: ourselves
	port      int
	stop      func()
}

// packaged13 finds the programs. With -short the test is left out, without it their absence is a failure.
func packaged13(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("real PostgreSQL")
	}
	bin, err := filepath.Abs("../../../e2e/clients/node/node_modules/postgres13/native/bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
			t.Skipf("there is no such package for %s/%s", runtime.GOOS, runtime.GOARCH)
		}
		t.Fatalf("there is no PostgreSQL 13 in %s; make test installs it", bin)
	}
	return bin
}

// account is whom a server runs as: it refuses to be root.
func account(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	found, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.ParseUint(found.Uid, 10, 32)
	gid, _ := strconv.ParseUint(found.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (p *postgres13) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir = p.home
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "LD_LIBRARY_PATH=" + p.home + "/lib:" + filepath.Join(p.bin, "../lib")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner}
	return cmd
}

func (p *postgres13) run(t *testing.T, input string, cmd *exec.Cmd) {
	t.Helper()
	// With -j the single-user backend ends a command at a semicolon and an empty line.
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(input, ";\n", ";\n\n"))
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("ERROR:")) {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// begin13 makes a cluster, its certificate, and what trusts that. Its roles are written before it starts.
func begin13(t *testing.T) (*postgres13, *tls.Config) {
	t.Helper()
	home, err := os.MkdirTemp("", "hosts-postgres-") // not t.TempDir: its parent is closed to another user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	p := &postgres13{bin: packaged13(t), home: home, data: filepath.Join(home, "data"), owner: account(t)}
	authority, err := certs.New("test authority")
	if err != nil {
		t.Fatal(err)
	}
	request := certs.Request{CommonName: "db", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true}
	if err := authority.WriteFiles(home, "server", request); err != nil {
		t.Fatal(err)
	}
	p.link(t)
	if p.owner != nil {
		for _, name := range []string{".", "server.key"} {
			if err := os.Chown(filepath.Join(home, name), int(p.owner.Uid), int(p.owner.Gid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.run(t, "", p.command("initdb", "-D", p.data, "-U", "postgres", "-A", "reject", "--no-sync", "-E", "UTF8", "--locale", "C"))
	const hostBased = "hostssl all all 127.0.0.1/32 scram-sha-256\nhost replication follower 127.0.0.1/32 trust\n"
	if err := os.WriteFile(filepath.Join(p.data, "pg_hba.conf"), []byte(hostBased), 0o600); err != nil {
		t.Fatal(err)
	}
	const roles = `set password_encryption = 'scram-sha-256';
create role writer login password 'secret';
create role reader login password 'secret';
alter role reader set default_transaction_read_only = on;
create role follower login replication;
create role boss login superuser password 'secret';
`
	p.run(t, roles, p.command("postgres", "--single", "-j", "-D", p.data, "postgres"))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority.CertPEM())
	return p, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// link makes the links to libraries that the package makes by a script after its installation: no such scripts are run here.
func (p *postgres13) link(t *testing.T) {
	t.Helper()
	libraries, err := filepath.Glob(filepath.Join(p.bin, "../lib/lib*.so.*.*"))
	if err != nil || len(libraries) == 0 {
		t.Fatalf("no libraries beside %s: %v", p.bin, err)
	}
	if err := os.Mkdir(filepath.Join(p.home, "lib"), 0o755); err != nil { // #nosec G301 -- PostgreSQL runs as another account
		t.Fatal(err)
	}
	for _, library := range libraries {
		name, number, _ := strings.Cut(filepath.Base(library), ".so.")
		major, _, _ := strings.Cut(number, ".")
		if err := os.Symlink(library, filepath.Join(p.home, "lib", name+".so."+major)); err != nil {
			t.Fatal(err)
		}
	}
}

// standby is a copy of a cluster that has never run, which follows it when it does.
func (p *postgres13) standby(t *testing.T) *postgres13 {
	t.Helper()
	other := *p
	other.data += "-standby"
	p.run(t, "", exec.Command("cp", "-a", p.data, other.data))
	settings := fmt.Sprintf("primary_conninfo = 'host=127.0.0.1 port=%d user=follower application_name=standby'\n", p.port)
	for name, content := range map[string]string{"standby.signal": "", "postgresql.auto.conf": settings} {
		if err := os.WriteFile(filepath.Join(other.data, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &other
}

// start starts a server at its port, and ends it with the test.
func (p *postgres13) start(t *testing.T) {
	t.Helper()
	log, err := os.Create(p.data + ".log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := p.command("postgres", "-D", p.data, "-p", strconv.Itoa(p.port), "-k", "", "-F", "-c", "listen_addresses=127.0.0.1", "-c", "ssl=on",
		"-c", "ssl_cert_file="+p.home+"/server.crt", "-c", "ssl_key_file="+p.home+"/server.key")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	p.stop = func() {
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		<-ended
	}
	t.Cleanup(p.stop)
}

// freePort is one that nobody listens at.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// cluster13 is a primary, a standby that follows it, and sessions at either.
type cluster13 struct {
	primary, standby *postgres13
	trust            *tls.Config
}

func startCluster13(t *testing.T) *cluster13 {
	t.Helper()
	primary, trust := begin13(t)
	primary.port = freePort(t)
	standby := primary.standby(t)
	standby.port = freePort(t)
	primary.start(t)
	standby.start(t)
	c := &cluster13{primary: primary, standby: standby, trust: trust}
	for _, p := range []*postgres13{primary, standby} {
		c.await(t, p, "boss", "SELECT 'up'", "up")
	}
	return c
}

func (c *cluster13) config(p *postgres13) backend.Config {
	return backend.Config{Host: "127.0.0.1", Port: p.port, Database: "postgres", TLS: c.trust}
}

// set is one of hosts in their order. It knows nothing of them yet.
func (c *cluster13) set(t *testing.T, target Target, hosts ...*postgres13) *Set {
	t.Helper()
	var cfg Config
	for _, p := range hosts {
		cfg.Hosts = append(cfg.Hosts, c.config(p))
	}
	cfg.Target = target
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// await asks until it hears the answer.
func (c *cluster13) await(t *testing.T, p *postgres13, role, question, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		got, err := c.answer(ctx, p, role, question)
		if err == nil && got == want {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			log, _ := os.ReadFile(p.data + ".log")
			t.Fatalf("%s: %q, %v, want %q\n%s", question, got, err, want, log)
		}
	}
}

func (c *cluster13) answer(ctx context.Context, p *postgres13, role, question string) (string, error) {
	cfg := c.config(p)
	cfg.AllowSuperuser = role == "boss"
	session, err := backend.Open(ctx, cfg, role, backend.Password("secret"), nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = session.Conn.Close() }()
	return session.Ask(ctx, question)
}

// where is the server that a session of a role was opened at; "" with an error.
func (c *cluster13) where(t *testing.T, s *Set, role string) (string, error) {
	t.Helper()
	opened, err := s.Open(t.Context(), Opening{User: role, Credential: backend.Password("secret")})
	if err != nil {
		return "", err
	}
	defer opened.discard()
	for _, name := range []string{"in_hot_standby", "default_transaction_read_only"} {
		if value, reported := opened.Reported(name); reported {
			t.Errorf("it reports %s = %s: this is no old server", name, value)
		}
	}
	if opened.Config.Port == c.standby.port {
		return "standby", nil
	}
	return "primary", nil
}

// TestPostgres13 finds out of servers that do not say what they are, and has each target be what libpq makes of it.
func TestPostgres13(t *testing.T) {
	c := startCluster13(t)
	want := map[Target]map[string]string{ // by role: where both are; "": nowhere
		Primary:       {"writer": "primary", "reader": "primary"},
		Standby:       {"writer": "standby", "reader": "standby"},
		ReadWrite:     {"writer": "primary", "reader": ""},
		ReadOnly:      {"writer": "standby", "reader": "either"},
		PreferStandby: {"writer": "standby", "reader": "standby"},
		PreferPrimary: {"writer": "primary", "reader": "primary"},
		Any:           {"writer": "either", "reader": "either"},
	}
	orders := map[string][]*postgres13{"primary": {c.primary, c.standby}, "standby": {c.standby, c.primary}}
	for target, byRole := range want {
		for role, want := range byRole {
			for first, hosts := range orders {
				want := strings.Replace(want, "either", first, 1)
				s := c.set(t, target, hosts...)
				for range 2 { // the second time something is known of the hosts
					if got, err := c.where(t, s, role); got != want {
						t.Errorf("%s for the %s, the %s first: got %q, want %q: %v", target, role, first, got, want, err)
					}
				}
			}
		}
	}
	for target, only := range map[Target]*postgres13{Primary: c.standby, ReadWrite: c.standby, Standby: c.primary, ReadOnly: c.primary} {
		if got, err := c.where(t, c.set(t, target, only, only), "writer"); err == nil {
			t.Errorf("%s was found at the %s", target, got)
		}
	}
	for target, only := range map[Target]*postgres13{PreferPrimary: c.standby, PreferStandby: c.primary} {
		if _, err := c.where(t, c.set(t, target, only, only), "writer"); err != nil {
			t.Errorf("%s, which takes anything: %v", target, err)
		}
	}
}

// TestPostgres13Failover: a standby that is promoted is the primary to sets that have known the old one.
func TestPostgres13Failover(t *testing.T) {
	c := startCluster13(t)
	position, err := c.answer(t.Context(), c.primary, "boss", "SELECT pg_create_restore_point('here')")
	if err != nil {
		t.Fatal(err)
	}
	c.await(t, c.standby, "boss", "SELECT pg_last_wal_replay_lsn() >= '"+position+"'", "t") // it follows, and is no mere copy
	sets := map[Target]*Set{}
	for _, target := range []Target{Primary, ReadWrite, Standby, ReadOnly, PreferStandby} {
		sets[target] = c.set(t, target, c.primary, c.standby)
		if _, err := c.where(t, sets[target], "writer"); err != nil {
			t.Fatal(err)
		}
	}
	c.primary.stop()
	c.await(t, c.standby, "boss", "SELECT pg_promote()", "t")
	for target, s := range sets {
		want := "standby" // which it was
		if target == Standby || target == ReadOnly {
			want = ""
		}
		if got, err := c.where(t, s, "writer"); got != want {
			t.Errorf("%s after the promotion: got %q, want %q: %v", target, got, want, err)
		}
	}
}
