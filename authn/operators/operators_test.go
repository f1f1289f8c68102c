package operators

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authn/oidc"
	"github.com/sallyport/sallyport/certs"
)

// issuer is an OpenID provider that publishes one key and signs what a test wants.
type issuer struct {
	url    string
	caFile string
	key    *ecdsa.PrivateKey
	server *httptest.Server
}

func startIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key, caFile: filepath.Join(t.TempDir(), "issuer.crt")}
	i.server = httptest.NewTLSServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.server.Close)
	i.url = i.server.URL
	if err := os.WriteFile(i.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *issuer) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/keys" {
		key := jose.JSONWebKey{KeyID: "1", Algorithm: "ES256", Use: "sig", Key: i.key.Public()}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}})
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.url, "jwks_uri": i.url + "/keys"})
}

func (i *issuer) verifier(t *testing.T) *oidc.Verifier {
	t.Helper()
	v, err := oidc.New(oidc.Config{Issuer: i.url, Audiences: []string{"control"}, CAFile: i.caFile, UserClaim: "email"})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// token is one of these claims, beside those that every good token has.
func (i *issuer) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	now := time.Now().Unix()
	payload := map[string]any{"iss": i.url, "aud": "control", "sub": "17", "iat": now, "exp": now + 3600, "email": "ana@example.com", "email_verified": true}
	for claim, value := range claims {
		payload[claim] = value
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{KeyID: "1", Key: i.key}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

const shared = "a-shared-token-of-some-length"

func TestByToken(t *testing.T) {
	company, other := startIssuer(t), startIssuer(t)
	a, err := New(Config{
		Token: shared, Issuers: map[string]*oidc.Verifier{"company": company.verifier(t), "other": other.verifier(t)},
		Rules: []Rule{
			{Role: RoleRead, Issuer: "company", Groups: []string{"dba", "auditors"}},
			{Role: RoleAct, Issuer: "company", Groups: []string{"dba"}, Claim: "shift", Value: "on-call"},
			{Role: RoleAct, Issuer: "other", Claim: "roles", Value: "breakglass"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ana := func(role Role, issuer *issuer) Operator {
		return Operator{Role: role, Method: MethodOIDC, Issuer: issuer.url, Subject: "17", Name: "ana@example.com"}
	}
	type claims = map[string]any
	tests := map[string]struct {
		token string
		want  Operator
		err   error
	}{
		"a group":                    {company.token(t, claims{"groups": []string{"x", "auditors"}}), ana(RoleRead, company), nil},
		"a group and no claim":       {company.token(t, claims{"groups": []string{"dba"}}), ana(RoleRead, company), nil},
		"a group and a claim":        {company.token(t, claims{"groups": []string{"dba"}, "shift": "on-call"}), ana(RoleAct, company), nil},
		"a claim and no group":       {company.token(t, claims{"shift": "on-call"}), ana(RoleNone, company), ErrForbidden},
		"another group":              {company.token(t, claims{"groups": []string{"dbas"}}), ana(RoleNone, company), ErrForbidden},
		"nothing":                    {company.token(t, nil), ana(RoleNone, company), ErrForbidden},
		"a claim of another issuer":  {company.token(t, claims{"roles": []string{"breakglass"}}), ana(RoleNone, company), ErrForbidden},
		"the other issuer":           {other.token(t, claims{"roles": []string{"breakglass"}}), ana(RoleAct, other), nil},
		"the other issuer's group":   {other.token(t, claims{"groups": []string{"dba"}, "shift": "on-call"}), ana(RoleNone, other), ErrForbidden},
		"signed by the other issuer": {(&issuer{url: company.url, key: other.key}).token(t, claims{"groups": []string{"dba"}}), Operator{}, ErrUnknown},
		"for a database":             {company.token(t, claims{"groups": []string{"dba"}, "aud": "sallyport"}), Operator{}, ErrUnknown},
		"for both, of another party": {company.token(t, claims{"groups": []string{"dba"}, "aud": []string{"sallyport", "control"}, "azp": "sallyport"}), Operator{}, ErrUnknown},
		"expired":                    {company.token(t, claims{"groups": []string{"dba"}, "exp": 1700000000}), Operator{}, ErrUnknown},
		"unknown issuer":             {startIssuer(t).token(t, claims{"groups": []string{"dba"}}), Operator{}, ErrUnknown},
		"an address not verified":    {company.token(t, claims{"groups": []string{"dba"}, "email_verified": false}), Operator{Role: RoleRead, Method: MethodOIDC, Issuer: company.url, Subject: "17"}, nil},
		"the shared token":           {shared, Operator{Role: RoleRead, Method: MethodToken}, nil},
		"nearly the shared token":    {shared + "x", Operator{}, ErrUnknown},
		"no token":                   {"", Operator{}, ErrUnknown},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := a.ByToken(t.Context(), test.token)
			if !errors.Is(err, test.err) || (err != nil) != (test.err != nil) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("operator (-want +got):\n%s", diff)
			}
		})
	}
}

// TestIssuerUnavailable: a token that cannot be judged is not wrong.
func TestIssuerUnavailable(t *testing.T) {
	company := startIssuer(t)
	a, err := New(Config{
		Issuers: map[string]*oidc.Verifier{"company": company.verifier(t)}, Rules: []Rule{{Role: RoleAct, Issuer: "company", Groups: []string{"dba"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	company.server.Close()
	if _, err := a.ByToken(t.Context(), company.token(t, map[string]any{"groups": "dba"})); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

// chains is what a handshake that verified this certificate leaves.
func chains(t *testing.T, request certs.Request) [][]*x509.Certificate {
	t.Helper()
	authority, err := certs.New("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := authority.Issue(request)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	return [][]*x509.Certificate{{pair.Leaf}}
}

func TestByCertificate(t *testing.T) {
	a, err := New(Config{Rules: []Rule{
		{Role: RoleRead, Certificate: "cn", CertName: "boss"},
		{Role: RoleAct, Certificate: "cn", CertName: "boss"},
		{Role: RoleRead, Certificate: "dns", CertName: "monitor.example.com"},
		{Role: RoleAct, Certificate: "spiffe", CertName: "spiffe://example.test/ns/*/breakglass"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	uri := func(text string) []*url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return []*url.URL{u}
	}
	tests := map[string]struct {
		request certs.Request
		role    Role
		name    string
	}{
		"common name":         {certs.Request{CommonName: "boss", Client: true}, RoleAct, "boss"},
		"another common name": {certs.Request{CommonName: "bos", Client: true}, RoleNone, ""},
		"the mapped account":  {certs.Request{CommonName: account, Client: true}, RoleNone, ""},
		"a server's":          {certs.Request{CommonName: "boss", Server: true}, RoleNone, ""},
		"expired":             {certs.Request{CommonName: "boss", Client: true, TTL: -time.Hour}, RoleNone, ""},
		"DNS name":            {certs.Request{DNSNames: []string{"monitor.example.com"}, Client: true}, RoleRead, "monitor.example.com"},
		"SPIFFE ID":           {certs.Request{URIs: uri("spiffe://example.test/ns/prod/breakglass"), Client: true}, RoleAct, "spiffe://example.test/ns/prod/breakglass"},
		"another SPIFFE ID":   {certs.Request{URIs: uri("spiffe://example.test/ns/prod/web"), Client: true}, RoleNone, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := a.ByCertificate(chains(t, test.request))
			if got.Role != test.role || got.Name != test.name || (err != nil) != (test.role == RoleNone) {
				t.Errorf("got %+v, %v", got, err)
			}
			if err != nil && !errors.Is(err, ErrForbidden) {
				t.Errorf("error %v", err)
			}
		})
	}
	for name, none := range map[string][][]*x509.Certificate{"none": nil, "an empty chain": {{}}} {
		if got, err := a.ByCertificate(none); err == nil || got.Role != RoleNone {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	issuers := map[string]*oidc.Verifier{"company": startIssuer(t).verifier(t)}
	tests := map[string]struct {
		rule Rule
		want string
	}{
		"no role":                  {Rule{Issuer: "company", Groups: []string{"dba"}}, "no role"},
		"nothing":                  {Rule{Role: RoleAct}, "either issuer"},
		"both":                     {Rule{Role: RoleAct, Issuer: "company", Groups: []string{"dba"}, Certificate: "cn", CertName: "x"}, "either issuer"},
		"unknown issuer":           {Rule{Role: RoleAct, Issuer: "companies", Groups: []string{"dba"}}, "unknown issuer"},
		"everybody":                {Rule{Role: RoleAct, Issuer: "company"}, "everybody"},
		"empty group":              {Rule{Role: RoleAct, Issuer: "company", Groups: []string{""}}, "empty group"},
		"claim without a value":    {Rule{Role: RoleAct, Issuer: "company", Claim: "a"}, "go together"},
		"value without a claim":    {Rule{Role: RoleAct, Issuer: "company", Groups: []string{"dba"}, Value: "a"}, "go together"},
		"certificate without name": {Rule{Role: RoleAct, Certificate: "cn"}, "name is empty"},
		"unknown kind":             {Rule{Role: RoleAct, Certificate: "serial", CertName: "x"}, "unknown kind"},
		"a name for anybody":       {Rule{Role: RoleAct, Certificate: "cn", CertName: "{user}"}, "{user}"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := New(Config{Rules: []Rule{test.rule}, Issuers: issuers}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
