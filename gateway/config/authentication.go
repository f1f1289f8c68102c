package config

import (
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authn/certificate"
	"github.com/sallyport/sallyport/authn/oidc"
	"github.com/sallyport/sallyport/authn/scram"
	"github.com/sallyport/sallyport/gateway"
)

func (c *Config) readAuthentication(s *section) {
	a := &c.Authentication
	a.Userlist = s.file("userlist", "")
	c.readsSecret("authentication.userlist", a.Userlist)
	c.readSCRAM(s.section("scram"))
	c.readThrottle(s.section("throttle"))
	for _, item := range s.items("issuers") {
		c.readIssuer(s.d.mapping(item.node, item.path, item.node.Line))
	}
	for _, item := range s.items("certificates") {
		a.Certificates = append(a.Certificates, readMapping(s.d.mapping(item.node, item.path, item.node.Line)))
	}
	rules := s.items("rules")
	if len(rules) == 0 {
		s.missing("rules", "who may log in how, for example [{method: scram-sha-256}]")
	}
	for _, item := range rules {
		a.Rules = append(a.Rules, readRule(s.d.mapping(item.node, item.path, item.node.Line)))
	}
	s.done()
}

func (c *Config) readSCRAM(s *section) {
	// RFC 7677 asks for 4096 at least; PostgreSQL's own clients refuse no count, but a million takes a second to compute.
	c.Authentication.Iterations = s.number("iterations", scram.DefaultIterations, 4096, 1_000_000)
	c.Authentication.MockSecretFile = s.file("mock_secret_file", "SALLYPORT_SCRAM_MOCK_SECRET_FILE")
	c.readsSecret("authentication.scram.mock_secret_file", c.Authentication.MockSecretFile)
	s.done()
}

// loopback is this machine: whoever is behind these addresses shares them with everybody else on it, and with all that a proxy, a tunnel
// or a sidecar on it brings.
func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

func (c *Config) readThrottle(s *section) {
	t := &c.Authentication.Throttle
	t.Disabled = s.boolean("disabled")
	t.Shared = loopback()
	for _, item := range s.items("shared_sources") {
		if prefix, ok := item.prefix(); ok {
			t.Shared = append(t.Shared, prefix)
		}
	}
	s.done()
}

func (c *Config) readIssuer(s *section) {
	issuer := Issuer{Name: s.required("name", "the name that rules refer to"), Scope: s.text("scope", "")}
	for _, other := range c.Authentication.Issuers {
		if issuer.Name != "" && other.Name == issuer.Name {
			s.at("name").problem("is another issuer's name too: choose another one")
		}
	}
	issuer.Config = oidc.Config{
		Issuer:            s.required("issuer", "the issuer's URL, exactly as its tokens have it in iss"),
		Audiences:         s.texts("audiences"),
		AuthorizedParties: s.texts("authorized_parties"),
		Algorithms:        s.texts("algorithms"),
		TokenTypes:        s.texts("token_types"),
		UserClaim:         s.text("user_claim", "email"),
		NameClaim:         s.text("name_claim", ""),
		GroupsClaim:       s.text("groups_claim", ""),
		CAFile:            s.file("ca_file", ""),
		MaxAge:            s.duration("max_age", 0, time.Second, 24*time.Hour),
		Skew:              s.duration("skew", 0, time.Second, time.Minute),
		JWKSTTL:           s.duration("jwks_ttl", 0, time.Second, time.Hour),
		JWKSMinRefetch:    s.duration("jwks_min_refetch", 0, time.Second, time.Hour),
		MaxStale:          s.duration("max_stale", 0, time.Second, 24*time.Hour),
	}
	if len(issuer.Audiences) == 0 {
		s.missing("audiences", "the names by which tokens mean this gateway")
	}
	c.reads(s.pathOf("ca_file"), issuer.CAFile)
	if s.has("recheck") {
		c.readRecheck(s.section("recheck"), &issuer)
	}
	if strings.HasPrefix(issuer.Issuer, "http://") {
		s.at("issuer").problem("is not https: whoever is on the way could sign tokens")
	}
	c.Authentication.Issuers = append(c.Authentication.Issuers, issuer)
	s.done()
}

// readRecheck reads how often an issuer is asked about tokens, and by what.
func (c *Config) readRecheck(s *section, issuer *Issuer) {
	issuer.Recheck = oidc.Recheck{
		Interval: s.duration("interval", 0, 5*time.Second, time.Hour),
		MaxStale: s.duration("max_stale", 0, 5*time.Second, 24*time.Hour),
		ClientID: s.text("client_id", ""),
	}
	s.missing("interval", "how often the issuer is asked about the token of a session, for example 1m")
	issuer.RecheckSecretFile = s.file("client_secret_file", "")
	c.readsSecret(s.pathOf("client_secret_file"), issuer.RecheckSecretFile)
	if issuer.Recheck.ClientID != "" {
		s.missing("client_secret_file", "the file with the secret of client_id")
	} else if issuer.RecheckSecretFile != "" {
		s.missing("client_id", "the gateway's client at the issuer, whose secret this is")
	}
	s.done()
}

