package stack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

const (
	// Mount is where the database secrets engine is.
	Mount = "database"
	// maxCredentialTTL ends the renewals of a lease: a working day.
	maxCredentialTTL = 12 * time.Hour
	// gatewayTokenPeriod is how long the gateway's own token, and with it every
	// lease it took, outlives a gateway that was killed.
	gatewayTokenPeriod = 10 * time.Minute
)

// Connections of Vault's besides those that have a database's name. The
// passwords of legacy PostgreSQL hashes itself, by MD5 if it is told so; the
// other connections send SCRAM verifiers. Those that end in dba are a
// superuser's, who makes superusers.
const (
	legacy = "legacy"
	dba    = "-dba"
)

// credentialRole is one role of the database secrets engine.
type credentialRole struct {
	name, database string
	group          string // the PostgreSQL role to be a member of; "" mints a superuser
	way            string // the group by which pg_hba.conf knows how it comes; "": as everybody
}

var credentialRoles = []credentialRole{
	{"app-readonly", App, "app_readonly", ""},
	{"app-readwrite", App, "app_readwrite", ""},
	{"app-admin", App, "", ""},
	{"scratch-readwrite", Scratch, "scratch_readwrite", ""},
	{"scratch-admin", Scratch, "", ""},
	{"app-catalog", App, "app_catalog", ""},
	{"scratch-catalog", Scratch, "scratch_catalog", ""},
	{"app-certified", App, "app_readonly", "by_certificate"},
	{"legacy-readonly", App, "app_readonly", "by_md5"},
}

// connection is Vault's that makes the role.
func (r credentialRole) connection() string {
	switch {
	case r.way == "by_md5":
		return legacy
	case r.group == "":
		return r.database + dba
	}
	return r.database
}

// gatewayPolicy is all the gateway may do in Vault: besides this, the default
// policy lets every token look at itself and renew itself.
const gatewayPolicy = `
path "database/creds/app-readonly"      { capabilities = ["read"] }
path "database/creds/app-readwrite"     { capabilities = ["read"] }
path "database/creds/app-admin"         { capabilities = ["read"] }
path "database/creds/app-certified"     { capabilities = ["read"] }
path "database/creds/legacy-readonly"   { capabilities = ["read"] }
path "database/creds/scratch-readwrite" { capabilities = ["read"] }
path "database/creds/scratch-admin"     { capabilities = ["read"] }
path "database/creds/app-catalog"       { capabilities = ["read"] }
path "database/creds/scratch-catalog"   { capabilities = ["read"] }
path "sys/leases/renew"                 { capabilities = ["update"] }
path "sys/leases/revoke"                { capabilities = ["update"] }
`

// statements are those of deploy/vault, with the role's group and owner.
func (r credentialRole) statements(root string) (create, renew, revoke []string, err error) {
	file, group, owner := "vault/create.sql", r.group, r.database+"_objects"
	if r.group == "" {
		file, owner = "vault/create-dba.sql", r.database+"_owner"
	}
	if r.way != "" {
		group += `", "` + r.way
	}
	made, createErr := deployed(root, file, "app_readonly", group)
	renewed, renewErr := deployed(root, "vault/renew.sql")
	revoked, revokeErr := deployed(root, "vault/revoke.sql", "app_objects", owner)
	create = []string{made}
	if r.connection() == legacy {
		// Vault runs them in one transaction. The password is in the last one.
		create = []string{"SET LOCAL log_statement = 'none'", "SET LOCAL password_encryption = 'md5'", made}
	}
	return create, []string{renewed}, []string{revoked}, errors.Join(createErr, renewErr, revokeErr)
}

// configure sets up what the gateway finds in Vault. The credentials it issues
// live for ttl unless renewed.
func (v *Vault) configure(ctx context.Context, pg *Postgres, ttl time.Duration) error {
	sys := v.Client.Sys()
	return errors.Join(
		sys.MountWithContext(ctx, Mount, &api.MountInput{Type: "database"}),
		v.connectAll(ctx, pg),
		v.writeRoles(ctx, ttl),
		sys.PutPolicyWithContext(ctx, "gateway", gatewayPolicy),
		sys.EnableAuthWithOptionsWithContext(ctx, "approle", &api.EnableAuthOptions{Type: "approle"}),
		v.write(ctx, "auth/approle/role/gateway", map[string]any{
			"token_policies":        "gateway",
			"token_period":          gatewayTokenPeriod.String(),
			"token_bound_cidrs":     "127.0.0.0/8",
			"secret_id_bound_cidrs": "127.0.0.0/8",
		}),
	)
}

