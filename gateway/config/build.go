package config

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/authn/certificate"
	"github.com/sallyport/sallyport/authn/md5"
	"github.com/sallyport/sallyport/authn/oauthbearer"
	"github.com/sallyport/sallyport/authn/oidc"
	"github.com/sallyport/sallyport/authn/scram"
	"github.com/sallyport/sallyport/authn/throttle"
	"github.com/sallyport/sallyport/authn/userlist"
	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/tlsutil"
)

const (
	// minTokenBytes keeps the admin token out of reach of guessing: 16 random bytes in any encoding are longer.
	minTokenBytes = 20
	// maxSecretBytes bounds a file with one secret.
	maxSecretBytes = 64 << 10
	// minMockSecretBytes is what scram.NewServer asks for.
	minMockSecretBytes = 16
	// mockSecretBytes is how long a mock secret is that the gateway makes itself.
	mockSecretBytes = 32
)

// The methods below read what the files of the configuration hold. Each returns Problems: errors that say which key they are about.

// AdminToken reads the token of the admin listener; it is "" when none is configured.
func (c *Config) AdminToken() (string, error) {
	if c.Admin.TokenFile == "" {
		return "", nil
	}
	token, err := readSecret(c.Admin.TokenFile)
	if err == nil && len(token) < minTokenBytes {
		err = fmt.Errorf("%s holds %d bytes: a token needs %d at least, for example from openssl rand -hex 32", c.Admin.TokenFile, len(token), minTokenBytes)
	}
	return string(token), c.problems("admin.token_file", err)
}

// readSecret reads a file that holds one secret; white space around it does not count.
func readSecret(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	switch {
	case err != nil:
		return nil, err
	case len(content) > maxSecretBytes:
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxSecretBytes)
	}
	secret := bytes.TrimSpace(content)
	if len(secret) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	return secret, nil
}

// Passwords are the servers of password logins, made of one userlist.
type Passwords struct {
	SCRAM *scram.Server
	MD5   *md5.Server
	// Users is the userlist that both look in, nil without one. Somebody has to run it, or it is read only once.
	Users *userlist.File
	// Warnings are about entries of the userlist.
	Warnings []string
}

// Passwords reads the userlist; without one nobody has a password. observe, which may be nil, is told when it was read again, and settled
// when it has not changed since for a while.
func (c *Config) Passwords(observe func(error), settled func()) (p Passwords, err error) {
	a := c.Authentication
	secret, err := c.mockSecret()
	if err != nil {
		return p, err
	}
	lookup := func(string) (scram.Verifier, bool) { return scram.Verifier{}, false }
	lookupMD5 := func(string) (md5.Secret, bool) { return md5.Secret{}, false }
	if a.Userlist != "" {
		list, err := userlist.Open(userlist.FileConfig{
			Path: a.Userlist, Config: userlist.Config{MockSecret: secret, Iterations: a.Iterations}, Observe: observe, Settled: settled,
		})
		if err != nil {
			return p, c.problems("authentication.userlist", err)
		}
		p.Users, lookup, lookupMD5, p.Warnings = list, list.Lookup, list.MD5, list.Warnings()
	}
	if p.SCRAM, err = scram.NewServer(scram.Config{Lookup: lookup, MockSecret: secret, Iterations: a.Iterations}); err != nil {
		return p, c.problems("authentication.scram", err)
	}
	p.MD5, err = md5.NewServer(md5.Config{Lookup: lookupMD5})
	return p, c.problems("authentication.userlist", err)
}

// Throttler makes what slows down guessing; it is nil when that is disabled.
func (c *Config) Throttler() (*throttle.Throttle, error) {
	if c.Authentication.Throttle.Disabled {
		return nil, nil
	}
	throttler, err := throttle.New(throttle.Config{Shared: c.Authentication.Throttle.Shared})
	return throttler, c.problems("authentication.throttle", err)
}

