package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authn/certificate"
	"github.com/sallyport/sallyport/authn/oidc"
	"github.com/sallyport/sallyport/certs"
)

const acceptedNoMore = "terminating connection because the login it was opened with is no longer accepted"

// enters logs in with a password and a certificate, as far as they are asked for.
func (s *serving) enters(password string, certificates ...tls.Certificate) *pgconn.PgConn {
	s.t.Helper()
	config, err := pgconn.ParseConfig("postgres://" + s.address + "/app?sslmode=require")
	if err != nil {
		s.t.Fatal(err)
	}
	config.User, config.Password, config.TLSConfig.Certificates = knownUser, password, certificates
	conn, err := pgconn.ConnectConfig(s.t.Context(), config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// hearsItsEnd is what an idle client is told.
func hearsItsEnd(t *testing.T, conn *pgconn.PgConn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var told *pgconn.PgError
	if err := conn.WaitForNotification(ctx); !errors.As(err, &told) {
		t.Fatalf("got %v, want an ErrorResponse", err)
	}
	return told.Severity + " " + told.Code + " " + told.Message
}

// lists replaces the userlist's text.
func (s *surroundings) lists(t *testing.T, text string) {
	t.Helper()
	if err := errors.Join(os.WriteFile(s.userlist, []byte(text), 0o600), s.users.Reload()); err != nil {
		t.Fatal(err)
	}
}

// TestReconsider: a session ends when its login would be none any more, at once; what does not concern it, and another password, leave it.
func TestReconsider(t *testing.T) {
	scram, byToken, byCertificate := authn.Rule{Method: authn.MethodSCRAM}, authn.Rule{Method: authn.MethodOIDC, Issuer: "id"}, authn.Rule{Method: authn.MethodCertificate}
	byMD5, both := authn.Rule{Method: authn.MethodMD5}, authn.Rule{Method: authn.MethodSCRAM, Certificate: true}
	rules := func(rules ...authn.Rule) func(*testing.T, *surroundings, *Config) {
		return func(_ *testing.T, _ *surroundings, c *Config) { c.Rules = rules }
	}
	list := func(text string) func(*testing.T, *surroundings, *Config) {
		return func(t *testing.T, s *surroundings, _ *Config) { s.lists(t, text) }
	}
	otherAuthority := func(t *testing.T, _ *surroundings, c *Config) {
		another := &surroundings{}
		another.authority, _ = certs.New("another CA")
		c.Serving = another.serve(t)
	}
	mapping := func(t *testing.T, _ *surroundings, c *Config) {
		mapper, err := certificate.New(certificate.Config{Mappings: []certificate.Mapping{{Kind: certificate.CommonName, Name: "bob", Users: []string{"bob"}}}})
		if err != nil {
			t.Fatal(err)
		}
		c.Mapper = mapper
	}
	issuerGone := func(_ *testing.T, _ *surroundings, c *Config) { c.Issuers = nil }
	otherIssuer := func(t *testing.T, _ *surroundings, c *Config) {
		c.Issuers = map[string]*oidc.Verifier{"id": startIssuer(t).verifier(t)}
	}
	audiences := func(names ...string) func(*testing.T, *surroundings, *Config) {
		return func(t *testing.T, s *surroundings, c *Config) {
			c.Issuers = map[string]*oidc.Verifier{"id": s.issuer.verifier(t, names...)}
		}
	}
	const bob = `"bob" "secret"`
	for name, test := range map[string]struct {
		rule   authn.Rule
		change func(*testing.T, *surroundings, *Config)
		ends   bool
	}{
		"nothing":                       {scram, rules(scram), false},
		"SCRAM, another account":        {scram, list(bob + "\n" + `"ana" "pencil"`), false},
		"SCRAM, another password":       {scram, list(`"ana" "another"`), false},
		"SCRAM, account removed":        {scram, list(bob), true},
		"SCRAM, no password any more":   {scram, list(`"ana" ""`), true},
		"SCRAM, only an MD5 secret":     {scram, list(`"ana" "md5` + strings.Repeat("0", 32) + `"`), true},
		"MD5, another password":         {byMD5, list(`"ana" "md5` + strings.Repeat("0", 32) + `"`), false},
		"MD5, account removed":          {byMD5, list(bob), true},
		"MD5, not served any more":      {byMD5, func(_ *testing.T, _ *surroundings, c *Config) { c.MD5 = nil }, true},
		"token, no password ever":       {byToken, list(bob), false},
		"token, issuer gone":            {byToken, issuerGone, true},
		"token, another issuer":         {byToken, otherIssuer, true},
		"token, another audience":       {byToken, audiences("another"), true},
		"token, one more audience":      {byToken, audiences("another", "sallyport"), false},
		"certificate":                   {byCertificate, rules(byCertificate), false},
		"certificate, other authority":  {byCertificate, otherAuthority, true},
		"certificate, no authority":     {byCertificate, func(_ *testing.T, _ *surroundings, c *Config) { c.Mapper = nil }, true},
		"certificate, other mapping":    {byCertificate, mapping, true},
		"both":                          {both, rules(both), false},
		"both, account removed":         {both, list(bob), true},
		"both, other authority":         {both, otherAuthority, true},
		"both, certificate not needed":  {both, rules(scram), false},
		"password, other authority":     {scram, otherAuthority, false},
		"another rule before":           {scram, rules(authn.Rule{Method: authn.MethodReject, Users: []string{"bob"}}, scram), false},
		"rejected":                      {scram, rules(authn.Rule{Method: authn.MethodReject, Users: []string{knownUser}}, scram), true},
		"rejected where it asked to go": {scram, rules(authn.Rule{Method: authn.MethodReject, Databases: []string{"app"}}, scram), true},
		"no rule":                       {scram, rules(authn.Rule{Method: authn.MethodSCRAM, Users: []string{"bob"}}), true},
		"another method":                {byMD5, rules(scram), true},
		"another issuer's name":         {byToken, rules(authn.Rule{Method: authn.MethodOIDC, Issuer: "other"}), true},
		"a certificate besides":         {scram, rules(both), true},
	} {
		t.Run(name, func(t *testing.T) { checkReconsidered(t, test.rule, test.change, test.ends) })
	}
}

// checkReconsidered logs in by the rule, reloads with the change, and looks whether that ends the session.
func checkReconsidered(t *testing.T, rule authn.Rule, change func(*testing.T, *surroundings, *Config), ends bool) {
	s := newSurroundings(t)
	g := s.start(t, rule)
	password := knownPassword
	if rule.Issuer != "" {
		password = s.issuer.token(t, knownUser)
	}
	conn := g.enters(password, *(&tracedClient{t: t, around: s}).certificate(knownUser))
	until(t, "the session is listed", func() bool { return len(g.server.Sessions()) == 1 })
	next := s.config
	change(t, s, &next)
	if err := g.server.Reload(next); err != nil {
		t.Fatal(err)
	}
	if !ends { // the first who ends it is the one it hears of
		g.server.End(t.Context(), g.server.Sessions()[0].ID)
		if got := hearsItsEnd(t, conn); got != killedText {
			t.Errorf("hears %s", got)
		}
		return
	}
	if got := hearsItsEnd(t, conn); got != "FATAL 57P01 "+acceptedNoMore {
		t.Errorf("hears %s", got)
	}
	r := &revocable{serving: g, surroundings: s}
	until(t, "the end is on record", func() bool {
		return r.audited(`"session_end"`, `"reason":"identity_expired"`, `"revocation":"revoked"`)
	})
}

// TestReconsiderWhileItLogsIn: who proves itself to a configuration that is over by then has no session.
func TestReconsiderWhileItLogsIn(t *testing.T) {
	r := startRevocable(t, nil)
	login := r.prompt()
	next := r.surroundings.config
	next.Rules = authn.Rules{{Method: authn.MethodReject}}
	if err := r.server.Reload(next); err != nil {
		t.Fatal(err)
	}
	r.answer(login, r.token)
	if got := r.hears(login); got != "FATAL 57P01 "+acceptedNoMore {
		t.Errorf("hears %s", got)
	}
}
