package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/sallyport/sallyport/e2e/stack"
	"github.com/sallyport/sallyport/gateway/credentials"
)

const (
	team = "team-a/"
	sub  = "team-a/sub/"
	// namespacedTTL is soon over, so that the gateway's token and its leases are renewed while a test looks on.
	namespacedTTL = 9 * time.Second
)

// inNamespace makes a Vault whose engines and logins are in a namespace, and files with what a gateway logs in by.
func inNamespace(t *testing.T, namespace string) (*stack.Vault, *namespacedVault, stack.VaultAuth) {
	t.Helper()
	vault := secureVault(t)
	must(t, vault.SetCredentialTTL(t.Context(), namespacedTTL))
	logical(t, vault, "auth/approle/role/gateway", map[string]any{"token_period": namespacedTTL.String()})
	role, secret, err := vault.AppRole(t.Context())
	must(t, err)
	policy, err := vault.Client.Sys().GetPolicyWithContext(t.Context(), "gateway")
	must(t, err)
	policy += enginesPolicy
	for _, mount := range []string{stack.Mount, "secret", "pki"} {
		policy = strings.ReplaceAll(policy, `path "`+mount+"/", `path "`+namespace+mount+"/")
	}
	must(t, vault.Client.Sys().PutPolicyWithContext(t.Context(), "gateway", policy))
	proxy := namespaceVault(t, vault, namespace, stack.Mount, "auth/approle")
	return vault, proxy, stack.VaultAuth{Method: "approle", RoleIDFile: secretFile(t, role), SecretIDFile: secretFile(t, secret)}
}

// tokenOf is a login by a token of a namespace, in a file.
func tokenOf(t *testing.T, vault *stack.Vault, proxy *namespacedVault, namespace string) stack.VaultAuth {
	t.Helper()
	secret, err := vault.Client.Auth().Token().CreateWithContext(t.Context(), &api.TokenCreateRequest{
		Policies: []string{"gateway"}, Period: namespacedTTL.String(), NoParent: true,
	})
	must(t, err)
	return stack.VaultAuth{Method: "token", TokenFile: secretFile(t, proxy.mark(secret.Auth.ClientToken, namespace))}
}

// TestVaultNamespace: a gateway logs in to a namespace, keeps its login, and issues, renews and revokes there, all of it with nothing but the
// namespace's name in its configuration or its environment; and the next gateway finds in the journal what one has left there.
func TestVaultNamespace(t *testing.T) {
	for name, test := range map[string]struct {
		namespace, configured, environment string
		token                              *string // whose namespace's; nil: by AppRole
	}{
		"approle":                     {namespace: team, configured: "team-a"},
		"approle, further down":       {namespace: sub, configured: "team-a/sub"},
		"token, from the environment": {namespace: team, environment: "/team-a/", token: new(team)},
		"token of the one above":      {namespace: sub, configured: "team-a/sub/", token: new(team)},
		"token of the root":           {namespace: team, configured: "team-a", token: new("")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it waits for time to pass
			vault, proxy, auth := inNamespace(t, test.namespace)
			if test.token != nil {
				auth = tokenOf(t, vault, proxy, *test.token)
			}
			environment := "VAULT_NAMESPACE=" + test.environment
			g, err := shared.services.StartGateway(t.Context(), stack.GatewayOptions{
				Dir: t.TempDir(), Binary: shared.binary, Env: []string{environment}, Edit: func(c *stack.GatewayConfig) {
					c.Vault.Address, c.Vault.Namespace, c.Vault.Auth, c.Vault.Ahead = proxy.URL, test.configured, auth, 1
				},
			})
			must(t, err)
			t.Cleanup(func() { _ = g.Stop() })
			n := &namespacedGateway{g, proxy, environment, "." + proxy.ids[test.namespace]}
			n.lives(t)
			n.isSwept(t)
			must(t, g.Stop())
			must(t, checkLog(g.Log, "leases of an earlier run are revoked"))
			requests := []string{
				"GET auth/token/lookup-self", "PUT auth/token/renew-self", "GET database/creds/app-readonly", "GET database/creds/app-catalog",
			}
			if test.token == nil {
				requests = append(requests, "PUT auth/approle/login", "PUT auth/token/revoke-self")
			}
			proxy.all(t, requests...)
		})
	}
}

// namespacedGateway is one whose Vault has namespaces.
type namespacedGateway struct {
	*stack.Gateway
	proxy       *namespacedVault
	environment string
	suffix      string // of its leases' ids
}

