package oidc

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"
)

const (
	// defaultMaxAge: a client that gets a token for the purpose uses it at once; an hour is what issuers' ID tokens live.
	defaultMaxAge = time.Hour
	// maxMaxAge: beyond a day a token is a password that is never changed.
	maxMaxAge = 24 * time.Hour
	// defaultSkew is ample for clocks that are kept by NTP.
	defaultSkew = 30 * time.Second
	// maxSkew: who needs more has a broken clock, and every second of it is one in which a token is used before its time.
	maxSkew = time.Minute
	// defaultTTL is how long a key that the issuer has withdrawn can still be accepted.
	defaultTTL = 15 * time.Minute
	// maxTTL bounds the same.
	maxTTL = time.Hour
	// defaultMinRefetch: a new key is found within this time, and tokens with invented key ids cost the issuer no more than two
	// fetches a minute.
	defaultMinRefetch = 30 * time.Second
	// floorMinRefetch: less would let a stranger use the gateway to flood the issuer.
	floorMinRefetch = time.Second
	// defaultMaxStale is defaultMaxAge: an issuer that is down issues nothing, so later there is hardly a token young enough.
	defaultMaxStale = time.Hour
	// maxMaxStale bounds how long an outage, or somebody who cuts the gateway off from its issuer, keeps a withdrawn key alive.
	maxMaxStale = 24 * time.Hour

	defaultUserClaim   = "sub" // the only claim that an issuer never gives to another person (OpenID Connect Core section 5.7)
	defaultNameClaim   = "name"
	defaultGroupsClaim = "groups"
)

// Config says whose tokens are accepted. Zero durations mean the defaults. It is copied.
type Config struct {
	// Issuer is the iss of every token, byte for byte, and where the keys are discovered. Only https.
	Issuer string
	// Audiences are the gateway's names at the issuer; a token is for us if its aud has one of them.
	Audiences []string
	// AuthorizedParties are the clients (azp, client_id) whose tokens are accepted. Empty: the Audiences. A token that names its
	// party is held to it; one with several audiences must name it.
	AuthorizedParties []string
	// Algorithms of signatures: RS, PS or ES with 256, 384 or 512, and EdDSA. Empty: RS256, PS256, ES256, EdDSA.
	Algorithms []string
	// TokenTypes are the accepted typ headers, without "application/" and in any case. Empty: "JWT". A token without typ counts as
	// a JWT. Name "at+jwt" to accept access tokens (RFC 9068).
	TokenTypes []string
	// UserClaim is the claim that must equal the startup user, byte for byte. Empty: "sub". "email" counts only when
	// email_verified is true.
	UserClaim string
	// NameClaim is the claim with a name to show. Empty: "name".
	NameClaim string
	// GroupsClaim is the claim with the groups, a string or a list of strings. Empty: "groups".
	GroupsClaim string
	// CAFile has the certificates that the issuer's must descend from. Empty: the system's.
	CAFile string

	MaxAge         time.Duration // since iat; at most 24 hours; zero: one hour
	Skew           time.Duration // of clocks, for nbf and iat; at most a minute; zero: 30 seconds
	JWKSTTL        time.Duration // how long keys are used before they are fetched again; at most an hour; zero: 15 minutes
	JWKSMinRefetch time.Duration // between fetches, whatever comes in; one second to JWKSTTL; zero: 30 seconds
	MaxStale       time.Duration // how old keys may get while the issuer is down; JWKSTTL to 24 hours; zero: one hour

	// Recheck has the issuer asked about the tokens that Verify is given, and goes on asking while somebody follows their identities.
	Recheck Recheck
}

func defaultAlgorithms() []string { return []string{"RS256", "PS256", "ES256", "EdDSA"} }