// FollowPrimary has Vault make and drop roles at whichever is the primary of a cluster and its standbys, when it connects next.
func (v *Vault) FollowPrimary(ctx context.Context, pg *Postgres, standbys ...*Postgres) error {
	return v.connectAll(ctx, pg, standbys...)
}

// connectAll makes Vault's database connections.
func (v *Vault) connectAll(ctx context.Context, pg *Postgres, standbys ...*Postgres) error {
	connect := func(name, database, user, authentication string) error {
		return v.connect(ctx, pg, standbys, name, database, user, authentication)
	}
	return errors.Join(
		connect(App, App, "vault", "scram-sha-256"),
		connect(Scratch, Scratch, "vault", "scram-sha-256"),
		connect(App+dba, App, "vault_dba", "scram-sha-256"),
		connect(Scratch+dba, Scratch, "vault_dba", "scram-sha-256"),
		connect(legacy, App, "vault_dba", "password"),
	)
}

// connect makes one of them.
func (v *Vault) connect(ctx context.Context, pg *Postgres, standbys []*Postgres, name, database, user, authentication string) error {
	hosts, suffix := address(pg.Port), ""
	for _, standby := range standbys {
		hosts += "," + address(standby.Port)
		suffix = "&target_session_attrs=read-write"
	}
	placeholder := strings.NewReplacer("user:password@", "{{username}}:{{password}}@", address(pg.Port), hosts)
	return v.write(ctx, Mount+"/config/"+name, map[string]any{
		"plugin_name":             "postgresql-database-plugin",
		"connection_url":          placeholder.Replace(pg.dsn(url.UserPassword("user", "password"), database)) + suffix,
		"username":                user,
		"password":                pg.vaultPassword,
		"password_authentication": authentication,
		"max_open_connections":    8,
		"max_idle_connections":    4,
		"allowed_roles":           strings.TrimSuffix(name, dba) + "-*",
	})
}

func (v *Vault) writeRoles(ctx context.Context, ttl time.Duration) error {
	var errs []error
	for _, r := range credentialRoles {
		create, renew, revoke, err := r.statements(v.root)
		if err != nil {
			return err
		}
		errs = append(errs, v.write(ctx, Mount+"/roles/"+r.name, map[string]any{
			"db_name":               r.connection(),
			"creation_statements":   create,
			"renew_statements":      renew,
			"revocation_statements": revoke,
			"default_ttl":           ttl.String(),
			"max_ttl":               maxCredentialTTL.String(),
		}))
	}
	return errors.Join(errs...)
}

func (v *Vault) write(ctx context.Context, path string, data map[string]any) error {
	if _, err := v.Client.Logical().WriteWithContext(ctx, path, data); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// SetCredentialTTL changes how long credentials issued from now on live unless renewed.
func (v *Vault) SetCredentialTTL(ctx context.Context, ttl time.Duration) error {
	return v.writeRoles(ctx, ttl)
}

// AppRole returns the ids that the gateway logs in with.
func (v *Vault) AppRole(ctx context.Context) (roleID, secretID string, err error) {
	role, err := v.Client.Logical().ReadWithContext(ctx, "auth/approle/role/gateway/role-id")
	if err != nil {
		return "", "", fmt.Errorf("read AppRole id: %w", err)
	}
	secret, err := v.Client.Logical().WriteWithContext(ctx, "auth/approle/role/gateway/secret-id", nil)
	if err != nil {
		return "", "", fmt.Errorf("make AppRole secret id: %w", err)
	}
	roleID, _ = role.Data["role_id"].(string)
	secretID, _ = secret.Data["secret_id"].(string)
	if roleID == "" || secretID == "" {
		return "", "", errors.New("read AppRole ids: Vault gave none")
	}
	return roleID, secretID, nil
}

// Leases counts the credentials of a role that Vault holds alive, e.g. of "app-readonly".
func (v *Vault) Leases(ctx context.Context, role string) (int, error) {
	secret, err := v.Client.Logical().ListWithContext(ctx, "sys/leases/lookup/"+Mount+"/creds/"+role)
	if err != nil || secret == nil {
		return 0, err
	}
	keys, _ := secret.Data["keys"].([]any)
	return len(keys), nil
}