// journal is what is open, and that is all of the namespace.
func (g *namespacedGateway) journal(t *testing.T) []credentials.Entry {
	t.Helper()
	open, err := credentials.ReadJournal(filepath.Join(filepath.Dir(g.Log), "leases"))
	must(t, err)
	for _, e := range open {
		if !strings.HasPrefix(e.ID, "database/creds/") || !strings.HasSuffix(e.ID, g.suffix) {
			t.Errorf("the journal knows the lease %s", e.ID)
		}
	}
	return open
}

// lives goes through a session's life, longer than its lease's and the token's at first.
func (g *namespacedGateway) lives(t *testing.T) {
	t.Helper()
	conn := login{gateway: g.Gateway, account: stack.Analyst}.connect(t)
	role := backendRole(t, conn)
	open := g.journal(t)
	mine := slices.IndexFunc(open, func(e credentials.Entry) bool { return e.Username == role })
	if mine < 0 {
		t.Fatalf("the journal does not know %s: %v", role, open)
	}
	lease := open[mine].ID
	eventually(t, 3*namespacedTTL, func() error {
		if leases, tokens := g.proxy.count("PUT sys/leases/renew "+lease), g.proxy.count("PUT auth/token/renew-self"); leases < 2 || tokens < 2 {
			return fmt.Errorf("the lease was renewed %d times, and the token %d times", leases, tokens)
		}
		return nil
	})
	if got := value(t, conn, "SELECT 'still here'"); got != "still here" {
		t.Errorf("got %q", got)
	}
	must(t, conn.Close(t.Context()))
	auditSays(t, g.Gateway, "session_end", stack.Analyst, `"revocation":"revoked"`)
	roleGone(t, role, goneWithin)
	if g.proxy.count("PUT sys/leases/revoke "+lease) == 0 {
		t.Errorf("%s was not revoked", lease)
	}
}

// isSwept kills the gateway, and has the next one revoke what it has left.
func (g *namespacedGateway) isSwept(t *testing.T) {
	t.Helper()
	role := backendRole(t, login{gateway: g.Gateway, account: stack.Analyst}.connect(t))
	command := exec.CommandContext(t.Context(), shared.binary, "leases", "--config", g.Config)
	command.Env = append(command.Environ(), g.environment)
	if output, err := command.CombinedOutput(); err != nil || !strings.Contains(string(output), role) {
		t.Errorf("%v: there is no %s in\n%s", err, role, output)
	}
	must(t, g.Kill())
	left := g.journal(t)
	if !slices.ContainsFunc(left, func(e credentials.Entry) bool { return e.Username == role }) {
		t.Errorf("the journal does not know %s", role)
	}
	must(t, g.Start(t.Context()))
	for _, e := range left {
		roleGone(t, e.Username, goneWithin)
		if g.proxy.count("PUT sys/leases/revoke "+e.ID) == 0 {
			t.Errorf("%s was not revoked", e.ID)
		}
	}
}

