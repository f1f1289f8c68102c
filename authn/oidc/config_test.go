package oidc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNew(t *testing.T) {
	notPEM := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(notPEM, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		change func(*Config)
		want   string // part of the error; "": valid
	}{
		"least":                       {func(*Config) {}, ""},
		"issuer with a port":          {func(c *Config) { c.Issuer = "https://id.example:8443/realms/x/" }, ""},
		"all algorithms":              {func(c *Config) { c.Algorithms = []string{"RS512", "PS384", "ES384", "ES512", "EdDSA"} }, ""},
		"long ttl, default staleness": {func(c *Config) { c.JWKSTTL = time.Hour }, ""},
		"no issuer":                   {func(c *Config) { c.Issuer = "" }, "issuer is not an absolute URL"},
		"issuer over http":            {func(c *Config) { c.Issuer = "http://id.example" }, "not an https URL"},
		"issuer without a host":       {func(c *Config) { c.Issuer = "https:///realm" }, "not an absolute URL"},
		"issuer without a scheme":     {func(c *Config) { c.Issuer = "id.example" }, "not an absolute URL"},
		"issuer with a password":      {func(c *Config) { c.Issuer = "https://a:hunter2@id.example" }, "has a user"},
		"issuer with a query":         {func(c *Config) { c.Issuer = "https://id.example?x=y" }, "has a query"},
		"issuer with an empty query":  {func(c *Config) { c.Issuer = "https://id.example?" }, "has a query"},
		"issuer with a fragment":      {func(c *Config) { c.Issuer = "https://id.example#x" }, "fragment"},
		"issuer is no URL":            {func(c *Config) { c.Issuer = "https://id.example/%zz" }, "not an absolute URL"},
		"no audience":                 {func(c *Config) { c.Audiences = nil }, "no audience"},
		"empty audience":              {func(c *Config) { c.Audiences = []string{""} }, "empty audience"},
		"empty party":                 {func(c *Config) { c.AuthorizedParties = []string{"cli", ""} }, "empty audience or authorized party"},
		"groups from e-mail":          {func(c *Config) { c.GroupsClaim = "email" }, "groups claim"},
		"algorithm none":              {func(c *Config) { c.Algorithms = []string{"none"} }, `algorithm "none"`},
		"algorithm HMAC":              {func(c *Config) { c.Algorithms = []string{"RS256", "HS256"} }, `algorithm "HS256"`},
		"empty algorithm":             {func(c *Config) { c.Algorithms = []string{""} }, `algorithm ""`},
		"skew too long":               {func(c *Config) { c.Skew = time.Minute + 1 }, "skew"},
		"negative skew":               {func(c *Config) { c.Skew = -1 }, "skew"},
		"age too long":                {func(c *Config) { c.MaxAge = 25 * time.Hour }, "max age"},
		"negative age":                {func(c *Config) { c.MaxAge = -time.Hour }, "max age"},
		"ttl too long":                {func(c *Config) { c.JWKSTTL = 2 * time.Hour }, "jwks ttl"},
		"refetch too often":           {func(c *Config) { c.JWKSMinRefetch = time.Millisecond }, "min refetch"},
		"refetch later than ttl":      {func(c *Config) { c.JWKSMinRefetch = 16 * time.Minute }, "min refetch"},
		"stale before ttl":            {func(c *Config) { c.MaxStale = time.Minute }, "max stale"},
		"stale for days":              {func(c *Config) { c.MaxStale = 25 * time.Hour }, "max stale"},
		"no CA file":                  {func(c *Config) { c.CAFile = notPEM + "x" }, "read CA file"},
		"CA file is not PEM":          {func(c *Config) { c.CAFile = notPEM }, "no certificate in it"},
		"two things wrong":            {func(c *Config) { c.Audiences, c.Issuer = nil, "" }, "no audience"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Issuer: "https://id.example", Audiences: []string{"sallyport"}}
			tt.change(&cfg)
			v, err := New(cfg)
			if tt.want == "" {
				if err != nil {
					t.Errorf("New: %v", err)
				}
				return
			}
			if err == nil || v != nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("New = %v, want %q", err, tt.want)
			}
		})
	}
}

// TestConfigIsCopied: what the caller does with his slices later changes nobody's rights.
func TestConfigIsCopied(t *testing.T) {
	cfg := Config{Issuer: "https://id.example/realm", Audiences: []string{"other"}, AuthorizedParties: []string{"other"}, Algorithms: []string{"ES256"}}
	i := newIssuer()
	v := verifierOf(t, i, func(c *Config) { *c = cfg })
	cfg.Audiences[0], cfg.AuthorizedParties[0], cfg.Algorithms[0] = "sallyport", "sallyport", "RS256"
	got, err := v.Verify(t.Context(), token(goodHeader(), goodClaims()), "ana")
	checkRejected(t, got, err, ReasonAlgorithm)
}
