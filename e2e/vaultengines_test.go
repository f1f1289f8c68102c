package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/e2e/stack"
)

// ownRole makes a database user for a test.
func ownRole(t *testing.T, name, options string) {
	t.Helper()
	admin := superuser(t, stack.App)
	execute(t, admin, "CREATE ROLE "+name+" LOGIN "+options)
	t.Cleanup(func() { execute(t, admin, "DROP ROLE "+name) })
}

// readyzSays waits for something in /readyz.
func readyzSays(t *testing.T, g *stack.Gateway, what string) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		if _, body := ask(t, g, http.MethodGet, "/readyz", ""); !strings.Contains(body, what) {
			return fmt.Errorf("/readyz says %s", body)
		}
		return nil
	})
}

// TestVaultStaticRole: sessions share a user whose password Vault changes. That ends none of them, and whoever is just logging in with the
// old one notices nothing.
func TestVaultStaticRole(t *testing.T) {
	ownRole(t, "vault_reader", "IN ROLE app_readonly")
	vault := secureVault(t)
	logical(t, vault, "database/static-roles/app-reader", map[string]any{"db_name": stack.App, "username": "vault_reader", "rotation_period": "24h"})
	proxy := proxyVault(t, vault)
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		asking(t, vault, proxy.URL)(c)
		app := c.Databases[stack.App]
		app.Credentials, app.VaultRoles = "vault-static", nil
		app.StaticRoles = map[string]string{"readonly": "app-reader"}
		app.Catalog = &stack.CatalogConfig{StaticRole: "app-reader"}
		c.Databases[stack.App] = app
	})
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	if role := backendRole(t, conn); role != "vault_reader" {
		t.Errorf("the role is %s", role)
	}
	readyzSays(t, g, "sessions share the database users of Vault's static roles app-reader")
	readyzSays(t, g, `{"name":"catalog app","ok":true`)
	const path = "/database/static-creds/app-reader"
	rotations := 0
	proxy.setAfter(func(r *http.Request) { // Vault has said the old password, and changes it before anybody can use it
		if strings.HasSuffix(r.URL.Path, path) && rotations == 0 {
			rotations++
			logical(t, vault, "database/rotate-role/app-reader", nil)
		}
	})
	before := proxy.count(path)
	value(t, login{gateway: g, account: stack.Analyst}.connect(t), "SELECT 'ok'")
	proxy.setAfter(nil)
	if asked := proxy.count(path) - before; asked != 2 || rotations != 1 {
		t.Errorf("the password was read %d times, want 2, and changed %d times", asked, rotations)
	}
	if got := value(t, conn, "SELECT 'still here'"); got != "still here" {
		t.Errorf("got %q", got)
	}
	auditSays(t, g, "connect", stack.Analyst, `"credential":"vault-static"`)
	if line := auditLine(t, g, "connect", stack.Analyst); strings.Contains(line, `"lease`) {
		t.Errorf("the audit log says %s", line)
	}
	execute(t, superuser(t, stack.App), "ALTER ROLE vault_reader PASSWORD 'somebody elses'") // Vault does not know
	before = proxy.count(path)
	_, err := login{gateway: g, account: stack.Analyst}.open(t)
	if got := sqlstate(t, err); got != "08004" {
		t.Errorf("SQLSTATE %q, want 08004: %v", got, err)
	}
	if asked := proxy.count(path) - before; asked != 3 {
		t.Errorf("the password was read %d times, want 3", asked)
	}
	_ = conn.Close(t.Context())
	auditSays(t, g, "session_end", stack.Analyst, `"revocation":"none"`)
}

// TestVaultKV: sessions share a user whose password lies in Vault, and the audit log says which version opened them.
func TestVaultKV(t *testing.T) {
	ownRole(t, "kept_reader", "IN ROLE app_readonly PASSWORD 'the-first-kept-one'")
	vault := secureVault(t)
	if err := vault.Client.Sys().MountWithContext(t.Context(), "secret", &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}); err != nil {
		t.Fatal(err)
	}
	put := func(password string) {
		t.Helper()
		secret := map[string]any{"data": map[string]any{"username": "kept_reader", "password": password}}
		eventually(t, 10*time.Second, func() error { // a new mount is upgraded at first
			_, err := vault.Client.Logical().WriteWithContext(t.Context(), "secret/data/app/reader", secret)
			return err
		})
	}
	put("the-first-kept-one")
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		asking(t, vault, vault.Address)(c)
		app := c.Databases[stack.App]
		app.Credentials, app.VaultRoles = "vault-kv", nil
		app.KV = &stack.KVConfig{Mount: "secret", Paths: map[string]string{"readonly": "app/reader"}}
		app.Catalog = &stack.CatalogConfig{KVPath: "app/reader"}
		c.Databases[stack.App] = app
	})
	readyzSays(t, g, "sessions share the database users that lie in Vault at app/reader")
	for version := 1; version <= 2; version++ {
		if version == 2 {
			const password = "the-second-kept-one"
			execute(t, superuser(t, stack.App), "ALTER ROLE kept_reader PASSWORD '"+password+"'")
			put(password)
		}
		if role := backendRole(t, login{gateway: g, account: stack.Analyst}.connect(t)); role != "kept_reader" {
			t.Errorf("the role is %s", role)
		}
		auditSays(t, g, "connect", stack.Analyst, `"credential":"vault-kv","credential_version":`+strconv.Itoa(version))
	}
	if _, err := vault.Client.Logical().DeleteWithContext(t.Context(), "secret/data/app/reader"); err != nil {
		t.Fatal(err)
	}
	_, err := login{gateway: g, account: stack.Analyst}.open(t)
	if got := sqlstate(t, err); got != "57P03" {
		t.Errorf("SQLSTATE %q, want 57P03: %v", got, err)
	}
	for _, file := range []string{g.Log, g.Audit} {
		if strings.Contains(read(t, file), "-kept-one") {
			t.Errorf("%s has a password in it", file)
		}
	}
}