// TestVaultNamespaceEngines: what the other engines in a namespace are asked for is asked for in it.
func TestVaultNamespaceEngines(t *testing.T) {
	ownRole(t, "namespaced_reader", "IN ROLE app_readonly")
	ownRole(t, "namespaced_certified", "IN ROLE app_readonly, by_own_name")
	vault, proxy, auth := inNamespace(t, team)
	logical(t, vault, team+"database/static-roles/app-reader", map[string]any{"db_name": stack.App, "username": "namespaced_reader", "rotation_period": "24h"})
	must(t, vault.Client.Sys().MountWithContext(t.Context(), team+"secret", &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}))
	mountPKI(t, vault)
	logical(t, vault, "pki/roles/app", map[string]any{
		"allowed_domains": "namespaced_certified", "allow_bare_domains": true, "enforce_hostnames": false, "cn_validations": "disabled",
		"key_type": "ec", "key_bits": 256, "client_flag": true, "server_flag": false, "ttl": "1h",
	})
	must(t, vault.Client.Sys().RemountWithContext(t.Context(), "pki", team+"pki"))
	putPassword := func(t *testing.T) {
		const password = "another-of-the-namespace"
		execute(t, superuser(t, stack.App), "ALTER ROLE namespaced_reader PASSWORD '"+password+"'")
		eventually(t, 10*time.Second, func() error { // a new mount is upgraded at first
			_, err := vault.Client.Logical().WriteWithContext(t.Context(), team+"secret/data/app/reader",
				map[string]any{"data": map[string]any{"username": "namespaced_reader", "password": password}})
			return err
		})
	}
	for _, test := range []struct {
		name     string
		prepare  func(*testing.T)
		edit     func(*stack.DatabaseConfig)
		requests []string
	}{
		{"vault-static", nil, func(app *stack.DatabaseConfig) {
			app.StaticRoles = map[string]string{"readonly": "app-reader"}
			app.Catalog = &stack.CatalogConfig{StaticRole: "app-reader"}
		}, []string{"GET database/static-creds/app-reader"}},
		{"vault-kv", putPassword, func(app *stack.DatabaseConfig) {
			app.KV = &stack.KVConfig{Mount: "secret", Paths: map[string]string{"readonly": "app/reader"}}
			app.Catalog = &stack.CatalogConfig{KVPath: "app/reader"}
		}, []string{"GET secret/data/app/reader"}},
		{"vault-pki", nil, func(app *stack.DatabaseConfig) {
			app.PKI = &stack.PKIConfig{Mount: "pki", Role: "app", Users: map[string]string{"readonly": "namespaced_certified"}, Revoke: true}
			app.Catalog = &stack.CatalogConfig{User: "namespaced_certified"}
			app.TLS.Certificate, app.TLS.Key = "", ""
		}, []string{"PUT pki/sign/app", "PUT pki/revoke"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.prepare != nil {
				test.prepare(t)
			}
			g := ownGateway(t, func(c *stack.GatewayConfig) {
				c.Vault.Address, c.Vault.Namespace, c.Vault.Auth = proxy.URL, "team-a", auth
				app := c.Databases[stack.App]
				app.Credentials, app.VaultRoles = test.name, nil
				test.edit(&app)
				c.Databases[stack.App] = app
			})
			conn := login{gateway: g, account: stack.Analyst}.connect(t)
			if role := backendRole(t, conn); !strings.HasPrefix(role, "namespaced_") {
				t.Errorf("the role is %s", role)
			}
			must(t, conn.Close(t.Context()))
			auditSays(t, g, "session_end", stack.Analyst, `"revocation":"`)
			proxy.all(t, test.requests...)
		})
	}
}

// TestVaultNamespaceElsewhere: nobody gets anything in a namespace that he did not name, or where he has no part.
func TestVaultNamespaceElsewhere(t *testing.T) {
	vault, proxy, auth := inNamespace(t, sub)
	for name, test := range map[string]struct {
		namespace string
		token     *string // whose namespace's; nil: by AppRole
		login     bool    // it gets in, and no further
	}{
		"login without a namespace":         {namespace: ""},
		"login to another":                  {namespace: "team-b"},
		"login to the one above":            {namespace: "team-a"},
		"token without a namespace":         {namespace: "", token: new(sub), login: true},
		"token in the one above":            {namespace: "team-a", token: new(sub), login: true},
		"token in another":                  {namespace: "team-b", token: new(sub)},
		"token of the one above, but there": {namespace: "team-a", token: new(team), login: true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := credentials.VaultConfig{Address: proxy.URL, Namespace: test.namespace}
			if test.token != nil {
				cfg.TokenFile = tokenOf(t, vault, proxy, *test.token).TokenFile
			} else {
				cfg.AppRole = credentials.AppRole{RoleIDFile: auth.RoleIDFile, SecretIDFile: auth.SecretIDFile}
			}
			v := loggingIn(t, cfg)
			if !test.login {
				eventually(t, 5*time.Second, func() error {
					if err := v.Ready(); err == nil || !strings.Contains(err.Error(), "HTTP status 40") {
						return fmt.Errorf("ready: %w", err)
					}
					return nil
				})
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			must(t, v.Wait(ctx))
			_, err := v.Issue(ctx, "app-readonly")
			var refused *credentials.Error
			if !errors.As(err, &refused) || refused.Kind != credentials.Refused {
				t.Errorf("it is told %v", err)
			}
		})
	}
}

// TestVaultNamespaceLocked: a namespace that an operator of Vault has locked is an outage, and over when it is unlocked.
func TestVaultNamespaceLocked(t *testing.T) {
	_, proxy, auth := inNamespace(t, team)
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		c.Vault.Address, c.Vault.Namespace, c.Vault.Auth = proxy.URL, "team-a", auth
	}, vaultFails...)
	o := &outage{gateway: g}
	proxy.lock(true)
	o.refuses(t, "its namespace is locked")
	proxy.lock(false)
	o.recovers(t)
	proxy.all(t)
}

// loggingIn runs a Vault that may not get in.
func loggingIn(t *testing.T, cfg credentials.VaultConfig) *credentials.Vault {
	t.Helper()
	v, err := credentials.NewVault(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- v.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ran)
		_ = v.Close(context.Background())
	})
	return v
}
