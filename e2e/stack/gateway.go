package stack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/e2e/openid"
)

// drainPatience is longer than the gateway's own deadline for a drain.
const drainPatience = 40 * time.Second

// auditFile is in a directory of its own: where certificates and policies lie is watched, and each line would wake the watcher.
const auditFile = "audit/audit.log"

// GatewayOptions vary one gateway from the usual.
type GatewayOptions struct {
	// Dir receives its files. It exists and is private.
	Dir string
	// Binary is the program; "" is bin/sallyport.
	Binary string
	// Port and AdminPort, when zero or taken, are free ones.
	Port, AdminPort int
	// Edit changes the configuration before it is written.
	Edit func(*GatewayConfig)
	// EditPolicies changes the gateway's copy of the policies, a directory, before it starts.
	EditPolicies func(directory string) error
	// Env is added to the environment.
	Env []string
}

// Gateway is a running Sallyport.
type Gateway struct {
	Port       int
	CAFile     string // issuer of its certificate
	AdminURL   string
	AdminToken string
	Config     string // its configuration file
	Policies   string // its own copy of the policies
	Audit      string
	Log        string

	// ServicePassword and LegacyPassword are those of the accounts [Service] and [Legacy].
	ServicePassword, LegacyPassword string

	binary  string
	env     []string
	process *process
}

// StartGateway writes a configuration for these services, starts a gateway
// with it and waits until it says that it is ready.
func (s *Services) StartGateway(ctx context.Context, o GatewayOptions) (*Gateway, error) {
	g, err := s.prepare(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("prepare gateway: %w", err)
	}
	return g, g.Start(ctx)
}

// Start runs the gateway, again after [Gateway.Kill] or [Gateway.Stop].
func (g *Gateway) Start(ctx context.Context) (err error) {
	g.process, err = start(command{
		name: "sallyport", path: g.binary, args: []string{"serve", "--config", g.Config},
		dir: filepath.Dir(g.Config), log: g.Log, env: g.env,
	})
	if err != nil {
		return err
	}
	if err := g.process.ready(ctx, answers(g.AdminURL+"/readyz", g.CAFile)); err != nil {
		return errors.Join(err, g.Kill())
	}
	return nil
}

// PID is the gateway's.
func (g *Gateway) PID() int { return g.process.pid() }

// Done is closed when the gateway has ended.
func (g *Gateway) Done() <-chan struct{} { return g.process.done }

// Signal sends one, SIGHUP for instance.
func (g *Gateway) Signal(signal syscall.Signal) error { return g.process.cmd.Process.Signal(signal) }

// Stop drains the gateway and waits for its end.
func (g *Gateway) Stop() error { return g.process.stop(syscall.SIGTERM, drainPatience) }

// Kill ends it as a crash would.
func (g *Gateway) Kill() error { return g.process.stop(syscall.SIGKILL, killAfter) }

// prepare writes the files of a gateway.
func (s *Services) prepare(ctx context.Context, o GatewayOptions) (*Gateway, error) {
	in := func(name string) string { return filepath.Join(o.Dir, name) }
	g := &Gateway{
		CAFile: s.CAFile, AdminToken: rand.Text(), Config: in("sallyport.yaml"), Policies: in("policies"),
		Audit: in(auditFile), Log: in("sallyport.log"), binary: o.Binary, env: o.Env,
		ServicePassword: rand.Text(), LegacyPassword: rand.Text(),
	}
	var err error
	if g.binary == "" {
		if g.binary, err = binary(s.root, "sallyport"); err != nil {
			return nil, err
		}
	}
	if g.Port, err = port(o.Port); err != nil {
		return nil, err
	}
	adminPort, err := port(o.AdminPort)
	if err != nil {
		return nil, err
	}
	g.AdminURL = "http://" + address(adminPort)
	config := s.config(g.Port, adminPort)
	if o.Edit != nil {
		o.Edit(&config)
	}
	if config.Admin.TLS != nil {
		g.AdminURL = "https://" + address(adminPort)
	}
	if err := s.writeFiles(ctx, o.Dir, g, config); err != nil || o.EditPolicies == nil {
		return g, err
	}
	return g, o.EditPolicies(g.Policies)
}

