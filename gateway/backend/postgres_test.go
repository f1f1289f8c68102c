package backend

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/certs"
)

// roles are what the real server is given before it starts. The passwords are those on which implementations of SASLprep differ.
const roles = `create role app login password 'app-password';
create role soft login password U&'pass\00ADword';
create role emoji login password U&'key-\+01F511';
create role roman login password U&'\2168-\FB01';
create role spaces login password U&'a\00A0b';
create role bell login password U&'x\0007y';
create role boss login superuser password 'boss-password';
create role plain login password 'plain-password';
create role nobody login password 'unused';
create role never login password 'unused';
set password_encryption = 'md5';
create role old login password 'old-password';
create database latin encoding 'LATIN1' locale 'C' template template0;
`

const hostBased = `hostssl all plain 127.0.0.1/32 password
hostssl all old 127.0.0.1/32 md5
hostssl all nobody 127.0.0.1/32 trust
hostssl all never 127.0.0.1/32 reject
hostssl all all 127.0.0.1/32 scram-sha-256
`

// realConfig starts a PostgreSQL of its own and says where it is. It needs the server's binaries: with -short the test is left out,
// without it their absence is a failure.
func realConfig(t *testing.T) Config {
	t.Helper()
	if testing.Short() {
		t.Skip("real PostgreSQL")
	}
	authority, err := certs.New("test authority")
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.MkdirTemp("", "backend-postgres-") // not t.TempDir: its parent is closed to another user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	server := certs.Request{CommonName: "db", DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true}
	if err := authority.WriteFiles(home, "server", server); err != nil {
		t.Fatal(err)
	}
	p := &postgres{home: home, owner: owner(t)}
	p.chown(t)
	p.run(t, "", "initdb", "-D", p.data(), "-U", "postgres", "-A", "reject", "--no-sync", "-E", "UTF8", "--locale", "C")
	if err := os.WriteFile(filepath.Join(p.data(), "pg_hba.conf"), []byte(hostBased), 0o644); err != nil {
		t.Fatal(err)
	}
	p.run(t, roles, "postgres", "--single", "-j", "-D", p.data(), "postgres")
	port := p.start(t)

	certificates := newPool(t, authority.CertPEM())
	return Config{Host: "127.0.0.1", Port: port, Database: "postgres", TLS: &tls.Config{RootCAs: certificates}}
}

type postgres struct {
	home  string
	owner *syscall.Credential // nil: ourselves
}

func (p *postgres) data() string { return filepath.Join(p.home, "data") }