// withDefaults returns a copy that shares nothing with cfg.
func (cfg Config) withDefaults() Config {
	cfg.Audiences = slices.Clone(cfg.Audiences)
	cfg.AuthorizedParties = slices.Clone(cfg.AuthorizedParties)
	cfg.Algorithms = slices.Clone(cfg.Algorithms)
	cfg.TokenTypes = slices.Clone(cfg.TokenTypes)
	if len(cfg.AuthorizedParties) == 0 {
		cfg.AuthorizedParties = cfg.Audiences
	}
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = defaultAlgorithms()
	}
	if len(cfg.TokenTypes) == 0 {
		cfg.TokenTypes = []string{"JWT"}
	}
	for _, claim := range []struct {
		name  *string
		value string
	}{{&cfg.UserClaim, defaultUserClaim}, {&cfg.NameClaim, defaultNameClaim}, {&cfg.GroupsClaim, defaultGroupsClaim}} {
		if *claim.name == "" {
			*claim.name = claim.value
		}
	}
	for _, duration := range []struct {
		name  *time.Duration
		value time.Duration
	}{
		{&cfg.MaxAge, defaultMaxAge},
		{&cfg.Skew, defaultSkew},
		{&cfg.JWKSTTL, defaultTTL},
		{&cfg.JWKSMinRefetch, defaultMinRefetch},
		{&cfg.MaxStale, max(defaultMaxStale, cfg.JWKSTTL)},
		{&cfg.Recheck.MaxStale, defaultStaleIntervals * cfg.Recheck.Interval},
	} {
		if *duration.name == 0 {
			*duration.name = duration.value
		}
	}
	return cfg
}

// validate reports everything that is wrong at once. cfg has its defaults.
func (cfg Config) validate() error {
	errs := []error{checkIssuer(cfg.Issuer)}
	if len(cfg.Audiences) == 0 {
		errs = append(errs, errors.New("no audience: every token of the issuer would do"))
	}
	if slices.Contains(cfg.Audiences, "") || slices.Contains(cfg.AuthorizedParties, "") {
		errs = append(errs, errors.New("empty audience or authorized party"))
	}
	if cfg.GroupsClaim == "email" {
		errs = append(errs, errors.New("groups claim is email, which nobody verifies as a group"))
	}
	for _, algorithm := range cfg.Algorithms {
		if !knownAlgorithm(algorithm) {
			errs = append(errs, fmt.Errorf("algorithm %q is unknown, or symmetric", algorithm))
		}
	}
	errs = append(errs, cfg.Recheck.validate())
	for _, bound := range []bound{
		{"max age", cfg.MaxAge, time.Second, maxMaxAge},
		{"skew", cfg.Skew, 0, maxSkew},
		{"jwks ttl", cfg.JWKSTTL, floorMinRefetch, maxTTL},
		{"jwks min refetch", cfg.JWKSMinRefetch, floorMinRefetch, cfg.JWKSTTL},
		{"max stale", cfg.MaxStale, cfg.JWKSTTL, maxMaxStale},
	} {
		errs = append(errs, bound.check())
	}
	return errors.Join(errs...)
}

// bound is a duration and what it may be.
type bound struct {
	name            string
	value, low, top time.Duration
}

func (b bound) check() error {
	if b.value < b.low || b.value > b.top {
		return fmt.Errorf("%s of %v: must be %v to %v", b.name, b.value, b.low, b.top)
	}
	return nil
}

// checkIssuer admits what OpenID Connect Core section 2 does: an https URL without query or fragment.
func checkIssuer(text string) error {
	u, err := checkURL("issuer", text)
	if err == nil && (u.RawQuery != "" || u.ForceQuery) {
		return errors.New("issuer has a query")
	}
	return err
}

// checkURL admits absolute https URLs without user or fragment: keys that came in the clear would be anybody's.
func checkURL(what, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, fmt.Errorf("%s is not an absolute URL", what)
	case u.Scheme != "https":
		return nil, fmt.Errorf("%s is not an https URL", what)
	case u.User != nil || u.Fragment != "":
		return nil, fmt.Errorf("%s has a user or a fragment", what)
	}
	return u, nil
}

// newClient makes the HTTP client for one issuer. It follows no redirect, keeps no connection between fetches that are minutes
// apart, and undoes no compression, so that a bounded body stays bounded work.
func newClient(caFile string) (*http.Client, error) {
	var roots *x509.CertPool // nil: the system's
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("read CA file: %w", err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read CA file %s: no certificate in it", caFile)
		}
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeaderBytes,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
