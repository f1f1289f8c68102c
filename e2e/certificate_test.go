package e2e

import (
	"maps"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/e2e/stack"
)

// files are the client's certificate and key as libpq wants them named.
func files(certificate, key string) map[string]string {
	return map[string]string{"sslcert": certificate, "sslkey": key}
}

// batch is a login of the account that has the stack's client certificate.
func batch(application string) login {
	return login{
		account: stack.Batch, password: "unused", application: application,
		options: files(shared.services.BatchCertificate, shared.services.BatchKey),
	}
}

// issued makes a client's certificate.
func issued(t *testing.T, authority *certs.Authority, request certs.Request) map[string]string {
	t.Helper()
	directory := t.TempDir()
	if err := authority.WriteFiles(directory, "client", request); err != nil {
		t.Fatal(err)
	}
	return files(filepath.Join(directory, "client.crt"), filepath.Join(directory, "client.key"))
}

// foreign is an authority of the same name as the gateway's clients'.
func foreign(t *testing.T) *certs.Authority {
	t.Helper()
	authority, err := certs.New("Sallyport demo clients")
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func TestCertificate(t *testing.T) {
	const refused, none = `FATAL:  certificate authentication failed for user "svc_batch"`, "FATAL:  connection requires a valid client certificate"
	clients, services := shared.services.Clients, shared.services
	his := certs.Request{CommonName: stack.Batch, Client: true}
	expired, server, others, nameless := his, his, his, his
	expired.TTL = -time.Hour
	server.Client, server.Server = false, true
	others.CommonName = stack.Service
	nameless.CommonName, nameless.DNSNames = "", []string{stack.Batch}
	for name, test := range map[string]struct {
		options map[string]string
		refusal string
	}{
		"right":                 {files(services.BatchCertificate, services.BatchKey), ""},
		"another right one":     {issued(t, clients, his), ""},
		"none":                  {nil, none},
		"another user's":        {issued(t, clients, others), refused},
		"without a common name": {issued(t, clients, nameless), refused},
		"expired":               {issued(t, clients, expired), "certificate expired"},
		"a server's":            {issued(t, clients, server), "bad certificate"},
		"another authority's":   {issued(t, foreign(t), his), "unknown ca"},
		"the gateway's own":     {files(services.ClientCertificate, services.ClientKey), "unknown ca"},
	} {
		t.Run(name, func(t *testing.T) {
			attempt{login{account: stack.Batch, password: "unused", options: test.options}, test.refusal}.readsOrders(t, "psql")
		})
	}
}

// TestCertificateIsNoPassword: a rule for passwords does not take a certificate in its place.
func TestCertificateIsNoPassword(t *testing.T) {
	certificate := issued(t, shared.services.Clients, certs.Request{CommonName: stack.Service, Client: true})
	attempt{login{account: stack.Service, options: certificate}, ""}.readsOrders(t, "psql")
	wrong := login{account: stack.Service, password: "wrong", options: certificate}
	attempt{wrong, `FATAL:  password authentication failed for user "svc_report"`}.readsOrders(t, "psql")
}

// TestCertificateAndPassword: a rule that wants both is content with neither alone.
func TestCertificateAndPassword(t *testing.T) {
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		c.Authentication.Rules[0].Certificate = true // the service's
	})
	const (
		none     = "FATAL:  connection requires a valid client certificate"
		another  = `FATAL:  certificate authentication failed for user "svc_report"`
		password = `FATAL:  password authentication failed for user "svc_report"`
	)
	his := issued(t, shared.services.Clients, certs.Request{CommonName: stack.Service, Client: true})
	bound := maps.Clone(his)
	maps.Copy(bound, binding("require"))
	for name, a := range map[string]attempt{
		"both":                       {login{options: his}, ""},
		"both, bound":                {login{options: bound}, ""},
		"certificate, no password":   {login{password: "wrong", options: his}, password},
		"password, no certificate":   {login{}, none},
		"password, another one's":    {login{options: batch("").options}, another},
		"neither":                    {login{password: "wrong"}, none},
		"another one's, no password": {login{password: "wrong", options: batch("").options}, another},
	} {
		t.Run(name, func(t *testing.T) {
			a.gateway, a.account = g, stack.Service
			a.readsOrders(t, "psql")
		})
	}
}

// TestWorkloadCertificate: a SPIFFE ID is mapped to an account, and the common name then says nothing.
func TestWorkloadCertificate(t *testing.T) {
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		c.Authentication.Certificates = []stack.MappingConfig{
			{Kind: "spiffe", Name: "spiffe://example.test/ns/*/batch", Users: []string{stack.Batch}},
		}
	})
	const refused = `FATAL:  certificate authentication failed for user "svc_batch"`
	for name, test := range map[string]struct {
		name    string
		ids     []string
		refusal string
	}{
		"right":                {"", []string{"spiffe://example.test/ns/night/batch"}, ""},
		"other workload":       {"", []string{"spiffe://example.test/ns/night/web"}, refused},
		"other trust domain":   {"", []string{"spiffe://example.org/ns/night/batch"}, refused},
		"longer path":          {"", []string{"spiffe://example.test/ns/night/day/batch"}, refused},
		"two":                  {"", []string{"spiffe://example.test/ns/night/batch", "spiffe://example.test/ns/night/web"}, refused},
		"common name only":     {stack.Batch, nil, refused},
		"common name, not his": {stack.Batch, []string{"spiffe://example.test/ns/night/web"}, refused},
	} {
		t.Run(name, func(t *testing.T) {
			request := certs.Request{CommonName: test.name, Client: true}
			for _, id := range test.ids {
				u, err := url.Parse(id)
				if err != nil {
					t.Fatal(err)
				}
				request.URIs = append(request.URIs, u)
			}
			l := login{gateway: g, account: stack.Batch, password: "unused", options: issued(t, shared.services.Clients, request)}
			attempt{l, test.refusal}.readsOrders(t, "psql")
		})
	}
}