// owner is whom the server runs as: it refuses to be root.
func owner(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.ParseUint(account.Uid, 10, 32)
	gid, _ := strconv.ParseUint(account.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (p *postgres) chown(t *testing.T) {
	t.Helper()
	if p.owner == nil {
		return
	}
	for _, name := range []string{".", "server.key"} {
		if err := os.Chown(filepath.Join(p.home, name), int(p.owner.Uid), int(p.owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

// command finds one of the server's programs: in PATH, or where Debian has them.
func (p *postgres) command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
		if len(found) == 0 {
			t.Fatalf("no PostgreSQL server is installed: %s was not found (-short leaves this test out)", name)
		}
		slices.Sort(found)
		path = found[len(found)-1]
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = p.home
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner}
	return cmd
}

func (p *postgres) run(t *testing.T, input, name string, args ...string) {
	t.Helper()
	cmd := p.command(t, name, args...)
	// With -j the single-user backend ends a command at a semicolon and an empty line.
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(input, ";\n", ";\n\n"))
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("ERROR:")) {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// start returns the port when the server says that it is ready, and stops it with the test.
func (p *postgres) start(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	cmd := p.command(t, "postgres", "-D", p.data(), "-p", strconv.Itoa(port), "-k", "", "-F",
		"-c", "listen_addresses=127.0.0.1", "-c", "ssl=on", "-c", "log_connections=on",
		"-c", "ssl_cert_file="+p.home+"/server.crt", "-c", "ssl_key_file="+p.home+"/server.key")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		<-done
		_ = cmd.Wait()
	})
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		if strings.Contains(lines.Text(), "ready to accept connections") {
			go func() {
				defer close(done)
				for lines.Scan() {
				}
			}()
			return port
		}
	}
	close(done)
	t.Fatalf("postgres did not start:\n%s", strings.Join(said, "\n"))
	return 0
}

func TestRealPostgreSQL(t *testing.T) {
	cfg := realConfig(t)
	bound := cfg
	bound.Authentication = MethodSCRAMPlus
	utf8 := []Parameter{{"client_encoding", "UTF8"}, {"application_name", "sp-test"}}

	for name, role := range map[string][2]string{
		"plain password":                      {"app", "app-password"},
		"a soft hyphen, which is dropped":     {"soft", "pass\u00adword"},
		"the same without it":                 {"soft", "password"},
		"an emoji, unassigned in Unicode 3.2": {"emoji", "key-\U0001F511"},
		"compatibility characters":            {"roman", "\u2168-\ufb01"},
		"the same normalised":                 {"roman", "IX-fi"},
		"a space of another kind":             {"spaces", "a b"},
		"a prohibited character":              {"bell", "x\ay"},
	} {
		t.Run("accepts/"+name, func(t *testing.T) {
			session, err := Open(t.Context(), bound, role[0], Password(role[1]), utf8)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = session.Conn.Close() }()
			if session.PID == 0 || len(session.Key) != 4 || session.Address != cfg.address() {
				t.Errorf("session = %+v", session)
			}
			for _, want := range []Parameter{{"application_name", "sp-test"}, {"session_authorization", role[0]}, {"in_hot_standby", "off"}} {
				if !slices.Contains(session.Parameters, want) {
					t.Errorf("parameters %v lack %v", session.Parameters, want)
				}
			}
			if got := query(t, session, "select current_user, 1"); got != role[0]+"|1" {
				t.Errorf("query answered %q", got)
			}
		})
	}
	for name, test := range map[string]struct {
		user, password, database string
		want                     Error
		text                     string
	}{
		"wrong password":    {"app", "wrong", "postgres", Error{Stage: StageAuthenticate, SQLSTATE: "28P01"}, "password authentication failed"},
		"no such role":      {"ghost", "x", "postgres", Error{Stage: StageAuthenticate, SQLSTATE: "28P01"}, "password authentication failed"},
		"rejected":          {"never", "x", "postgres", Error{Stage: StageAuthenticate, SQLSTATE: "28000"}, "pg_hba.conf rejects"},
		"no such database":  {"app", "app-password", "ghost", Error{Stage: StageParameters, SQLSTATE: "3D000"}, "does not exist"},
		"cleartext":         {"plain", "plain-password", "postgres", Error{Stage: StageAuthenticate}, "asked for a cleartext password"},
		"MD5":               {"old", "old-password", "postgres", Error{Stage: StageAuthenticate}, "asked for an MD5 password"},
		"trust":             {"nobody", "unused", "postgres", Error{Stage: StageAuthenticate}, "asked for nothing"},
		"superuser":         {"boss", "boss-password", "postgres", Error{Stage: StageParameters}, `is_superuser is "on"`},
		"LATIN1 database":   {"app", "app-password", "latin", Error{Stage: StageParameters}, `server_encoding is "LATIN1"`},
		"password is empty": {"app", "", "postgres", Error{Stage: StageAuthenticate}, "no password"},
	} {
		t.Run("refuses/"+name, func(t *testing.T) {
			cfg := cfg
			cfg.Database = test.database
			_, err := Open(t.Context(), cfg, test.user, Password(test.password), utf8)
			var got *Error
			if !errors.As(err, &got) || got.Stage != test.want.Stage || got.SQLSTATE != test.want.SQLSTATE || !strings.Contains(err.Error(), test.text) {
				t.Errorf("Open: got %v, want %s %s %q", err, test.want.Stage, test.want.SQLSTATE, test.text)
			}
		})
	}
	t.Run("refuses/a client encoding that was asked for", func(t *testing.T) {
		_, err := Open(t.Context(), cfg, "app", Password("app-password"), []Parameter{{"client_encoding", "SJIS"}})
		if err == nil || !strings.Contains(err.Error(), `client_encoding is "SJIS"`) {
			t.Errorf("Open: got %v", err)
		}
	})
	t.Run("accepts/a superuser who may be one", func(t *testing.T) {
		cfg := cfg
		cfg.AllowSuperuser = true
		session, err := Open(t.Context(), cfg, "boss", Password("boss-password"), utf8)
		if err != nil {
			t.Fatal(err)
		}
		_ = session.Conn.Close()
	})
	t.Run("by another method", func(t *testing.T) { byMethod(t, cfg) })
	t.Run("cancels", func(t *testing.T) { cancels(t, cfg) })
}

