package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/e2e/openid"
	"github.com/sallyport/sallyport/e2e/stack"
)

// ownProvider starts an OpenID provider that the test may break, and stop.
func ownProvider(t *testing.T) (p *openid.Provider, stop func() error) {
	t.Helper()
	dir := t.TempDir()
	if err := shared.services.ServerCertificate(dir, "provider"); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "provider.crt"), filepath.Join(dir, "provider.key"))
	if err != nil {
		t.Fatal(err)
	}
	p, err = openid.Start(openid.Config{
		Listen: "127.0.0.1:0", Lifetime: time.Hour, Users: stack.People(),
		TLS: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	})
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceValue(p.Close)
	t.Cleanup(func() { _ = stop() })
	return p, stop
}

// rechecking is a gateway that asks a provider about tokens every five seconds, and lets the groups that it names decide.
func rechecking(t *testing.T, p *openid.Provider, change func(*stack.RecheckConfig), expected ...string) *stack.Gateway {
	t.Helper()
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		issuer := &c.Authentication.Issuers[0]
		issuer.Issuer, issuer.Recheck = p.Issuer(), &stack.RecheckConfig{Interval: "5s", MaxStale: "6s"}
		if change != nil {
			change(issuer.Recheck)
		}
	}, expected...)
	path := filepath.Join(g.Policies, "data.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), "groups: {}", "groups: {engineers: readwrite, analysts: readonly}", 1)
	for _, line := range []string{"    engineer@example.com: {role: readwrite}\n", "    analyst@example.com: {role: readonly}\n"} {
		if !strings.Contains(text, line) {
			t.Fatalf("%s has no line %q", path, line)
		}
		text = strings.Replace(text, line, "", 1)
	}
	before := revision(t, g)
	write(t, path, text)
	changed(t, g, before)
	return g
}

// tokensAt logs somebody in at a provider.
func tokensAt(t *testing.T, p *openid.Provider, account string) openid.Tokens {
	t.Helper()
	agent := openid.Agent{Issuer: p.Issuer(), HTTP: shared.services.HTTPClient(), Email: account, Password: stack.Password}
	tokens, err := agent.CodeFlow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// revoke ends an access token (RFC 7009).
func revoke(t *testing.T, p *openid.Provider, token string) {
	t.Helper()
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}, "client_id": {openid.ClientID}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Issuer()+"/revoke", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := shared.services.HTTPClient().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("revoke: %s", response.Status)
	}
}

// hears waits for what an idle client is told at its session's end.
func hears(t *testing.T, conn *pgx.Conn, within time.Duration) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	waited := conn.PgConn().WaitForNotification(ctx)
	if waited == nil || ctx.Err() != nil {
		t.Fatalf("nothing within %v: %v", within, waited)
	}
	if sqlstate(t, waited) != "57P01" {
		t.Fatal(waited)
	}
	return waited.Error()
}

// TestRecheck: what the provider takes away during a session ends it: groups at the next statement, by policy; the token at once. Who keeps
// both goes on, until the provider gives no answer for too long.
func TestRecheck(t *testing.T) {
	t.Parallel()
	const silent = "token issuer does not answer"
	p, stop := ownProvider(t)
	g := rechecking(t, p, nil, silent)
	introspecting := rechecking(t, p, func(r *stack.RecheckConfig) {
		r.ClientID, r.ClientSecretFile = openid.IntrospectorID, filepath.Join(t.TempDir(), "secret")
		write(t, r.ClientSecretFile, openid.IntrospectorSecret+"\n")
	}, silent)

	analyst, engineer, leaver := tokensAt(t, p, stack.Analyst), tokensAt(t, p, stack.Engineer), tokensAt(t, p, stack.Engineer)
	var stay, moved, revoked []*pgx.Conn
	for _, at := range []*stack.Gateway{g, introspecting} {
		if _, err := (login{gateway: at, account: stack.Analyst, password: analyst.ID, application: "id-token"}).open(t); sqlstate(t, err) != "28P01" {
			t.Errorf("an ID token, about which the provider cannot be asked: %v", err)
		}
		stay = append(stay, login{gateway: at, account: stack.Engineer, password: engineer.Access, application: "stays"}.connect(t))
		moved = append(moved, login{gateway: at, account: stack.Analyst, password: analyst.Access, application: "moved"}.connect(t))
		revoked = append(revoked, login{gateway: at, account: stack.Engineer, password: leaver.Access, application: "revoked"}.connect(t))
	}
	for _, conn := range slices.Concat(stay, moved, revoked) {
		execute(t, conn, "SELECT * FROM orders LIMIT 1")
	}

	revoke(t, p, leaver.Access)
	p.SetGroups(stack.Analyst, "leavers")
	for n, at := range []*stack.Gateway{g, introspecting} {
		if said := hears(t, revoked[n], 15*time.Second); !strings.Contains(said, "no longer accepts the token") {
			t.Errorf("a revoked token: %s", said)
		}
		eventually(t, 15*time.Second, func() error { // others' groups are known by now, or soon
			_, err := moved[n].Exec(t.Context(), "SELECT 1")
			if err == nil {
				return errors.New("still in")
			}
			if sqlstate(t, err) != "57P01" || !strings.Contains(err.Error(), "policy no longer permits it") {
				t.Errorf("other groups: %v", err)
			}
			return nil
		})
		all := ended(t, at, "moved")
		change, end := all[len(all)-2], all[len(all)-1]
		if change.Type != "grant_change" || change.Allow || !change.Ended || !slices.Equal(change.Groups, []string{"leavers"}) {
			t.Errorf("audit has %+v", change)
		}
		if end.Reason != "grant_withdrawn" || end.Revocation == "none" {
			t.Errorf("audit has %+v", end)
		}
		all = ended(t, at, "revoked")
		if end := all[len(all)-1]; end.Reason != "identity_expired" || end.SQLState != "57P01" || end.Revocation == "none" {
			t.Errorf("audit has %+v", end)
		}
		if _, err := (login{gateway: at, account: stack.Engineer, password: leaver.Access}).open(t); sqlstate(t, err) != "28P01" {
			t.Errorf("a login with the revoked token: %v", err)
		}
		if _, err := (login{gateway: at, account: stack.Analyst, password: analyst.Access}).open(t); sqlstate(t, err) != "42501" {
			t.Errorf("a login by a token that names the old groups: %v", err)
		}
		execute(t, stay[n], "SELECT * FROM orders LIMIT 1")
	}

	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for n, at := range []*stack.Gateway{g, introspecting} {
		if said := hears(t, stay[n], 30*time.Second); !strings.Contains(said, "has not confirmed the token") {
			t.Errorf("without the provider: %s", said)
		}
		if _, err := (login{gateway: at, account: stack.Engineer, password: engineer.Access}).open(t); sqlstate(t, err) != "57P03" {
			t.Errorf("a login without the provider: %v", err)
		}
		tellsNothing(t, at, analyst.Access, engineer.Access, leaver.Access, openid.IntrospectorSecret)
	}
}

// tellsNothing looks for secrets in a gateway's log and audit log.
func tellsNothing(t *testing.T, g *stack.Gateway, secrets ...string) {
	t.Helper()
	for _, path := range []string{g.Log, g.Audit} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("a token or secret is in %s", path)
			}
		}
	}
}
