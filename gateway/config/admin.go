package config

import (
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/authn/certificate"
	"github.com/sallyport/sallyport/authn/oidc"
	"github.com/sallyport/sallyport/authn/operators"
	"github.com/sallyport/sallyport/gateway/refusals"
)

func (c *Config) readAdmin(s *section) {
	s.known["listen"] = true
	if _, ok := s.nodes["listen"]; ok {
		c.Admin.Listen = s.address("listen", "where operators connect")
	}
	c.Admin.TokenFile = s.file("token_file", "SALLYPORT_ADMIN_TOKEN_FILE")
	c.readsSecret("admin.token_file", c.Admin.TokenFile)
	c.readAdminTLS(s.section("tls"))
	c.Admin.Audiences = s.texts("audiences")
	c.Admin.AuthorizedParties = s.texts("authorized_parties")
	for _, item := range s.items("operators") {
		c.Admin.Operators = append(c.Admin.Operators, readOperator(s.d.mapping(item.node, item.path, item.node.Line)))
	}
	c.Admin.RefusalsFile = s.file("refusals_file", "")
	c.writes("admin.refusals_file", c.Admin.RefusalsFile)
	c.Admin.Profiles = s.boolean("profiles")
	if c.Admin.Profiles && c.Admin.TokenFile == "" && len(c.Admin.Operators) == 0 {
		s.at("profiles").problem("needs admin.token_file or admin.operators: profiles are for operators only")
	}
	tokens := c.Admin.TokenFile != "" || len(c.Admin.Audiences) > 0
	insecure := s.boolean("insecure_http")
	if c.Admin.Listen != "" && !isLoopback(c.Admin.Listen) && c.Admin.TLS.Certificate == "" && tokens && !insecure {
		s.at("listen").problem("is not a loopback address and tokens would cross the network in the clear: set admin.tls, or insecure_http: true when something else encrypts it")
	}
	if c.mayAct() {
		s.missing("refusals_file", "the file that keeps who is refused, for example /var/lib/sallyport/refusals")
	}
	s.done()
}

func (c *Config) readAdminTLS(s *section) {
	c.Admin.TLS = KeyPair{Certificate: s.file("certificate", ""), Key: s.file("key", ""), ClientCA: s.file("client_ca", "")}
	if (c.Admin.TLS.Certificate == "") != (c.Admin.TLS.Key == "") {
		s.d.problem(s.line, "admin.tls", "certificate and key go together: set both")
	}
	if c.Admin.TLS.ClientCA != "" && c.Admin.TLS.Certificate == "" {
		s.at("client_ca").problem("needs certificate and key: without TLS nobody shows a certificate")
	}
	c.reads("admin.tls.certificate", c.Admin.TLS.Certificate)
	c.reads("admin.tls.client_ca", c.Admin.TLS.ClientCA)
	c.readsSecret("admin.tls.key", c.Admin.TLS.Key)
	s.done()
}

// readOperator reads who may use the control API, and for what.
func readOperator(s *section) operators.Rule {
	r := operators.Rule{
		Role:        map[string]operators.Role{"act": operators.RoleAct, "read": operators.RoleRead}[s.oneOf("role", "act", "act", "read")],
		Issuer:      s.text("issuer", ""),
		Groups:      s.texts("groups"),
		Claim:       s.text("claim", ""),
		Value:       s.text("value", ""),
		Certificate: certificate.Kind(s.oneOf("kind", "", kinds()...)),
		CertName:    s.text("name", ""),
	}
	s.done()
	return r
}

func (c *Config) mayAct() bool {
	return slices.ContainsFunc(c.Admin.Operators, func(r operators.Rule) bool { return r.Role == operators.RoleAct })
}

// checkOperators looks at what operators rest on: issuers, the admin listener's authority.
func (c *Config) checkOperators(d *document) {
	for i, r := range c.Admin.Operators {
		path := indexed("admin.operators", i)
		switch {
		case r.Issuer != "" && !c.hasIssuer(r.Issuer):
			d.problem(d.lines[path], path+".issuer", "is %q, which is not the name of one of authentication.issuers", r.Issuer)
		case r.Issuer != "" && len(c.Admin.Audiences) == 0:
			d.problem(d.lines[path], path+".issuer", "needs admin.audiences: by which names tokens mean the control API, and not the databases")
		case r.Certificate != "" && c.Admin.TLS.ClientCA == "":
			d.problem(d.lines[path], path+".kind", "needs admin.tls.client_ca, the authority that signs operators' certificates")
		}
	}
	for _, issuer := range c.Authentication.Issuers {
		for _, audience := range issuer.Audiences {
			if slices.Contains(c.Admin.Audiences, audience) {
				path := "admin.audiences"
				d.problem(d.lines[path], path, "has %q, which is an audience of the issuer %s too: a token for a database must not open the control API", audience, issuer.Name)
			}
		}
	}
}

// Operators makes who may use the control API. It reaches for no issuer yet.
func (c *Config) Operators() (*operators.Authority, error) {
	token, err := c.AdminToken()
	if err != nil {
		return nil, err
	}
	return c.operators(token, func(issuer Issuer) oidc.Config { return issuer.Config })
}

// checkOperatorRules makes them of what the configuration itself says: the files of issuers are looked at elsewhere.
func (c *Config) checkOperatorRules(*Report) error {
	_, err := c.operators("", func(issuer Issuer) oidc.Config { issuer.CAFile = ""; return issuer.Config })
	return err
}

func (c *Config) operators(token string, configOf func(Issuer) oidc.Config) (*operators.Authority, error) {
	verifiers := make(map[string]*oidc.Verifier)
	var problems Problems
	for i, issuer := range c.Authentication.Issuers {
		if !slices.ContainsFunc(c.Admin.Operators, func(r operators.Rule) bool { return r.Issuer == issuer.Name }) {
			continue
		}
		cfg := configOf(issuer)
		cfg.Recheck = oidc.Recheck{} // of sessions
		cfg.Audiences, cfg.AuthorizedParties = c.Admin.Audiences, c.Admin.AuthorizedParties
		verifier, err := oidc.New(cfg)
		problems = append(problems, c.each(indexed("authentication.issuers", i), err)...)
		verifiers[issuer.Name] = verifier
	}
	if err := problems.err(); err != nil {
		return nil, err
	}
	authority, err := operators.New(operators.Config{Token: token, Rules: c.Admin.Operators, Issuers: verifiers})
	return authority, c.problems("admin.operators", err)
}

// checkRefusals reads the list without taking it: a gateway that runs has it.
func (c *Config) checkRefusals(*Report) error {
	if c.Admin.RefusalsFile == "" {
		return nil
	}
	_, err := refusals.Read(c.Admin.RefusalsFile)
	return c.problems("admin.refusals_file", err)
}

// Refusals opens the list of who is not let in; it is nil when there is none.
func (c *Config) Refusals() (*refusals.List, error) {
	if c.Admin.RefusalsFile == "" {
		return nil, nil
	}
	list, err := refusals.Open(c.Admin.RefusalsFile)
	if err != nil {
		err = fmt.Errorf("who is refused is not known, so nobody is let in: %w", err)
	}
	return list, c.problems("admin.refusals_file", err)
}
