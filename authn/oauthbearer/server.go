// Package oauthbearer is the server side of OAUTHBEARER (RFC 7628) as PostgreSQL 18 speaks it: SASL messages in, SASL messages out,
// no sockets (https://www.postgresql.org/docs/current/sasl-authentication.html, src/backend/libpq/auth-oauth.c).
//
// A client that has no token yet sends none and is told where to get one; that is discovery, not a failed login. A client with a
// token that is not good is told the same, to the byte. Either must then say that it has heard, and only that.
package oauthbearer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/authn"
)

const (
	// Mechanism is the SASL mechanism's name, as AuthenticationSASL lists it.
	Mechanism = "OAUTHBEARER"
	// MaxMessageBytes is PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH (src/include/libpq/auth.h): what it takes in a SASL message of this
	// mechanism. A token is bounded again by who verifies it.
	MaxMessageBytes = 65535
	// defaultScope is what makes an OpenID provider issue an ID token at all (OpenID Connect Core section 3.1.2.1).
	defaultScope = "openid"
	// wellKnown is where a provider's document is, below its issuer (OpenID Connect Discovery section 4).
	wellKnown = "/.well-known/openid-configuration"
)

// verifier judges tokens: an *oidc.Verifier.
type verifier interface {
	Verify(ctx context.Context, token, user string) (authn.Identity, error)
}

// Config is what a Server needs. It is copied.
type Config struct {
	// Verifier judges tokens of Issuer. Of its errors only oidc.ErrRejected is about the token; any other ends the exchange at once.
	Verifier verifier
	// Issuer is the issuer's URL, exactly as its tokens have it. libpq compares it with its oauth_issuer.
	Issuer string
	// Discovery is the URL of the issuer's document. Empty: the issuer's, with /.well-known/openid-configuration behind it unless it
	// has a /.well-known/ already; as PostgreSQL has it.
	Discovery string
	// Scope is what clients must ask the issuer for: words with one blank between. Empty: "openid".
	Scope string
}

// Server begins exchanges. It is safe for concurrent use.
type Server struct {
	verifier verifier
	refusal  []byte
}

// NewServer checks cfg and returns a Server.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Verifier == nil {
		return nil, errors.New("oauthbearer: no verifier of tokens")
	}
	if cfg.Scope == "" {
		cfg.Scope = defaultScope
	}
	if cfg.Discovery == "" {
		cfg.Discovery = cfg.Issuer
		if !strings.Contains(cfg.Issuer, "/.well-known/") {
			cfg.Discovery += wellKnown
		}
	}
	if err := errors.Join(checkURL("issuer", cfg.Issuer), checkURL("discovery", cfg.Discovery), checkScope(cfg.Scope)); err != nil {
		return nil, fmt.Errorf("oauthbearer: %w", err)
	}
	refusal, err := encodeRefusal(cfg.Discovery, cfg.Scope)
	if err != nil {
		return nil, fmt.Errorf("oauthbearer: %w", err)
	}
	return &Server{verifier: cfg.Verifier, refusal: refusal}, nil
}

// Mechanisms are the SASL mechanisms to offer.
func (*Server) Mechanisms() []string { return []string{Mechanism} }

// Begin starts the exchange of one connection. user is the startup packet's; a token must be that user's.
func (s *Server) Begin(user string) *Exchange {
	return &Exchange{server: s, user: user}
}

// encodeRefusal makes the error document of RFC 7628 section 3.2.2. It is the same for everybody: a reason would help to forge.
func encodeRefusal(discovery, scope string) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // it is no HTML, and an escaped URL is not the one that a client compares
	err := encoder.Encode(struct {
		Status        string `json:"status"`
		Configuration string `json:"openid-configuration"`
		Scope         string `json:"scope"`
	}{"invalid_token", discovery, scope})
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// checkURL admits absolute URLs that send a client, with its secrets, nowhere but to the issuer over TLS.
func checkURL(what, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return fmt.Errorf("%s is not an absolute URL", what)
	case u.Scheme != "https":
		return fmt.Errorf("%s is not an https URL", what)
	case u.User != nil || u.Fragment != "" || u.RawQuery != "" || u.ForceQuery:
		return fmt.Errorf("%s has a user, a query or a fragment", what)
	}
	return nil
}

// checkScope admits RFC 6749 section 3.3's scope: words of visible ASCII but the quote and the backslash.
func checkScope(scope string) error {
	for word := range strings.SplitSeq(scope, " ") {
		if word == "" {
			return errors.New("scope has a blank too many")
		}
		for i := range len(word) {
			if c := word[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
				return errors.New("scope has a character that no scope has")
			}
		}
	}
	return nil
}