// writeFiles writes what the configuration refers to, and the configuration.
func (s *Services) writeFiles(ctx context.Context, dir string, g *Gateway, config GatewayConfig) error {
	certificate, key, err := s.authority.Issue(serverRequest("sallyport"))
	if err != nil {
		return err
	}
	service, err := UserlistLine(Service, g.ServicePassword)
	if err != nil {
		return err
	}
	legacy, err := md5Line(Legacy, g.LegacyPassword)
	if err != nil {
		return err
	}
	var roleID, secretID string
	if s.Vault != nil {
		if roleID, secretID, err = s.Vault.AppRole(ctx); err != nil {
			return err
		}
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		return err
	}
	files := map[string]string{
		"tls/server.crt": string(certificate), "tls/server.key": string(key), "tls/clients-ca.crt": string(s.Clients.CertPEM()),
		"admin.token": g.AdminToken + "\n", "mock.secret": rand.Text() + "\n",
		"userlist.txt": service + legacy, "provisioning.password": s.Postgres.ProvisioningPassword + "\n", "vault.role-id": roleID + "\n", "vault.secret-id": secretID + "\n",
		filepath.Base(g.Config): string(text),
	}
	for _, name := range []string{"tls", filepath.Dir(auditFile)} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	// A copy, so that a policy can be tried out without touching the repository's.
	if err := os.RemoveAll(g.Policies); err != nil {
		return err
	}
	return os.CopyFS(g.Policies, os.DirFS(filepath.Join(s.root, "policies")))
}

// config is the usual one.
func (s *Services) config(port, adminPort int) GatewayConfig {
	database := func(searchPath, catalog string, roles map[string]string) DatabaseConfig {
		return DatabaseConfig{
			Host: "localhost", Port: s.Postgres.Port, SearchPath: []string{searchPath}, VaultRoles: roles, Catalog: &CatalogConfig{VaultRole: catalog},
			TLS: BackendTLS{CAFile: s.CAFile, Certificate: s.ClientCertificate, Key: s.ClientKey},
		}
	}
	config := GatewayConfig{
		Listen: address(port),
		TLS:    TLSConfig{Certificate: "tls/server.crt", Key: "tls/server.key", ClientCA: "tls/clients-ca.crt"},
		Admin: AdminConfig{
			Listen: address(adminPort), TokenFile: "admin.token", RefusalsFile: "refusals", Audiences: []string{openid.OperatorsClientID},
			Operators: []OperatorConfig{{Issuer: "demo", Groups: []string{onCall}}},
		},
		Authentication: AuthenticationConfig{
			Userlist: "userlist.txt",
			SCRAM:    SCRAMConfig{Iterations: scramIterations, MockSecretFile: "mock.secret"},
			Issuers: []IssuerConfig{{
				Name: "demo", Issuer: s.OpenID.Issuer(), Audiences: []string{"sallyport"},
				UserClaim: "email", GroupsClaim: "groups", CAFile: s.CAFile, MaxAge: "24h", Scope: "openid email groups",
			}},
			Certificates: []MappingConfig{{Kind: "cn", Name: "{user}"}},
			Rules: []RuleConfig{
				{Method: "scram-sha-256", Users: []string{Service}},
				{Method: "md5", Users: []string{Legacy}},
				{Method: "cert", Users: []string{Batch}},
				{Method: "oauthbearer", Issuer: "demo", Users: []string{OAuth}},
				{Method: "oidc", Issuer: "demo", Databases: []string{"all"}, Sources: []string{"127.0.0.0/8", "::1/128"}},
			},
		},
		Policy: PolicyConfig{Directory: "policies"},
		Databases: map[string]DatabaseConfig{
			App: database("app", "app-catalog", map[string]string{
				"readonly": "app-readonly", "readwrite": "app-readwrite", "admin": "app-admin",
			}),
			Scratch: database("public", "scratch-catalog", map[string]string{"readwrite": "scratch-readwrite", "admin": "scratch-admin"}),
		},
		Audit: AuditConfig{File: auditFile},
		Log:   LogConfig{Level: "info", Format: "json"},
	}
	if s.Vault == nil {
		config.Mint()
		return config
	}
	config.Vault = VaultConfig{
		Address: s.Vault.Address, Mount: Mount, JournalFile: "leases",
		Auth: VaultAuth{Method: "approle", RoleIDFile: "vault.role-id", SecretIDFile: "vault.secret-id"},
	}
	return config
}
