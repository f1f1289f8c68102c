package openid

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/oauth2"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ana = User{
	Subject: "1f2a", Email: "ana@example.com", EmailVerified: true, Name: "Ana",
	Password: "correct horse", Groups: []string{"analysts", "staff"},
}

func start(t *testing.T, lifetime time.Duration) *Provider {
	t.Helper()
	p, err := Start(Config{Listen: "127.0.0.1:0", Lifetime: lifetime, Users: []User{ana}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return p
}

func agent(p *Provider) Agent {
	return Agent{Issuer: p.Issuer(), Email: ana.Email, Password: ana.Password}
}

// claims verifies a token against the published keys and returns what the gateway would read.
func claims(t *testing.T, p *Provider, raw string) map[string]any {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), p.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	token, err := provider.VerifierContext(t.Context(), &oidc.Config{ClientID: ClientID}).Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]any)
	if err := token.Claims(&out); err != nil {
		t.Fatal(err)
	}
	if life := token.Expiry.Sub(token.IssuedAt); life < 11*time.Hour || life > 12*time.Hour+time.Minute {
		t.Errorf("token lives %v, want 12h", life)
	}
	return out
}

func TestFlows(t *testing.T) {
	p := start(t, 12*time.Hour)
	flows := map[string]func() (Tokens, error){
		"authorization code": func() (Tokens, error) { return agent(p).CodeFlow(t.Context()) },
		"device":             func() (Tokens, error) { return agent(p).DeviceFlow(t.Context()) },
	}
	for name, flow := range flows {
		t.Run(name, func(t *testing.T) {
			tokens, err := flow()
			if err != nil {
				t.Fatal(err)
			}
			for kind, raw := range map[string]string{"id": tokens.ID, "access": tokens.Access} {
				got := claims(t, p, raw)
				want := map[string]any{
					"iss": p.Issuer(), "sub": ana.Subject, "email": ana.Email, "email_verified": true, "name": ana.Name,
					"groups": []any{"analysts", "staff"},
				}
				for claim, value := range want {
					if diff := cmp.Diff(value, got[claim]); diff != "" {
						t.Errorf("%s token, claim %s (-want +got):\n%s", kind, claim, diff)
					}
				}
				if aud := fmt.Sprint(got["aud"]); aud != "[sallyport]" && aud != "sallyport" {
					t.Errorf("%s token, aud = %s", kind, aud)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	p := start(t, time.Hour)
	authorize := func(query url.Values) (int, string) {
		c := agent(p).client()
		response, err := c.Get(p.Issuer() + "/authorize?" + query.Encode())
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode, response.Header.Get("Location")
	}
	good := url.Values{
		"client_id": {ClientID}, "redirect_uri": {"http://127.0.0.1:4711/callback"}, "response_type": {"code"}, "scope": {"openid"},
		"state": {"s"}, "code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"},
	}
	if status, location := authorize(good); status != http.StatusFound || !strings.Contains(location, loginPath) {
		t.Fatalf("a good request: %d %s", status, location)
	}
	bad := map[string]func(url.Values){
		"unknown client":       func(v url.Values) { v.Set("client_id", "other") },
		"foreign redirect":     func(v url.Values) { v.Set("redirect_uri", "https://example.com/callback") },
		"no PKCE":              func(v url.Values) { v.Del("code_challenge"); v.Del("code_challenge_method") },
		"PKCE without hashing": func(v url.Values) { v.Set("code_challenge_method", "plain") },
		"implicit flow":        func(v url.Values) { v.Set("response_type", "id_token") },
	}
	for name, change := range bad {
		t.Run(name, func(t *testing.T) {
			query := url.Values{}
			for k, v := range good {
				query[k] = v
			}
			change(query)
			if status, location := authorize(query); strings.Contains(location, loginPath) {
				t.Errorf("led to the login page: %d %s", status, location)
			}
		})
	}
	t.Run("device denied", func(t *testing.T) {
		_, config, err := agent(p).discover(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		device, err := config.DeviceAuth(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := agent(p).AnswerDevice(t.Context(), device.VerificationURI, device.UserCode, false); err != nil {
			t.Fatal(err)
		}
		_, err = config.DeviceAccessToken(t.Context(), device)
		var refusal *oauth2.RetrieveError
		if !errors.As(err, &refusal) || refusal.ErrorCode != "access_denied" {
			t.Errorf("got %v, want access_denied", err)
		}
		if err := agent(p).AnswerDevice(t.Context(), device.VerificationURI, device.UserCode, true); err == nil {
			t.Error("a code that was answered is taken once more")
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		a := agent(p)
		a.Password = "wrong"
		if _, err := a.CodeFlow(t.Context()); err == nil || !strings.Contains(err.Error(), "submit login form: 401") {
			t.Errorf("code flow: %v", err)
		}
		if _, err := a.DeviceFlow(t.Context()); err == nil || !strings.Contains(err.Error(), "type the code: 401") {
			t.Errorf("device flow: %v", err)
		}
	})
}

func TestRotateKey(t *testing.T) {
	p := start(t, 12*time.Hour)
	published := func() int {
		response, err := http.Get(p.Issuer() + "/keys")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var set struct{ Keys []json.RawMessage }
		if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
			t.Fatal(err)
		}
		return len(set.Keys)
	}
	for i, step := range []struct {
		keep bool
		want int
	}{{true, 2}, {true, 3}, {false, 1}} {
		if err := p.RotateKey(step.keep); err != nil {
			t.Fatal(err)
		}
		if got := published(); got != step.want {
			t.Errorf("step %d: %d keys are published, want %d", i, got, step.want)
		}
	}
	tokens, err := agent(p).CodeFlow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	claims(t, p, tokens.ID)
}