// Mapper maps client certificates to accounts; it is nil when clients are not asked for one.
func (c *Config) Mapper() (*certificate.Mapper, error) {
	if c.TLS.ClientCA == "" {
		return nil, nil
	}
	mapper, err := certificate.New(certificate.Config{Mappings: c.Authentication.Certificates})
	return mapper, c.problems("authentication.certificates", err)
}

// OAuth makes the servers of OAUTHBEARER for the issuers, with the verifiers that Issuers made.
func (c *Config) OAuth(verifiers map[string]*oidc.Verifier) (map[string]*oauthbearer.Server, error) {
	servers := make(map[string]*oauthbearer.Server)
	var problems Problems
	for i, issuer := range c.Authentication.Issuers {
		if verifiers[issuer.Name] == nil {
			continue // was reported
		}
		server, err := oauthbearer.NewServer(oauthbearer.Config{Verifier: verifiers[issuer.Name], Issuer: issuer.Issuer, Scope: issuer.Scope})
		problems = append(problems, c.each(indexed("authentication.issuers", i), err)...)
		servers[issuer.Name] = server
	}
	return servers, problems.err()
}

func (c *Config) mockSecret() ([]byte, error) {
	if c.Authentication.MockSecretFile == "" {
		secret := make([]byte, mockSecretBytes)
		_, err := rand.Read(secret)
		return secret, err
	}
	secret, err := os.ReadFile(c.Authentication.MockSecretFile) // any bytes, white space too
	if err == nil && (len(secret) < minMockSecretBytes || len(secret) > maxSecretBytes) {
		err = fmt.Errorf("%s holds %d bytes: must be %d to %d", c.Authentication.MockSecretFile, len(secret), minMockSecretBytes, maxSecretBytes)
	}
	return secret, c.problems("authentication.scram.mock_secret_file", err)
}

// Issuers makes the verifiers of tokens, by the names that rules use. They reach for nothing yet. observe, which may be nil, is told what
// each says when it is asked about a token.
func (c *Config) Issuers(observe func(issuer string, err error)) (map[string]*oidc.Verifier, error) {
	verifiers := make(map[string]*oidc.Verifier)
	var problems Problems
	for i, issuer := range c.Authentication.Issuers {
		path, cfg := indexed("authentication.issuers", i), issuer.Config
		if issuer.RecheckSecretFile != "" {
			cfg.Recheck.ClientSecret = func() (string, error) {
				secret, err := readSecret(issuer.RecheckSecretFile)
				return string(secret), err
			}
			if _, err := cfg.Recheck.ClientSecret(); err != nil {
				problems = append(problems, c.each(path+".recheck.client_secret_file", err)...)
				continue
			}
		}
		if observe != nil {
			cfg.Recheck.Observe = func(err error) { observe(issuer.Name, err) }
		}
		verifier, err := oidc.New(cfg)
		problems = append(problems, c.each(path, err)...)
		verifiers[issuer.Name] = verifier
	}
	return verifiers, problems.err()
}

// Backends makes the databases that clients may name and their routes, by the keys of Places, and the TLS towards them.
func (c *Config) Backends() (map[string]gateway.Database, error) {
	databases := make(map[string]gateway.Database)
	var problems Problems
	for name, db := range c.Places() {
		set, all, err := c.hostSet(db)
		if err != nil {
			problems = append(problems, c.each("databases."+name+".tls", err)...)
			continue
		}
		databases[name] = gateway.Database{
			Backend: all[0], Hosts: set, Queue: db.Queue,
			SearchPath: db.SearchPath,
			VaultRoles: db.VaultRoles, ObserveOnly: db.Observe,
		}
	}
	return databases, problems.err()
}

