package e2e

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/e2e/stack"
)

// shownFor is the name in the certificate that PostgreSQL was shown for a session.
func shownFor(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	pid := value(t, conn, "SELECT pg_backend_pid()::text")
	return value(t, superuser(t, stack.App), "SELECT coalesce(client_dn, '') FROM pg_stat_ssl WHERE pid = $1::text::int", pid)
}

// TestBackendCertificateRotates: what is in the files is shown by the next session, without a signal; those that run go on, and what is no
// pair changes nothing.
func TestBackendCertificateRotates(t *testing.T) {
	dir := t.TempDir()
	issue := func(name string) {
		t.Helper()
		if err := errors.Join(shared.services.GatewayCertificate(dir, name), os.Rename(filepath.Join(dir, name+".key"), filepath.Join(dir, "shown.key")),
			os.Rename(filepath.Join(dir, name+".crt"), filepath.Join(dir, "shown.crt"))); err != nil {
			t.Fatal(err)
		}
	}
	issue("first")
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		app := c.Databases[stack.App]
		app.TLS.Certificate, app.TLS.Key = filepath.Join(dir, "shown.crt"), filepath.Join(dir, "shown.key")
		c.Databases[stack.App] = app
	})
	first := login{gateway: g, account: stack.Analyst}.connect(t)
	if got := shownFor(t, first); got != "/CN=first" {
		t.Errorf("shown %s", got)
	}
	issue("second")
	if got := shownFor(t, login{gateway: g, account: stack.Analyst}.connect(t)); got != "/CN=second" {
		t.Errorf("shown %s", got)
	}
	if got := shownFor(t, first); got != "/CN=first" {
		t.Errorf("the session that ran has now shown %s", got)
	}
	write(t, filepath.Join(dir, "shown.key"), "no key")
	if got := shownFor(t, login{gateway: g, account: stack.Analyst}.connect(t)); got != "/CN=second" {
		t.Errorf("shown %s with half a pair", got)
	}
	if status, body := ask(t, g, http.MethodGet, "/readyz", ""); status != http.StatusOK || !strings.Contains(body, `{"name":"client_certificate app","ok":false`) {
		t.Errorf("/readyz says %d %s", status, body)
	}
	issue("third")
	if got := shownFor(t, login{gateway: g, account: stack.Analyst}.connect(t)); got != "/CN=third" {
		t.Errorf("shown %s", got)
	}
}

// TestListenerCertificateRotates: clients see what is in the files, without a signal, and can bind to it.
func TestListenerCertificateRotates(t *testing.T) {
	g := ownGateway(t, nil)
	seen := func() string {
		conn := directly(t, g).conn.(*tls.Conn)
		defer conn.Close()
		if err := conn.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first, running := seen(), login{gateway: g, account: stack.Service}.connect(t)
	dir := filepath.Join(filepath.Dir(g.Config), "tls")
	if err := shared.services.ServerCertificate(dir, "server"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if seen() == first {
			return errors.New("the old certificate is shown")
		}
		return nil
	})
	attempt{login{gateway: g, account: stack.Service, options: binding("require")}, ""}.readsOrders(t, "psql")
	value(t, running, "SELECT 'still here'")
}

// salt is what a user is told by the gateway before anything is proved.
func salt(t *testing.T, g *stack.Gateway, user string) string {
	t.Helper()
	r := asked(t, g)
	defer r.conn.Close()
	r.write(t, startupOf(3<<16, "user", user, "database", stack.App))
	next[*pgproto3.AuthenticationSASL](t, r)
	r.send(t, &pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("n,,n=,r=0123456789abcdefghijklmn")})
	words := strings.Split(string(next[*pgproto3.AuthenticationSASLContinue](t, r).Data), ",")
	if len(words) != 3 || !strings.HasPrefix(words[1], "s=") {
		t.Fatalf("got %q", words)
	}
	return words[1]
}

// TestMockSecretRotates: with the next SIGHUP users that do not exist have other salts, as those have whose passwords were changed with it.
// Before, and without a change, they have the same each time.
func TestMockSecretRotates(t *testing.T) {
	const nobody = "svc_nobody"
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		c.Authentication.Rules[0].Users = append(c.Authentication.Rules[0].Users, nobody)
	})
	dir := filepath.Dir(g.Config)
	salts := func() [2]string { return [2]string{salt(t, g, nobody), salt(t, g, stack.Service)} }
	before := salts()
	write(t, filepath.Join(dir, "mock.secret"), "another secret of more than sixteen bytes\n")
	if again := salts(); again != before {
		t.Error("salts have changed without a signal")
	}
	line, err := stack.UserlistLine(stack.Service, "another password")
	if err != nil {
		t.Fatal(err)
	}
	// As the README says: secret and passwords under other names, put in force at once.
	write(t, filepath.Join(dir, "userlist.next"), line)
	text, err := os.ReadFile(g.Config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, g.Config, strings.Replace(string(text), "userlist: userlist.txt", "userlist: userlist.next", 1))
	if err := g.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if after := salts(); after[0] == before[0] || after[1] == before[1] {
			return fmt.Errorf("the salts are %q and were %q", after, before)
		}
		return nil
	})
	if after := salts(); after != salts() {
		t.Error("salts differ each time")
	}
	attempt{login{gateway: g, account: stack.Service, password: "another password"}, ""}.readsOrders(t, "psql")
}

