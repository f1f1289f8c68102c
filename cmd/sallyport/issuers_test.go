package main

import (
	"slices"
	"strings"
	"testing"
)

const (
	vaultSection = `vault: {address: "http://127.0.0.1:1", auth: {method: token, token_file: vault.token}}` + "\n"
	mintedRoles  = "minted: {user: sallyport, password_file: admin.token, owner: app_owner, groups: {readonly: app_readonly}}"
)

// withoutVault is a configuration of one database, whose sessions get their credentials as it says.
func withoutVault(credentials string) string {
	return strings.NewReplacer(vaultSection, "", "vault_roles: {readonly: ro}", credentials).Replace(configuration)
}

// TestMintedReload: what makes roles outlives a reload, and one that would need other roles to be made is refused whole.
func TestMintedReload(t *testing.T) {
	for name, test := range map[string]struct {
		next    string
		refused bool
	}{
		"nothing changed":    {withoutVault(mintedRoles), false},
		"another policy key": {withoutVault(strings.Replace(mintedRoles, "{readonly:", "{reader:", 1)), false},
		"other certificates": {withoutVault(mintedRoles + ", search_path: [app]"), false},
		"static":             {withoutVault("credentials: static, static: {accounts: {readonly: {user: u, password_file: admin.token}}}"), false},
		"another group":      {withoutVault(strings.Replace(mintedRoles, "app_readonly", "app_readwrite", 1)), true},
		"another owner":      {withoutVault(strings.Replace(mintedRoles, "app_owner", "postgres", 1)), true},
		"another user":       {withoutVault(strings.Replace(mintedRoles, "user: sallyport", "user: other", 1)), true},
		"elsewhere":          {withoutVault(mintedRoles + ", port: 5433"), true},
		"another catalog":    {withoutVault(mintedRoles + ", catalog: {group: app_catalog}"), true},
		"another database":   {strings.Replace(withoutVault(mintedRoles), "  app:", "  more: {host: h, tls: {ca_file: ca.crt}, "+mintedRoles+"}\n  app:", 1), true},
		"vault":              {configuration, true},
	} {
		t.Run(name, func(t *testing.T) {
			deploy(t)
			write(t, "sallyport.yaml", withoutVault(mintedRoles))
			p, _ := newProcess(t)
			defer p.close()
			before, minted := p.inForce(), p.issuers.minted["app"].Minted
			write(t, "sallyport.yaml", test.next)
			p.reload()
			err := p.reloadError()
			if (err != nil) != test.refused || err != nil && !strings.Contains(err.Error(), "restart the gateway") {
				t.Errorf("got %v", err)
			}
			if p.issuers.minted["app"].Minted != minted || len(p.inForce()) != len(before) {
				t.Error("a reload has replaced what sessions have their roles from")
			}
		})
	}
}

// TestReadyWithoutVault: the gateway is unready when no provisioning role is of use, and says which sessions share a database user.
func TestReadyWithoutVault(t *testing.T) {
	deploy(t)
	write(t, "sallyport.yaml", withoutVault(mintedRoles))
	p, _ := newProcess(t)
	defer p.close()
	if failing := p.failing(); slices.Contains(failing, "vault") || !slices.Contains(failing, "credentials") || !slices.Contains(failing, "credentials app") {
		t.Errorf("these fail: %q", failing)
	}
	if w := p.get("/readyz", ""); w.Code != 503 {
		t.Errorf("/readyz is %d", w.Code)
	}
	write(t, "sallyport.yaml", withoutVault("credentials: static, static: {accounts: {readonly: {user: u, password_file: admin.token}}}"))
	p.reload()
	if w := p.get("/readyz", ""); !strings.Contains(w.Body.String(), "sessions share the database users u") {
		t.Errorf("/readyz says %s", w.Body)
	}
}