// Warnings tell of what does what it says and had better not, of rules that some databases have no use for, and of databases without a
// catalog.
func (c *Config) Warnings() Problems {
	problems := c.credentialWarnings()
	for _, warning := range c.Authentication.Rules.Warnings() {
		problems = append(problems, c.Problem("authentication.rules", errors.New(warning)))
	}
	places := c.Places()
	for _, name := range slices.Sorted(maps.Keys(places)) {
		db := places[name]
		if db.Shared != "" {
			continue // was said of its database
		}
		if db.Catalog == nil {
			key, _ := catalogRole(db.Credentials)
			problems = append(problems, c.Problem("databases."+name, errors.New("has no catalog: statements are judged by the names that are "+
				"written, not by what stands behind them, such as views and partitions; set catalog."+key)))
		}
		path := "databases." + name + ".authentication"
		if db.Authentication == backend.MethodMD5 {
			problems = append(problems, c.Problem(path, errors.New("md5 proves nothing about the backend, and what it stores of a password "+
				"is all that a login needs: use scram-sha-256 for every role that can have it")))
		}
		for i, rule := range c.Authentication.Rules {
			if anyDatabase(rule) && unusable(rule, db) {
				problems = append(problems, c.Problem(path, fmt.Errorf("is %s: what comes by %s cannot be used there, so rule %d refuses everybody",
					db.Authentication, rule.Method, i+1)))
			}
		}
	}
	return problems
}

// CheckRules reports what is wrong with the rules together.
func (c *Config) CheckRules() error {
	return c.problems("authentication.rules", c.Authentication.Rules.Validate())
}

// PolicyConfig is what authz.New takes.
func (c *Config) PolicyConfig(logger *slog.Logger, onReload func(authz.Status)) (authz.Config, error) {
	cfg := authz.Config{
		Directory:            c.Policy.Directory,
		InsecureAllowNetwork: c.Policy.InsecureAllowNetwork,
		Logger:               logger,
		OnReload:             onReload,
	}
	if c.Policy.Bundle == nil {
		return cfg, nil
	}
	bundle, err := c.Policy.Bundle.config()
	cfg.Bundle = bundle
	return cfg, c.problems("policy.bundle", err)
}

// PolicyKey is the key that says where the policy is.
func (c *Config) PolicyKey() string {
	if c.Policy.Bundle != nil {
		return "policy.bundle"
	}
	return "policy.directory"
}

// ShadowConfig is what authz.New takes for the second policy; ok is false when there is none.
func (c *Config) ShadowConfig(logger *slog.Logger, onReload func(authz.Status)) (cfg authz.Config, ok bool) {
	return authz.Config{
		Directory:            c.Policy.Shadow,
		InsecureAllowNetwork: c.Policy.InsecureAllowNetwork,
		Logger:               logger,
		OnReload:             onReload,
	}, c.Policy.Shadow != ""
}

// Reloader is what tlsutil.NewReloader takes.
func (p KeyPair) Reloader(logger *slog.Logger, observe func(error)) tlsutil.ReloaderConfig {
	return tlsutil.ReloaderConfig{Certificate: p.Certificate, Key: p.Key, ClientCA: p.ClientCA, Logger: logger, Observe: observe}
}

// AdminTLS is the TLS configuration of the admin listener from its reloader.
func AdminTLS(r *tlsutil.Reloader) *tls.Config {
	config := tlsutil.ServerConfig(r)
	config.NextProtos = []string{"http/1.1"} // its own are PostgreSQL's
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := r.Serving().Config.Clone() // with the authority of clients, as it is now
		now.NextProtos = config.NextProtos
		return now, nil
	}
	return config
}

// problems makes an error one that is about a key; nil stays nil.
func (c *Config) problems(path string, err error) error { return c.each(path, err).err() }

// each makes Problems of an error and the errors joined in it.
func (c *Config) each(path string, err error) Problems {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var problems Problems
		for _, one := range joined.Unwrap() {
			problems = append(problems, c.each(path, one)...)
		}
		return problems
	}
	p := c.Problem(path, err)
	p.Message = strings.Join(strings.Fields(p.Message), " ") // one problem, one line
	return Problems{p}
}