// TestVaultPKI: every session has a certificate of its own, whose key nobody else sees. The session ends before it does, and it is revoked.
func TestVaultPKI(t *testing.T) {
	ownRole(t, "certified_reader", "IN ROLE app_readonly, by_own_name")
	vault := secureVault(t)
	mountPKI(t, vault)
	proxy := proxyVault(t, vault)
	var mu sync.Mutex
	var requests strings.Builder
	proxy.setFault(func(_ http.ResponseWriter, r *http.Request) bool {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		mu.Lock()
		defer mu.Unlock()
		requests.Write(body)
		return false
	})
	for name, ttl := range map[string]string{"revoked": "1h", "bounds the session": "12s"} {
		t.Run(name, func(t *testing.T) {
			logical(t, vault, "pki/roles/app", map[string]any{
				"allowed_domains": "certified_reader", "allow_bare_domains": true, "enforce_hostnames": false, "cn_validations": "disabled",
				"key_type": "ec", "key_bits": 256, "client_flag": true, "server_flag": false, "ttl": ttl,
			})
			g := ownGateway(t, certified(t, vault, proxy))
			conn := login{gateway: g, account: stack.Analyst}.connect(t)
			const about = `SELECT format('%s %s', client_dn, client_serial) FROM pg_stat_ssl WHERE pid = $1::int`
			pid := value(t, conn, "SELECT pg_backend_pid()::text")
			first := value(t, superuser(t, stack.App), about, pid)
			other := login{gateway: g, account: stack.Analyst}.connect(t)
			second := value(t, superuser(t, stack.App), about, value(t, other, "SELECT pg_backend_pid()::text"))
			if first == second || !strings.HasPrefix(first, "/CN=certified_reader ") || !strings.HasPrefix(second, "/CN=certified_reader ") {
				t.Errorf("two sessions show %q and %q", first, second)
			}
			auditSays(t, g, "connect", stack.Analyst, `"credential":"vault-pki","lease":`)
			auditSays(t, g, "connect", stack.Analyst, `"lease_expires":`)
			before := proxy.count("/pki/revoke")
			if ttl == "1h" {
				_ = conn.Close(t.Context())
			} else {
				endsBefore(t, conn, 13*time.Second)
			}
			eventually(t, 5*time.Second, func() error {
				if line := auditLine(t, g, "session_end", stack.Analyst); !strings.Contains(line, `"revocation":"revoked"`) || proxy.count("/pki/revoke") == before {
					return fmt.Errorf("the audit log says %s", line)
				}
				return nil
			})
		})
	}
	mu.Lock()
	defer mu.Unlock()
	if sent := requests.String(); !strings.Contains(sent, "CERTIFICATE REQUEST") || strings.Contains(sent, "PRIVATE KEY") {
		t.Error("Vault was sent no request, or a private key")
	}
	_, err := shared.services.Postgres.ConnectAs(t.Context(), "certified_reader", "", stack.App, nil)
	if got := sqlstate(t, err); got != "28000" {
		t.Errorf("without a certificate: SQLSTATE %q: %v", got, err)
	}
}

// mountPKI makes an authority in Vault that PostgreSQL trusts.
func mountPKI(t *testing.T, vault *stack.Vault) {
	t.Helper()
	if err := vault.MountPKI(t.Context(), "pki"); err != nil {
		t.Fatal(err)
	}
	root, err := vault.Client.Logical().WriteWithContext(t.Context(), "pki/root/generate/internal", map[string]any{
		"common_name": "Sallyport test sessions", "key_type": "ec", "ttl": "24h",
	})
	if err != nil {
		t.Fatal(err)
	}
	authority, _ := root.Data["certificate"].(string)
	if err := shared.services.Postgres.TrustClients(t.Context(), []byte(authority+"\n")); err != nil {
		t.Fatal(err)
	}
}

// certified has the analyst's sessions come by certificates.
func certified(t *testing.T, vault *stack.Vault, proxy *vaultProxy) func(*stack.GatewayConfig) {
	return func(c *stack.GatewayConfig) {
		asking(t, vault, proxy.URL)(c)
		app := c.Databases[stack.App]
		app.Credentials, app.VaultRoles = "vault-pki", nil
		app.PKI = &stack.PKIConfig{Mount: "pki", Role: "app", Users: map[string]string{"readonly": "certified_reader"}, Revoke: true}
		app.Catalog = &stack.CatalogConfig{User: "certified_reader"}
		app.TLS.Certificate, app.TLS.Key = "", ""
		c.Databases[stack.App] = app
	}
}

// endsBefore waits for the end of a session whose credential ends.
func endsBefore(t *testing.T, conn *pgx.Conn, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	_, err := conn.WaitForNotification(ctx)
	var ended *pgconn.PgError
	if !errors.As(err, &ended) || ended.Code != "57P01" {
		t.Errorf("%v, want 57P01", err)
	}
}
