package config

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/credentials"
)

// withCredentials is small without Vault.
func withCredentials(database string) string {
	return strings.NewReplacer(smallVault+"\n", "", "vault_roles: {readonly: ro}, catalog: {vault_role: looker}", database).Replace(small)
}

const smallMinted = "minted: {user: maker, password_file: token, owner: app_objects, owners: {readonly: other}, groups: {readonly: app_readonly}}, catalog: {group: app_catalog}"

func TestMinted(t *testing.T) {
	c, err := load(t, withCredentials(smallMinted))
	if err != nil {
		t.Fatal(err)
	}
	db := c.Databases["app"]
	want := &Minted{User: "maker", PasswordFile: "token", Owner: "app_objects", Owners: map[string]string{"app_readonly": "other"}, TTL: 15 * time.Minute, MaxTTL: 12 * time.Hour, Ahead: 2, Connections: 2}
	if diff := cmp.Diff(want, db.Minted); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"app_catalog", "app_readonly"}, db.MintedGroups()); diff != "" {
		t.Error(diff)
	}
	if db.Credentials != credentials.SourceMinted || db.Catalog.VaultRole != "app_catalog" || c.UsesVault() {
		t.Errorf("got %+v", db)
	}
}

func TestCheckCredentials(t *testing.T) {
	const static = "credentials: static, static: {accounts: {readonly: {user: reader, password_file: token}}}, catalog: {account: readonly}"
	for name, test := range map[string]struct {
		config   string
		content  string
		mode     os.FileMode
		problem  string // a part of the only one; "": none
		warnings []string
	}{
		"minted":                {withCredentials(smallMinted), "secret", 0o600, "", nil},
		"minted, empty":         {withCredentials(smallMinted), "", 0o600, "databases.app.minted.password_file: token is empty", nil},
		"minted, for everybody": {withCredentials(smallMinted), "secret", 0o604, "", []string{"chmod 0600"}},
		"static":                {withCredentials(static), "secret", 0o600, "", []string{"sessions share the database users reader"}},
		"static, for everybody": {withCredentials(static), "secret", 0o604, "chmod 0600", []string{"sessions share"}},
		"static roles": {
			withEngine("credentials: vault-static, vault_static_roles: {readonly: app-reader}, catalog: {vault_static_role: app-reader}"), "secret", 0o600, "",
			[]string{"databases.app.vault_static_roles: sessions share the database users of Vault's static roles app-reader"},
		},
		"key/value": {
			withEngine("credentials: vault-kv, vault_kv: {paths: {readonly: app/reader}}, catalog: {vault_kv_path: app/looker}"), "secret", 0o600, "",
			[]string{"databases.app.vault_kv: sessions share the database users that lie in Vault at app/reader"},
		},
		"certificates": {
			withEngine("credentials: vault-pki, vault_pki: {role: app, users: {readonly: app_reader}}, catalog: {user: app_looker}"), "secret", 0o600, "", nil,
		},
		"vault is not used": {
			strings.Replace(small, "vault_roles: {readonly: ro}, catalog: {vault_role: looker}", "credentials: minted, "+smallMinted, 1), "secret", 0o600, "",
			[]string{"vault: is not used"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := load(t, test.config)
			if err != nil {
				t.Fatal(err)
			}
			deploy(t)
			if err := os.WriteFile("token", []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod("token", test.mode); err != nil {
				t.Fatal(err)
			}
			report := c.Check()
			if (len(report.Problems) > 0) != (test.problem != "") || test.problem != "" && !strings.Contains(report.Problems.Error(), test.problem) {
				t.Errorf("problems:\n%v", report.Problems)
			}
			if len(report.Warnings) != len(test.warnings) {
				t.Errorf("warnings:\n%v", report.Warnings)
			}
			for i, want := range test.warnings {
				if i < len(report.Warnings) && !strings.Contains(report.Warnings[i].Error(), want) {
					t.Errorf("got %v, want %q", report.Warnings[i], want)
				}
			}
		})
	}
}

// withEngine is small with other credentials of Vault's.
func withEngine(database string) string {
	return strings.Replace(small, "vault_roles: {readonly: ro}, catalog: {vault_role: looker}", database, 1)
}

// TestEngines: what is left out has the engines' usual values.
func TestEngines(t *testing.T) {
	for name, test := range map[string]struct {
		database string
		want     Database // of it, what concerns credentials
	}{
		"static roles": {"credentials: vault-static, vault_static_roles: {readonly: app-reader}", Database{
			Credentials: credentials.SourceVaultStatic, VaultRoles: map[string]string{"readonly": "app-reader"}, Authentication: "scram-sha-256",
		}},
		"key/value": {"credentials: vault-kv, vault_kv: {mount: kept/here, paths: {readonly: app/reader}}", Database{
			Credentials: credentials.SourceVaultKV, VaultRoles: map[string]string{"readonly": "app/reader"}, KVMount: "kept/here", Authentication: "scram-sha-256",
		}},
		"certificates": {"credentials: vault-pki, vault_pki: {role: app, users: {readonly: app_reader}}", Database{
			Credentials: credentials.SourceVaultPKI, VaultRoles: map[string]string{"readonly": "app_reader"}, Authentication: "cert",
			PKI: credentials.PKIConfig{Mount: "pki", Role: "app", Revoke: true},
		}},
		"certificates that nobody revokes": {"credentials: vault-pki, vault_pki: {mount: ca, role: app, users: {r: u}, revoke: false}, authentication: cert", Database{
			Credentials: credentials.SourceVaultPKI, VaultRoles: map[string]string{"r": "u"}, Authentication: "cert", PKI: credentials.PKIConfig{Mount: "ca", Role: "app"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := load(t, withEngine(test.database))
			if err != nil {
				t.Fatal(err)
			}
			db := c.Databases["app"]
			got := Database{
				Credentials: db.Credentials, VaultRoles: db.VaultRoles, KVMount: db.KVMount, PKI: db.PKI, Authentication: db.Authentication,
			}
			if diff := cmp.Diff(test.want, got); diff != "" || !c.UsesVault() {
				t.Errorf("uses Vault: %v; %s", c.UsesVault(), diff)
			}
		})
	}
}

// TestRouteShowsItsOwn: what a route shows a backend is judged by the route's credentials, not by its database's.
func TestRouteShowsItsOwn(t *testing.T) {
	const pki, static = "credentials: vault-pki, vault_pki: {role: app, users: {r: u}}", "credentials: static, static: {accounts: {r: {user: u, password_file: p}}}"
	const plain, certified = "tls: {ca_file: ca.crt}", "tls: {ca_file: ca.crt, certificate: server.crt, key: server.key}"
	for name, test := range map[string]struct{ database, tls, route, authentication, problem string }{
		"a password beside certificates": {pki, plain, static + ", " + certified, "scram-sha-256", ""},
		"certificates beside a password": {static + ", authentication: cert", certified, pki + ", " + plain, "cert", ""},
		"both":                           {static, plain, pki + ", " + certified, "", "databases.app.routes.other.tls.certificate: is of no use"},
	} {
		t.Run(name, func(t *testing.T) {
			text := withEngine(test.database + ", routes: {other: {" + test.route + "}}")
			c, err := load(t, strings.Replace(text, "host: db, "+plain, "host: db, "+test.tls, 1))
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Errorf("got %v, want %q", err, test.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Databases["app"].Routes["other"].Authentication; string(got) != test.authentication {
				t.Errorf("the backend may ask for %s", got)
			}
		})
	}
}
