package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/e2e/openid"
	"github.com/sallyport/sallyport/e2e/stack"
)

// scope is what the stack's gateways tell clients to ask the provider for.
const scope = "openid email groups"

// oauthGateway takes more people's tokens by OAUTHBEARER.
func oauthGateway(t *testing.T) *stack.Gateway {
	t.Helper()
	return ownGateway(t, func(c *stack.GatewayConfig) {
		a := &c.Authentication
		a.Rules = slices.Insert(a.Rules, 0, stack.RuleConfig{Method: "oauthbearer", Issuer: "demo", Users: []string{stack.Analyst, stack.DBA}})
	})
}

// bearer is a client's first message with a token (RFC 7628, 3.1); without one it asks where to get it.
func bearer(token string) []byte {
	authorization := ""
	if token != "" {
		authorization = "Bearer " + token
	}
	return []byte("n,,\x01auth=" + authorization + "\x01\x01")
}

// oauth connects and is offered OAUTHBEARER and nothing else.
func oauth(t *testing.T, g *stack.Gateway, account, application string) raw {
	t.Helper()
	r := directly(t, g)
	r.write(t, startup("user", account, "database", stack.App, "application_name", application))
	offered := next[*pgproto3.AuthenticationSASL](t, r).AuthMechanisms
	if want := []string{"OAUTHBEARER"}; !slices.Equal(offered, want) {
		t.Fatalf("offered %q, want %q", offered, want)
	}
	return r
}

// initial sends the first message of the mechanism.
func (r raw) initial(t *testing.T, data []byte) {
	t.Helper()
	r.send(t, &pgproto3.SASLInitialResponse{AuthMechanism: "OAUTHBEARER", Data: data})
}

// refusal is the error document (RFC 7628, 3.2.2).
type refusal struct {
	Status        string `json:"status"`
	Configuration string `json:"openid-configuration"`
	Scope         string `json:"scope"`
}

// told receives the error document, says that it has heard, and receives the end.
func (r raw) told(t *testing.T, account string) refusal {
	t.Helper()
	var out refusal
	decoder := json.NewDecoder(bytes.NewReader(next[*pgproto3.AuthenticationSASLContinue](t, r).Data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&out); err != nil {
		t.Fatal(err)
	}
	r.send(t, &pgproto3.SASLResponse{Data: []byte{1}})
	if got, want := r.refused(t, "28000").Message, `OAuth bearer authentication failed for user "`+account+`"`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	return out
}

// TestOAuth goes the whole way of a client that knows nothing but the gateway: it asks, is told, gets a token by the device flow with
// what it was told, and comes again.
func TestOAuth(t *testing.T) {
	g := oauthGateway(t)
	r := oauth(t, g, stack.Analyst, "oauth-discovery")
	r.initial(t, bearer(""))
	where := r.told(t, stack.Analyst)
	want := refusal{"invalid_token", shared.services.OpenID.Issuer() + "/.well-known/openid-configuration", scope}
	if diff := cmp.Diff(want, where); diff != "" {
		t.Fatalf("the client is told (-want +got):\n%s", diff)
	}
	tokens, err := openid.Agent{
		Issuer: issuerAt(t, where.Configuration), HTTP: shared.services.HTTPClient(), Email: stack.Analyst, Password: stack.Password,
	}.DeviceFlow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r = oauth(t, g, stack.Analyst, "oauth-session")
	r.initial(t, bearer(tokens.Access)) // as an OAuth client does; the tests below send the ID token
	r.in(t)
	r.one(t)
	r.send(t, &pgproto3.Query{String: "SELECT * FROM secrets"})
	if got, want := answers(t, r.Frontend), "42501 Z=I"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.send(t, &pgproto3.Terminate{})

	end := func(application string) event {
		all := ended(t, g, application)
		return all[len(all)-1]
	}
	if e := end("oauth-discovery"); e.Reason != "discovery" {
		t.Errorf("who asked where to get a token ends with the reason %q", e.Reason)
	}
	named := slices.ContainsFunc(ended(t, g, "oauth-session"), func(e event) bool { return e.Method == "oauthbearer" })
	if !named {
		t.Error("no event of the session names the method")
	}
	for _, path := range []string{g.Log, g.Audit} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(tokens.Access)) {
			t.Errorf("the token is in %s", path)
		}
	}
}

