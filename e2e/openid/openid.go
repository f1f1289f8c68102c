// Package openid is an OpenID provider with static users for the tests and
// the demo: a certified implementation (github.com/zitadel/oidc) with its
// discovery document, JWKS, authorization code with PKCE and device flow
// behind real HTTP, and two pages to log in on.
//
// It also has the other side of both flows ([CodeFlow], [DeviceFlow]): a user
// agent that follows the redirects and fills in the form, so that a test or a
// script gets tokens that were issued the way a person's are.
package openid

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"
)

// ClientID and OperatorsClientID are the clients, and the audiences of their
// tokens: for databases, and for the gateway's control API. Both are public,
// native, PKCE required, any loopback port with the path /callback
// (RFC 8252, 7.3) as their redirect URI.
const (
	ClientID          = "sallyport"
	OperatorsClientID = "sallyport-operators"
)

// IntrospectorID is the client that may ask about tokens (RFC 7662), and
// IntrospectorSecret its secret.
const (
	IntrospectorID     = "sallyport-introspector"
	IntrospectorSecret = "an introspector's secret" // #nosec G101 -- of tests
)

const (
	// readHeaderTimeout: a client that sends no request is not a test.
	readHeaderTimeout = 10 * time.Second
	// deviceLifetime is how long a user has to type the code, as most providers have it.
	deviceLifetime = 5 * time.Minute
	// devicePoll is shorter than the five seconds of RFC 8628: nobody waits for a person here.
	devicePoll = time.Second
)

// User is someone who can log in.
type User struct {
	Subject       string // the sub claim: never the address
	Email         string // what the user types; the email claim
	EmailVerified bool
	Name          string
	Password      string
	Groups        []string
}

// Config says where the provider listens and whom it knows.
type Config struct {
	// Listen is a loopback address; the port 0 takes a free one.
	Listen string
	// Listener is used in place of Listen, and closed by the provider.
	Listener net.Listener
	// TLS turns the issuer into an https one. The zero value is plain HTTP.
	TLS *tls.Config
	// Host replaces the host in the issuer, for certificates made out to a
	// name. "" is the address listened on.
	Host string
	// Lifetime is that of ID and access tokens.
	Lifetime time.Duration
	Users    []User
}

// Provider is a running OpenID provider.
type Provider struct {
	issuer string
	store  *store
	server *http.Server
	served chan error
}

// Start listens and serves until [Provider.Close].
func Start(cfg Config) (*Provider, error) {
	if cfg.Lifetime <= 0 {
		return nil, errors.New("start OpenID provider: no token lifetime")
	}
	store, err := newStore(cfg.Users, cfg.Lifetime)
	if err != nil {
		return nil, fmt.Errorf("start OpenID provider: %w", err)
	}
	listener := cfg.Listener
	if listener == nil {
		if listener, err = net.Listen("tcp", cfg.Listen); err != nil {
			return nil, fmt.Errorf("start OpenID provider: %w", err)
		}
	}
	issuer := issuerOf(cfg, listener.Addr())
	handler, err := newHandler(issuer, store)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start OpenID provider: %w", err), listener.Close())
	}
	if cfg.TLS != nil {
		listener = tls.NewListener(listener, cfg.TLS.Clone())
	}
	p := &Provider{
		issuer: issuer,
		store:  store,
		server: &http.Server{Handler: handler, ReadHeaderTimeout: readHeaderTimeout},
		served: make(chan error, 1),
	}
	go func() { p.served <- p.server.Serve(listener) }()
	return p, nil
}

// Issuer is the iss of its tokens and the start of every address.
func (p *Provider) Issuer() string { return p.issuer }

// RotateKey signs with a new key from now on. The old one leaves the JWKS
// unless keep is set, as an overlapping rotation would have it.
func (p *Provider) RotateKey(keep bool) error { return p.store.keys.rotate(keep) }

// SetLifetime changes that of the tokens issued from now on.
func (p *Provider) SetLifetime(d time.Duration) { p.store.setLifetime(d) }

// SetGroups changes those of a user, for what is asked from now on. Tokens say what they said.
func (p *Provider) SetGroups(email string, groups ...string) { p.store.setGroups(email, groups) }

// Close ends the provider and waits for its end.
func (p *Provider) Close() error {
	err := p.server.Close()
	if served := <-p.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func issuerOf(cfg Config, address net.Addr) string {
	scheme, host := "http", address.String()
	if cfg.TLS != nil {
		scheme = "https"
	}
	if _, port, err := net.SplitHostPort(host); err == nil && cfg.Host != "" {
		host = net.JoinHostPort(cfg.Host, port)
	}
	return scheme + "://" + host
}

// newHandler puts the pages beside the protocol's endpoints.
func newHandler(issuer string, store *store) (http.Handler, error) {
	config := &op.Config{
		CryptoKeyId:    "opaque",
		CodeMethodS256: true,
		DeviceAuthorization: op.DeviceAuthorizationConfig{
			Lifetime:     deviceLifetime,
			PollInterval: devicePoll,
			UserFormPath: devicePath,
			UserCode:     op.UserCodeBase20,
		},
		SupportedScopes: []string{"openid", "profile", "email", "groups"},
	}
	_, _ = rand.Read(config.CryptoKey[:]) // never fails: crypto/rand
	provider, err := op.NewProvider(config, store, op.StaticIssuer(issuer), op.WithAllowInsecure())
	if err != nil {
		return nil, err
	}
	pages := &pages{store: store, callback: op.AuthCallbackURL(provider)}
	withIssuer := op.NewIssuerInterceptor(provider.IssuerFromRequest)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+loginPath, pages.showLogin)
	mux.HandleFunc("POST "+loginPath, withIssuer.HandlerFunc(pages.login))
	mux.HandleFunc("GET "+devicePath, pages.showDevice)
	mux.HandleFunc("POST "+devicePath, pages.device)
	mux.Handle("/", provider)
	return mux, nil
}

// Health says that the provider can answer; there is nothing that could be down.
func (*store) Health(context.Context) error { return nil }