// TestAuditKeyRotates: with SIGHUP the log goes on under another key. Both prove it, in their order, and the last that the first has signed
// is which one follows.
func TestAuditKeyRotates(t *testing.T) {
	public := make(map[string]string)
	dir := t.TempDir()
	keygen := func(name string) {
		t.Helper()
		out, status := sallyport(t, "audit", "keygen", "--name", "e2e/"+name, filepath.Join(dir, name))
		if status != 0 {
			t.Fatal(out)
		}
		public[name] = strings.TrimSpace(out)
	}
	keygen("first")
	keygen("second")
	key := filepath.Join(dir, "audit.key")
	use := func(name string) {
		t.Helper()
		if err := os.Link(filepath.Join(dir, name), filepath.Join(dir, "next")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "next"), key); err != nil {
			t.Fatal(err)
		}
	}
	use("first")
	g := ownGateway(t, func(c *stack.GatewayConfig) { c.Audit.KeyFile = key }, "not reloaded, the configuration before it stays in force")
	value(t, login{gateway: g, account: stack.Analyst}.connect(t), "SELECT 'under the first'")
	use("second")
	if err := g.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	var event string
	eventually(t, 10*time.Second, func() error {
		text, err := os.ReadFile(g.Audit)
		event = regexp.MustCompile(`\{[^\n]*"action":"audit_key"[^\n]*`).FindString(string(text))
		if err == nil && event == "" {
			err = errors.New("the audit log does not say so")
		}
		return err
	})
	var change struct {
		Key      string
		Previous string `json:"previous_key"`
	}
	if err := json.Unmarshal([]byte(event), &change); err != nil || !strings.HasPrefix(public["second"], change.Key+"+") || !strings.HasPrefix(public["first"], change.Previous+"+") {
		t.Errorf("%v: %s", err, event)
	}
	value(t, login{gateway: g, account: stack.Analyst}.connect(t), "SELECT 'under the second'")
	refusedKey(t, g, key)
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	provedBy(t, g, public)
	text, err := os.ReadFile(g.Audit)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	at := slices.Index(lines, event)
	behind := slices.IndexFunc(lines[at:], func(line string) bool { return strings.Contains(line, `"type":"checkpoint"`) })
	if behind < 0 || !strings.Contains(lines[at+behind], "e2e/first") {
		t.Errorf("the checkpoint behind the change is %q", lines[at+behind])
	}
}

// provedBy verifies the log by the keys and without one of them.
func provedBy(t *testing.T, g *stack.Gateway, public map[string]string) {
	t.Helper()
	for _, test := range []struct {
		keys   []string
		status int
		says   string
	}{
		{[]string{"first", "second"}, 0, "ok: events 0 to "},
		{[]string{"first"}, 1, "signed by another key"},
		{[]string{"second"}, 1, "signed by another key"},
		{[]string{"second", "first"}, 1, "another key had taken the place"},
	} {
		arguments := []string{"audit", "verify"}
		for _, name := range test.keys {
			arguments = append(arguments, "--key", public[name])
		}
		if out, status := sallyport(t, append(arguments, g.Audit)...); status != test.status || !strings.Contains(out, test.says) || status == 0 && strings.Contains(out, "warning") {
			t.Errorf("by %q: status %d:\n%s", test.keys, status, out)
		}
	}
}

// refusedKey puts something else in the key's place, which changes nothing.
func refusedKey(t *testing.T, g *stack.Gateway, key string) {
	t.Helper()
	good, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	write(t, key, "no key")
	if err := g.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if _, body := ask(t, g, http.MethodGet, "/readyz", ""); !strings.Contains(body, "does not hold a key") || strings.Contains(body, `"audit_signed","ok":false`) {
			return fmt.Errorf("/readyz says %s", body)
		}
		return nil
	})
	write(t, key, string(good))
	if err := g.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if _, body := ask(t, g, http.MethodGet, "/readyz", ""); strings.Contains(body, "does not hold a key") {
			return fmt.Errorf("/readyz says %s", body)
		}
		return nil
	})
}