// issuerAt reads a provider's document.
func issuerAt(t *testing.T, address string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := shared.services.HTTPClient().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var document struct {
		Issuer string `json:"issuer"`
	}
	if err := json.NewDecoder(response.Body).Decode(&document); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", address, response.Status, err)
	}
	return document.Issuer
}

// TestOAuthVariants: what RFC 7628 lets clients write differently.
func TestOAuthVariants(t *testing.T) {
	g := oauthGateway(t)
	token := shared.tokens[stack.Analyst]
	for name, message := range map[string]string{
		"could bind":          "y,,\x01auth=Bearer " + token + "\x01\x01",
		"other case":          "n,,\x01auth=bearer " + token + "\x01\x01",
		"several blanks":      "n,,\x01auth=Bearer   " + token + "\x01\x01",
		"host and port":       "n,,\x01host=localhost\x01port=6432\x01auth=Bearer " + token + "\x01\x01",
		"a key nobody knows":  "n,,\x01auth=Bearer " + token + "\x01mood=good\x01\x01",
		"in a second message": "",
	} {
		t.Run(name, func(t *testing.T) {
			r := oauth(t, g, stack.Analyst, "oauth-variant")
			if message == "" {
				r.write(t, []byte("p\x00\x00\x00\x14OAUTHBEARER\x00\xff\xff\xff\xff")) // a length of -1: no data yet
				if data := next[*pgproto3.AuthenticationSASLContinue](t, r).Data; len(data) != 0 {
					t.Fatalf("continued with %q, want nothing", data)
				}
				r.send(t, &pgproto3.SASLResponse{Data: bearer(token)})
			} else {
				r.initial(t, []byte(message))
			}
			r.in(t)
			r.one(t)
		})
	}
}

// TestOAuthRefused: a token that is not good is answered as none is, to the byte.
func TestOAuthRefused(t *testing.T) {
	g := oauthGateway(t)
	token := shared.tokens[stack.Analyst]
	parts := strings.Split(token, ".")
	want := refusal{"invalid_token", shared.services.OpenID.Issuer() + "/.well-known/openid-configuration", scope}
	for name, test := range map[string]struct{ account, token string }{
		"none":               {stack.Analyst, ""},
		"not a token":        {stack.Analyst, "x"},
		"another one's":      {stack.Analyst, shared.tokens[stack.Engineer]},
		"for another one":    {stack.DBA, token},
		"changed payload":    {stack.Analyst, parts[0] + "." + strings.ToUpper(parts[1]) + "." + parts[2]},
		"no signature":       {stack.Analyst, parts[0] + "." + parts[1] + "."},
		"alg none":           {stack.Analyst, "eyJhbGciOiJub25lIn0." + parts[1] + "."},
		"not of its letters": {stack.Analyst, token + "!"},
		"very long":          {stack.Analyst, strings.Repeat("a.", 20000)},
	} {
		t.Run(name, func(t *testing.T) {
			r := oauth(t, g, test.account, "oauth-refused")
			r.initial(t, bearer(test.token))
			if diff := cmp.Diff(want, r.told(t, test.account)); diff != "" {
				t.Errorf("the client is told (-want +got):\n%s", diff)
			}
		})
	}
	for name, test := range map[string]struct {
		message, sqlstate string
	}{
		"bound":               {"p=tls-server-end-point,,\x01auth=Bearer " + token + "\x01\x01", "08P01"},
		"on another's behalf": {"n,a=dba@example.com,\x01auth=Bearer " + token + "\x01\x01", "0A000"},
		"two tokens":          {"n,,\x01auth=Bearer x\x01auth=Bearer " + token + "\x01\x01", "08P01"},
		"no end":              {"n,,\x01auth=Bearer " + token + "\x01", "08P01"},
		"more after the end":  {"n,,\x01auth=Bearer " + token + "\x01\x01x", "08P01"},
		"no key":              {"n,,\x01\x01", "08P01"},
	} {
		t.Run(name, func(t *testing.T) {
			r := oauth(t, g, stack.Analyst, "oauth-broken")
			r.initial(t, []byte(test.message))
			r.refused(t, test.sqlstate)
		})
	}
	t.Run("tries again on the same connection", func(t *testing.T) {
		r := oauth(t, g, stack.Analyst, "oauth-again")
		r.initial(t, bearer(""))
		next[*pgproto3.AuthenticationSASLContinue](t, r)
		r.send(t, &pgproto3.SASLResponse{Data: bearer(token)})
		r.refused(t, "08P01")
	})
}
