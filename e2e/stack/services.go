package stack

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/e2e/openid"
)

// credentialTTL is how long Vault's credentials live unless renewed.
const credentialTTL = 15 * time.Minute

// Config says where the services live. Zero ports are free ones; other ports
// are used when they are free.
type Config struct {
	// Root is the repository's, see [Root].
	Root string
	// Dir receives everything but PostgreSQL's data. It exists and is private.
	Dir string
	// CredentialTTL is how long Vault's credentials live unless renewed; 0 is 15 minutes.
	CredentialTTL                       time.Duration
	PostgresPort, VaultPort, OpenIDPort int
	// WithoutVault starts no Vault: gateways make the roles of their sessions
	// themselves.
	WithoutVault bool
	// MaxConnections is PostgreSQL's; 0 is 300.
	MaxConnections int
}

// Services are the running parts around the gateway.
type Services struct {
	Postgres *Postgres
	Vault    *Vault // nil without
	OpenID   *openid.Provider

	// CAFile issued the certificates of PostgreSQL and of the gateway.
	CAFile string
	// ClientCertificate and ClientKey are the files of the certificate that
	// PostgreSQL wants to see next to a credential from Vault.
	ClientCertificate, ClientKey string

	// Clients signs the certificates that the gateway takes from its clients,
	// and nothing else. BatchCertificate and BatchKey are the files of [Batch]'s.
	Clients                    *certs.Authority
	BatchCertificate, BatchKey string

	root, dir string
	authority *certs.Authority
	// gateways signs what PostgreSQL wants to see of gateways.
	gateways *certs.Authority
}

// Start starts PostgreSQL, Vault and the OpenID provider and connects them.
func Start(ctx context.Context, cfg Config) (_ *Services, err error) {
	s := &Services{root: cfg.Root, dir: cfg.Dir}
	if cfg.CredentialTTL == 0 {
		cfg.CredentialTTL = credentialTTL
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	files, err := s.issueCertificates()
	if err != nil {
		return nil, fmt.Errorf("issue certificates: %w", err)
	}
	// The context of a group ends with it, the services do not: they are given ctx.
	var group errgroup.Group
	group.Go(func() (err error) { s.Postgres, err = s.startPostgres(ctx, cfg, files); return })
	if !cfg.WithoutVault {
		group.Go(func() (err error) { s.Vault, err = s.startVault(ctx, cfg); return })
	}
	group.Go(func() (err error) { s.OpenID, err = s.startOpenID(cfg.OpenIDPort); return })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if cfg.WithoutVault {
		return s, nil
	}
	if err := s.Vault.configure(ctx, s.Postgres, cfg.CredentialTTL); err != nil {
		return nil, fmt.Errorf("configure Vault: %w", err)
	}
	return s, nil
}

// Stop ends the services, the backend last: Vault may be revoking in it.
func (s *Services) Stop() error {
	var errs []error
	if s.OpenID != nil {
		errs = append(errs, s.OpenID.Close())
	}
	if s.Vault != nil {
		errs = append(errs, s.Vault.Stop())
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Stop())
	}
	return errors.Join(errs...)
}

// Certificate is the gateway's client certificate.
func (s *Services) Certificate() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(s.ClientCertificate, s.ClientKey)
	if err != nil {
		return nil, fmt.Errorf("load client certificate: %w", err)
	}
	return &pair, nil
}

// Login gets a user's tokens by the authorization code flow.
func (s *Services) Login(ctx context.Context, email string) (openid.Tokens, error) {
	return openid.Agent{Issuer: s.OpenID.Issuer(), HTTP: s.HTTPClient(), Email: email, Password: Password}.CodeFlow(ctx)
}

// OperatorToken gets a token for the control API.
func (s *Services) OperatorToken(ctx context.Context, email string) (string, error) {
	agent := openid.Agent{
		Issuer: s.OpenID.Issuer(), HTTP: s.HTTPClient(), Email: email, Password: Password, ClientID: openid.OperatorsClientID,
	}
	tokens, err := agent.CodeFlow(ctx)
	return tokens.ID, err
}

// HTTPClient trusts the authority of the OpenID provider.
func (s *Services) HTTPClient() *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.authority.CertPEM())
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}}
}

func (s *Services) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Services) startPostgres(ctx context.Context, cfg Config, files pgFiles) (*Postgres, error) {
	bin, err := PostgresBin()
	if err != nil {
		return nil, err
	}
	chosen, err := port(cfg.PostgresPort)
	if err != nil {
		return nil, err
	}
	return startPostgres(ctx, s.root, bin, s.path("postgres.log"), chosen, cmp.Or(cfg.MaxConnections, defaultMaxConnections), files)
}

