package gateway

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authn/certificate"
	"github.com/sallyport/sallyport/authn/md5"
	"github.com/sallyport/sallyport/authn/oauthbearer"
	"github.com/sallyport/sallyport/authn/oidc"
	"github.com/sallyport/sallyport/authn/scram"
	"github.com/sallyport/sallyport/authn/userlist"
	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/metrics"
	"github.com/sallyport/sallyport/tlsutil"
)

// The one account of the userlist. Its password is kept in plain text there, so its SCRAM salt is the same in every run.
const (
	knownUser     = "ana"
	knownPassword = "pencil"
)

// surroundings are all that a gateway needs to log a client in: the real userlist, certificate, policy engine and audit log, and a
// fake PostgreSQL, Vault and OpenID provider.
type surroundings struct {
	authority *certs.Authority // of the gateway's certificate and of its clients'
	issuer    *fakeIssuer
	users     *userlist.File
	userlist  string // its file
	serving   *tlsutil.Serving
	audit     string // the file
	config    Config // without rules
}

// The policy: whoever has logged in may use the database app, and nobody another.
const (
	connectPolicy = `package sallyport.connect
default decision := {"allow": false, "reasons": ["the database is not granted"]}
decision := {"allow": true, "reasons": [], "role": "readonly"} if input.session.database == "app"
`
	statementPolicy = `package sallyport.statement
decision := {"allow": true, "reasons": []}
`
)

func newSurroundings(t testing.TB) *surroundings {
	t.Helper()
	authority, err := certs.New("test CA")
	if err != nil {
		t.Fatal(err)
	}
	s := &surroundings{authority: authority, issuer: startIssuer(t), audit: filepath.Join(t.TempDir(), "audit.log")}
	log, err := audit.Open(audit.Config{Path: s.audit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	vault := startVault(t)
	s.config = Config{
		Serving: s.serve(t), Policy: newPolicy(t), Statements: &statement.Pool{}, Audit: log,
		Databases: map[string]Database{"app": {Credentials: vault, Backend: startPostgres(t), VaultRoles: map[string]string{"readonly": "app-readonly"}}},
		Metrics:   metrics.New(Labels()...),
	}
	s.authenticators(t)
	return s
}

// serve makes the gateway's certificate. Clients may show one of the same authority.
func (s *surroundings) serve(t testing.TB) func() *tlsutil.Serving {
	t.Helper()
	directory := t.TempDir()
	request := certs.Request{CommonName: "localhost", DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true}
	if err := s.authority.WriteFiles(directory, "gateway", request); err != nil {
		t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(directory, name) }
	reloader, err := tlsutil.NewReloader(tlsutil.ReloaderConfig{Certificate: file("gateway.crt"), Key: file("gateway.key"), ClientCA: file("ca.crt")})
	if err != nil {
		t.Fatal(err)
	}
	s.serving = reloader.Serving()
	return reloader.Serving
}

func newPolicy(t testing.TB) *authz.Engine {
	t.Helper()
	directory := t.TempDir()
	for name, text := range map[string]string{"connect.rego": connectPolicy, "statement.rego": statementPolicy} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	engine, err := authz.New(authz.Config{Directory: directory})
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// authenticators makes one of every method.
func (s *surroundings) authenticators(t testing.TB) {
	t.Helper()
	mockSecret := make([]byte, 32)
	s.userlist = filepath.Join(t.TempDir(), "userlist.txt")
	if err := os.WriteFile(s.userlist, []byte(`"`+knownUser+`" "`+knownPassword+`"`), 0o600); err != nil {
		t.Fatal(err)
	}
	users, err := userlist.Open(userlist.FileConfig{Path: s.userlist, Config: userlist.Config{MockSecret: mockSecret}})
	if err != nil {
		t.Fatal(err)
	}
	s.users = users
	if s.config.SCRAM, err = scram.NewServer(scram.Config{Lookup: users.Lookup, MockSecret: mockSecret}); err != nil {
		t.Fatal(err)
	}
	if s.config.MD5, err = md5.NewServer(md5.Config{Lookup: users.MD5}); err != nil {
		t.Fatal(err)
	}
	if s.config.Mapper, err = certificate.New(certificate.Config{}); err != nil {
		t.Fatal(err)
	}
	verifier := s.issuer.verifier(t)
	s.config.Issuers = map[string]*oidc.Verifier{"id": verifier}
	bearer, err := oauthbearer.NewServer(oauthbearer.Config{Verifier: verifier, Issuer: s.issuer.url})
	if err != nil {
		t.Fatal(err)
	}
	s.config.OAuth = map[string]*oauthbearer.Server{"id": bearer}
}

// start runs a gateway in these surroundings with these rules.
func (s *surroundings) start(t testing.TB, rules ...authn.Rule) *serving {
	t.Helper()
	s.config.Rules = rules
	return serve(t, s.config)
}
