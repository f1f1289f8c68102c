package config

import (
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/credentials"
	"github.com/sallyport/sallyport/tlsutil"
)

// Report is what Check found out beyond Load. A configuration is good when there are no Problems.
type Report struct {
	Problems  Problems
	Warnings  Problems // it would work, but not as safely as it could
	Unchecked Problems // files in directories that do not exist on this machine, and what needs them
}

// Check reads every file that the configuration refers to and makes of it what the server would: the certificate and its key belong
// together, the userlist can be read, the policy compiles. It listens on nothing, connects to nothing and creates nothing.
//
// A configuration can be checked where it is written, not only where it runs: a file whose directory does not exist on this machine
// is reported as not checked. A file that is missing from a directory that exists is a problem.
func (c *Config) Check() Report {
	var r Report
	absent := make(map[string]bool) // by key
	for _, f := range c.files {
		warning, err := f.check()
		switch {
		case errors.Is(err, errElsewhere):
			r.Unchecked = append(r.Unchecked, c.Problem(f.path, err))
			absent[f.path] = true
		case err != nil:
			r.Problems = append(r.Problems, c.Problem(f.path, err))
			absent[f.path] = true
		case warning != "":
			r.Warnings = append(r.Warnings, c.Problem(f.path, errors.New(warning)))
		}
	}
	r.add(c.CheckRules())
	r.Warnings = append(r.Warnings, c.Warnings()...)
	for _, part := range c.parts() {
		if !slices.ContainsFunc(c.files, func(f file) bool { return absent[f.path] && strings.HasPrefix(f.path, part.path) }) {
			r.add(part.check(&r))
		}
	}
	r.Problems, r.Warnings, r.Unchecked = r.Problems.sorted(), r.Warnings.sorted(), r.Unchecked.sorted()
	return r
}

// part is checked when all files of the keys below path are there.
type part struct {
	path  string
	check func(*Report) error
}

func (c *Config) parts() []part {
	parts := []part{
		{"tls.", func(*Report) error { return c.checkPair("tls", c.TLS) }},
		{"admin.token_file", func(*Report) error { _, err := c.AdminToken(); return err }},
		{"admin.operators", c.checkOperatorRules},
		{"admin.refusals_file", c.checkRefusals},
		{"audit.journal", c.checkJournal},
		{"audit.key_file", func(*Report) error { _, err := c.SigningKey(); return err }},
		{"audit.checkpoints.", func(*Report) error { _, err := c.Senders(nil, nil); return err }},
		{"audit.tails.", func(*Report) error { _, err := c.Followers(nil, ""); return err }},
		{"admin.tls.", func(*Report) error { return c.checkPair("admin.tls", c.Admin.TLS) }},
		{"authentication.issuers", func(*Report) error {
			verifiers, err := c.Issuers(nil)
			_, oauthErr := c.OAuth(verifiers)
			return errors.Join(err, oauthErr)
		}},
		{"authentication.certificates", func(*Report) error { _, err := c.Mapper(); return err }},
		{"policy.", c.checkPolicy},
		{"databases.", c.checkPasswords},
		{"databases.", func(*Report) error { _, err := c.Backends(); return err }},
	}
	if c.vault {
		parts = append(parts, part{"vault.", c.checkVault})
	}
	if c.Authentication.Userlist != "" || c.Authentication.MockSecretFile != "" {
		parts = append(parts, part{"authentication.", c.checkSCRAM})
	}
	return parts
}

func (r *Report) add(err error) {
	var problems Problems
	if errors.As(err, &problems) {
		r.Problems = append(r.Problems, problems...)
	}
}

func (c *Config) checkPair(path string, pair KeyPair) error {
	if pair.Certificate == "" {
		return nil
	}
	_, err := tlsutil.NewReloader(pair.Reloader(nil, nil))
	return c.problems(path, err)
}

func (c *Config) checkSCRAM(r *Report) error {
	passwords, err := c.Passwords(nil, nil)
	warnings := passwords.Warnings
	for _, warning := range warnings {
		r.Warnings = append(r.Warnings, c.Problem("authentication.userlist", errors.New(warning)))
	}
	return err
}

func (c *Config) checkPolicy(*Report) error {
	cfg, err := c.PolicyConfig(nil, nil)
	var problems Problems
	switch {
	case errors.As(err, &problems):
	case cfg.Bundle != nil:
		problems = append(problems, c.each("policy.bundle", cfg.Bundle.Validate())...) // what it holds is the server's to say
	default:
		_, err = authz.New(cfg)
		problems = append(problems, c.each("policy.directory", err)...)
	}
	if shadow, ok := c.ShadowConfig(nil, nil); ok {
		_, err := authz.New(shadow)
		problems = append(problems, c.each("policy.shadow", err)...)
	}
	return problems.err()
}

func (c *Config) checkVault(*Report) error {
	var problems Problems
	for key, path := range map[string]string{
		"token_file": c.Vault.TokenFile, "role_id_file": c.Vault.AppRole.RoleIDFile, "secret_id_file": c.Vault.AppRole.SecretIDFile,
	} {
		problems = append(problems, c.checkVaultSecret(key, path)...)
	}
	problems = append(problems, c.checkVaultSecret("token_file", c.Vault.JWT.TokenFile)...)
	examined := c.Vault
	examined.JournalFile = "" // a gateway that runs has it open
	_, err := credentials.NewVault(examined, slog.New(slog.DiscardHandler))
	return append(problems, c.each("vault", err)...).err()
}

func (c *Config) checkVaultSecret(key, path string) Problems {
	if path == "" {
		return nil
	}
	_, err := readSecret(path)
	return c.each("vault.auth."+key, err)
}