// servedMethods are the methods that the session can speak. Package authn knows more: a rule with one of those would pass its checks
// and refuse everybody it matches.
func servedMethods() []string {
	return []string{
		string(authn.MethodSCRAM), string(authn.MethodMD5), string(authn.MethodOIDC), string(authn.MethodOAUTHBEARER),
		string(authn.MethodCertificate), string(authn.MethodReject),
		string(authn.MethodPassPassword), string(authn.MethodPassSCRAM), string(authn.MethodPassMD5),
	}
}

// kinds are where in a certificate a name may be.
func kinds() []string {
	return []string{
		string(certificate.CommonName), string(certificate.Email), string(certificate.DNS), string(certificate.URI), string(certificate.SPIFFE),
	}
}

// readMapping reads one way from a client certificate to an account.
func readMapping(s *section) certificate.Mapping {
	m := certificate.Mapping{
		Kind:  certificate.Kind(s.oneOf("kind", "", kinds()...)),
		Name:  s.required("name", "the name in the certificate, for example {user} or {user}@example.com"),
		Users: s.texts("users"),
	}
	s.missing("kind", "cn, email, dns, uri, spiffe")
	s.done()
	return m
}

func readRule(s *section) authn.Rule {
	rule := authn.Rule{
		Method:    authn.Method(s.oneOf("method", "", servedMethods()...)),
		Users:     s.texts("users"),
		Databases: s.texts("databases"),
		Issuer:    s.text("issuer", ""),

		Certificate: s.boolean("certificate"),
	}
	s.missing("method", strings.Join(servedMethods(), ", "))
	for _, item := range s.items("sources") {
		if prefix, ok := item.prefix(); ok {
			rule.Sources = append(rule.Sources, prefix)
		}
	}
	s.done()
	return rule
}

// prefix reads a network: 192.0.2.0/24, 2001:db8::/32, or a single address.
func (v value) prefix() (netip.Prefix, bool) {
	text := v.text()
	if text == "" {
		return netip.Prefix{}, false
	}
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		v.problem("is %q: must be a network like 192.0.2.0/24 or \"2001:db8::/32\"", text)
	case prefix.Masked() != prefix:
		v.problem("is %s: has bits behind its length, write %s", text, prefix.Masked())
	default:
		return prefix, true
	}
	return netip.Prefix{}, false
}

// crossCheck looks at what one section says about another.
func (c *Config) crossCheck(d *document) {
	used := make(map[string]bool)
	for i, rule := range c.Authentication.Rules {
		c.checkRule(d, i, rule)
		used[rule.Issuer] = true
	}
	for _, rule := range c.Admin.Operators {
		used[rule.Issuer] = true
	}
	c.checkOperators(d)
	for i, issuer := range c.Authentication.Issuers {
		if !used[issuer.Name] && issuer.Name != "" {
			path := indexed("authentication.issuers", i)
			d.problem(d.lines[path], path+".name", "no rule refers to %s: add a rule or remove the issuer", issuer.Name)
		}
	}
}

func (c *Config) checkRule(d *document, i int, rule authn.Rule) {
	path := indexed("authentication.rules", i)
	if (rule.Method == authn.MethodSCRAM || rule.Method == authn.MethodMD5) && c.Authentication.Userlist == "" {
		d.problem(d.lines[path], path+".method", "needs authentication.userlist, the file with the passwords")
	}
	if (rule.Method == authn.MethodCertificate || rule.Certificate) && c.TLS.ClientCA == "" {
		d.problem(d.lines[path], path, "demands client certificates: set tls.client_ca to the authority that signs them")
	}
	if (rule.Method == authn.MethodOIDC || rule.Method == authn.MethodOAUTHBEARER) && rule.Issuer != "" && !c.hasIssuer(rule.Issuer) {
		d.problem(d.lines[path], path+".issuer", "is %q, which is not the name of one of authentication.issuers", rule.Issuer)
	}
	for _, name := range rule.Databases {
		db, ok := c.Databases[name]
		switch {
		case !ok && name != "all":
			d.problem(d.lines[path], path+".databases", "names %q, which is not one of databases", name)
		case ok && unusable(rule, db):
			d.problem(d.lines[path], path+".databases", "names %q, whose backend may ask for %s: what comes by %s cannot be used there",
				name, db.Authentication, rule.Method)
		}
	}
	if rule.Method == "" {
		return // was reported
	}
	if err := (authn.Rules{rule}).Validate(); err != nil {
		for message := range strings.SplitSeq(err.Error(), "\n") {
			d.problem(d.lines[path], path, "%s", strings.TrimPrefix(message, "rule 1: "))
		}
	}
}

// unusable says whether a rule would pass credentials through to a backend that has no use for them.
func unusable(rule authn.Rule, db Database) bool {
	return rule.Method.PassesThrough() && !gateway.PassesThrough(rule.Method, db.Authentication)
}

func (c *Config) hasIssuer(name string) bool {
	for _, issuer := range c.Authentication.Issuers {
		if issuer.Name == name {
			return true
		}
	}
	return false
}