// byMethod tries the ways that are not the usual one.
func byMethod(t *testing.T, cfg Config) {
	right := func(Salt) ([]byte, error) { return nil, errors.New("not asked") }
	for name, test := range map[string]struct {
		method     Method
		user       string
		credential Credential
		want       string // a part of the error; "": there is none
	}{
		"MD5":                   {MethodMD5, "old", Password("old-password"), ""},
		"MD5, wrong":            {MethodMD5, "old", Password("wrong"), "28P01"},
		"MD5 of a SCRAM role":   {MethodMD5, "app", Password("app-password"), "asked for SASL"},
		"relayed MD5":           {MethodMD5, "old", relayingMD5("old", "old-password"), ""},
		"relayed MD5, wrong":    {MethodMD5, "old", relayingMD5("old", "wrong"), "28P01"},
		"relayed MD5, SCRAM":    {MethodMD5, "app", RelayedMD5{Answer: right}, "asked for SASL"},
		"relayed SCRAM":         {MethodSCRAM, "app", relayingSCRAM(t, "app-password", nil), ""},
		"relayed SCRAM, wrong":  {MethodSCRAM, "app", relayingSCRAM(t, "wrong", nil), "28P01"},
		"relayed SCRAM, nobody": {MethodSCRAM, "ghost", relayingSCRAM(t, "wrong", nil), "28P01"},
		"relayed SCRAM, MD5":    {MethodSCRAM, "old", relayingSCRAM(t, "old-password", nil), "asked for an MD5 password"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			cfg.Authentication = test.method
			session, err := Open(t.Context(), cfg, test.user, test.credential, []Parameter{{"client_encoding", "UTF8"}})
			if err == nil {
				defer func() { _ = session.Conn.Close() }()
				if got := query(t, session, "select current_user"); got != test.user {
					t.Errorf("the session is %q's", got)
				}
			}
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Open: got %v, want %q", err, test.want)
			}
		})
	}
}

// cancels has a statement that would take an hour ended by Cancel, and not by a Cancel with another key.
func cancels(t *testing.T, cfg Config) {
	session, err := Open(t.Context(), cfg, "app", Password("app-password"), []Parameter{{"client_encoding", "UTF8"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Conn.Close() }()
	cfg.Address = session.Address
	wrong := bytes.Clone(session.Key)
	wrong[0] ^= 1
	if err := Cancel(t.Context(), cfg, session.PID, wrong); err != nil {
		t.Errorf("Cancel with a wrong key: %v; the backend does not say", err)
	}
	if got := query(t, session, "select 'undisturbed'"); got != "undisturbed" {
		t.Errorf("after a Cancel with a wrong key: %q", got)
	}
	// The notice says that the statement runs: a cancel that comes before it is lost.
	if err := send(session.Conn, &pgproto3.Query{String: "do $$ begin raise notice 'running'; perform pg_sleep(3600); end $$"}); err != nil {
		t.Fatal(err)
	}
	if got, err := readMessage(session.Conn); err != nil || got.kind != 'N' {
		t.Fatalf("got %q, %v; want a notice", got.kind, err)
	}
	if err := Cancel(t.Context(), cfg, session.PID, session.Key); err != nil {
		t.Fatal(err)
	}
	got, err := readMessage(session.Conn)
	if err != nil || got.kind != 'E' || backendError(StageCancel, got.body).SQLSTATE != "57014" {
		t.Errorf("after Cancel: %q %q, %v; want 57014", got.kind, got.body, err)
	}
}

// query runs a statement and returns its one row, columns joined by |.
func query(t *testing.T, session *Session, text string) string {
	t.Helper()
	if err := send(session.Conn, &pgproto3.Query{String: text}); err != nil {
		t.Fatal(err)
	}
	var columns []string
	for {
		got, err := readMessage(session.Conn)
		if err != nil {
			t.Fatal(err)
		}
		switch got.kind {
		case 'D':
			var row pgproto3.DataRow
			if err := row.Decode(got.body); err != nil {
				t.Fatal(err)
			}
			for _, value := range row.Values {
				columns = append(columns, string(value))
			}
		case 'E':
			return fmt.Sprint(backendError(StageParameters, got.body))
		case 'Z':
			return strings.Join(columns, "|")
		}
	}
}