func (s *Services) startVault(ctx context.Context, cfg Config) (*Vault, error) {
	chosen, err := port(cfg.VaultPort)
	if err != nil {
		return nil, err
	}
	return startVault(ctx, s.root, s.dir, chosen)
}

func (s *Services) startOpenID(want int) (*openid.Provider, error) {
	certificate, key, err := s.authority.Issue(serverRequest("openid"))
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	listener, err := listen(want)
	if err != nil {
		return nil, err
	}
	return openid.Start(openid.Config{
		Listener: listener, Lifetime: tokenLifetime, Users: People(),
		TLS: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	})
}

// issueCertificates makes three authorities: what PostgreSQL accepts from
// clients is signed by one that signs nothing else, and so is what the gateway
// accepts. No client of the gateway can pass for the gateway.
func (s *Services) issueCertificates() (pgFiles, error) {
	servers, err := certs.New("Sallyport demo")
	if err != nil {
		return pgFiles{}, err
	}
	clients, err := certs.New("Sallyport demo backend clients")
	if err != nil {
		return pgFiles{}, err
	}
	s.authority, s.gateways = servers, clients
	s.CAFile = s.path("ca.crt")
	s.ClientCertificate, s.ClientKey = s.path("gateway.crt"), s.path("gateway.key")
	if err := os.WriteFile(s.CAFile, servers.CertPEM(), 0o600); err != nil {
		return pgFiles{}, err
	}
	certificate, key, err := clients.Issue(certs.Request{CommonName: "sallyport", Client: true})
	if err != nil {
		return pgFiles{}, err
	}
	if err := writePair(s.ClientCertificate, s.ClientKey, certificate, key); err != nil {
		return pgFiles{}, err
	}
	if err := s.issueBatch(); err != nil {
		return pgFiles{}, err
	}
	return s.postgresFiles()
}

// postgresFiles are those of one cluster.
func (s *Services) postgresFiles() (pgFiles, error) {
	certificate, key, err := s.authority.Issue(serverRequest("postgres"))
	if err != nil {
		return pgFiles{}, err
	}
	return pgFiles{certificate: certificate, key: key, clientCA: s.gateways.CertPEM(), caFile: s.CAFile}, nil
}

// SparePostgres starts another cluster like the one of the services, which a test may spoil. dir receives its log; bin has its programs, ""
// are those of the services.
func (s *Services) SparePostgres(ctx context.Context, dir, bin string) (*Postgres, error) {
	files, err := s.postgresFiles()
	if err != nil {
		return nil, err
	}
	chosen, err := port(0)
	if err != nil {
		return nil, err
	}
	return startPostgres(ctx, s.root, cmp.Or(bin, s.Postgres.Bin), filepath.Join(dir, "postgres.log"), chosen, defaultMaxConnections, files)
}

// ServerCertificate makes another certificate of a gateway's listener, and writes it and its key into a directory.
func (s *Services) ServerCertificate(dir, name string) error {
	return s.authority.WriteFiles(dir, name, serverRequest("sallyport"))
}

// GatewayCertificate makes another certificate of a gateway, which PostgreSQL takes, and writes it and its key into a directory.
func (s *Services) GatewayCertificate(dir, name string) error {
	return s.gateways.WriteFiles(dir, name, certs.Request{CommonName: name, Client: true})
}

// issueBatch makes the authority of the gateway's clients and the certificate of one.
func (s *Services) issueBatch() (err error) {
	if s.Clients, err = certs.New("Sallyport demo clients"); err != nil {
		return err
	}
	certificate, key, err := s.Clients.Issue(certs.Request{CommonName: Batch, Client: true})
	if err != nil {
		return err
	}
	s.BatchCertificate, s.BatchKey = s.path(Batch+".crt"), s.path(Batch+".key")
	return writePair(s.BatchCertificate, s.BatchKey, certificate, key)
}

// serverRequest is for something that listens on this machine.
func serverRequest(name string) certs.Request {
	return certs.Request{
		CommonName: name, DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		Server: true,
	}
}

func writePair(certificateFile, keyFile string, certificate, key []byte) error {
	return errors.Join(os.WriteFile(certificateFile, certificate, 0o600), os.WriteFile(keyFile, key, 0o600))
}
