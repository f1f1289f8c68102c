package admin

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/authn/operators"
	"github.com/sallyport/sallyport/gateway/refusals"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "a-token-of-some-length"

// fakeGateway has one session, s1, and one refusal.
type fakeGateway struct {
	did      []string
	err      error
	inFuture time.Time
}

func (g *fakeGateway) Sessions() []SessionInfo {
	return []SessionInfo{{
		ID: "s1", User: "ana", Method: "oidc", Issuer: "https://id.example", Subject: "17", Database: "app", ClientAddress: "::1", State: "idle",
		Started: time.Unix(0, 0).UTC(), Role: "readonly", Obligations: []string{"max_rows=100"},
	}}
}

func (g *fakeGateway) End(ctx context.Context, id string) (Ended, bool) {
	g.did = append(g.did, "end "+id)
	return Ended{ID: id, User: "ana", Gone: ctx.Err() == nil}, id == "s1" && ctx.Err() == nil
}

func (g *fakeGateway) Refuse(_ context.Context, r refusals.Refusal) ([]Ended, error) {
	g.did = append(g.did, strings.TrimSpace(fmt.Sprintf("refuse %s %s %s by %s", r.User, r.Issuer, r.Subject, r.By)))
	g.inFuture = r.Expires
	return []Ended{{ID: "s1", User: "ana"}}, g.err
}

func (g *fakeGateway) Lift(who refusals.Who) (bool, error) {
	g.did = append(g.did, "lift "+who.User)
	return who.User == "ana", g.err
}

func (g *fakeGateway) Refusals() []refusals.Refusal {
	return []refusals.Refusal{{Who: refusals.Who{User: "eve"}, Reason: "INC-1", By: "boss", Since: time.Unix(0, 0).UTC()}}
}

type setup struct {
	gateway   fakeGateway
	actions   []Action
	checks    []Check
	recordErr func(Action) error
	handler   http.Handler
}

// outdated is in the name of who has shown a certificate that was good.
const outdated = "outdated"

// newSetup makes a handler whose operators are by certificates: "boss" acts, "clerk" reads, as the holders of the token do.
func newSetup(t *testing.T, token string) *setup {
	t.Helper()
	authority, err := operators.New(operators.Config{Token: token, Rules: []operators.Rule{
		{Role: operators.RoleAct, Certificate: "cn", CertName: "boss"}, {Role: operators.RoleRead, Certificate: "cn", CertName: "clerk"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := &setup{checks: []Check{{Name: "vault", OK: true}, {Name: "audit", OK: true}}, recordErr: func(Action) error { return nil }}
	s.handler = New(Config{
		Operators: authority,
		Chains: func(shown []*x509.Certificate) ([][]*x509.Certificate, error) {
			if len(shown) == 0 || shown[0].Subject.CommonName == outdated {
				return nil, errors.New("its authority is another")
			}
			return [][]*x509.Certificate{shown}, nil
		},
		Gateway: &s.gateway,
		Ready:   func() []Check { return s.checks },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("metrics")) }),
		Record: func(a Action) error {
			s.actions = append(s.actions, a)
			return s.recordErr(a)
		},
	})
	return s
}

func (s *setup) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func (s *setup) do(method, path, authorization string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return s.serve(r)
}

func TestRequests(t *testing.T) {
	const list = `{"sessions":[{"id":"s1","user":"ana","method":"oidc","issuer":"https://id.example","subject":"17","database":"app","client_address":"::1","application_name":"","backend_role":"","backend_pid":0,"backend_host":"","started":"1970-01-01T00:00:00Z","state":"idle","statements":0,"observe":false,"role":"readonly","obligations":["max_rows=100"]}]}` + "\n"
	const empty = `{"sessions":[]}` + "\n"
	tests := map[string]struct {
		method, path, authorization string
		status                      int
		body                        string
	}{
		"health":                 {"GET", "/healthz", "", 200, "ok\n"},
		"ready":                  {"GET", "/readyz", "", 200, `{"ready":true,"checks":[{"name":"vault","ok":true},{"name":"audit","ok":true}]}` + "\n"},
		"metrics":                {"GET", "/metrics", "", 200, "metrics"},
		"sessions":               {"GET", "/sessions", "Bearer " + token, 200, list},
		"by user":                {"GET", "/sessions?user=ana", "Bearer " + token, 200, list},
		"of another user":        {"GET", "/sessions?user=eve", "Bearer " + token, 200, empty},
		"of no user":             {"GET", "/sessions?user=", "Bearer " + token, 200, empty},
		"by subject":             {"GET", "/sessions?issuer=https://id.example&subject=17", "Bearer " + token, 200, list},
		"of another issuer":      {"GET", "/sessions?issuer=https://id2.example&subject=17", "Bearer " + token, 200, empty},
		"by database":            {"GET", "/sessions?database=app", "Bearer " + token, 200, list},
		"by user and database":   {"GET", "/sessions?database=other&user=ana", "Bearer " + token, 200, empty},
		"unknown filter":         {"GET", "/sessions?usr=ana", "Bearer " + token, 400, ""},
		"filter twice":           {"GET", "/sessions?user=ana&user=eve", "Bearer " + token, 400, ""},
		"malformed query":        {"GET", "/sessions?user=%zz", "Bearer " + token, 400, ""},
		"refusals":               {"GET", "/refusals", "Bearer " + token, 200, `{"refusals":[{"user":"eve","reason":"INC-1","by":"boss","since":"1970-01-01T00:00:00Z"}]}` + "\n"},
		"refusals without token": {"GET", "/refusals", "", 401, ""},
		"scheme in any case":     {"GET", "/sessions", "bearer " + token, 200, ""},
		"no token":               {"GET", "/sessions", "", 401, ""},
		"end without token":      {"POST", "/sessions/s1/end", "", 401, ""},
		"end with the token":     {"POST", "/sessions/s1/end", "Bearer " + token, 403, ""},
		"wrong token":            {"GET", "/sessions", "Bearer x" + token, 401, ""},
		"shorter token":          {"GET", "/sessions", "Bearer " + token[1:], 401, ""},
		"empty token":            {"GET", "/sessions", "Bearer ", 401, ""},
		"no scheme":              {"GET", "/sessions", token, 401, ""},
		"other scheme":           {"GET", "/sessions", "Basic " + token, 401, ""},
		"two spaces":             {"GET", "/sessions", "Bearer  " + token, 401, ""},
		"token in the query":     {"GET", "/sessions?access_token=" + token, "", 401, ""},
		"no such path":           {"GET", "/", "", 404, ""},
		"below a path":           {"GET", "/healthz/x", "", 404, ""},
		"wrong method":           {"POST", "/healthz", "", 405, ""},
		"end by GET":             {"GET", "/sessions/s1/end", "Bearer " + token, 405, ""},
		"lift by GET":            {"GET", "/refusals/lift", "Bearer " + token, 405, ""},
		"end all":                {"DELETE", "/sessions", "Bearer " + token, 405, ""},
		"write to metrics":       {"PUT", "/metrics", "", 405, ""},
		"another pprof":          {"GET", "/debug/pprof/", "Bearer " + token, 404, ""},
		"head":                   {"HEAD", "/readyz", "", 200, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSetup(t, token)
			w := s.do(test.method, test.path, test.authorization)
			if w.Code != test.status {
				t.Errorf("status %d, want %d: %s", w.Code, test.status, w.Body)
			}
			if test.body != "" && w.Body.String() != test.body {
				t.Errorf("body %s\nwant %s", w.Body, test.body)
			}
			if w.Code == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
				t.Error("no WWW-Authenticate")
			}
			if w.Code == http.StatusMethodNotAllowed && w.Header().Get("Allow") == "" {
				t.Error("no Allow")
			}
			for _, header := range []string{"Cache-Control", "Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"} {
				if w.Header().Get(header) == "" {
					t.Errorf("no %s", header)
				}
			}
			if len(s.gateway.did) != 0 {
				t.Errorf("did %q", s.gateway.did)
			}
		})
	}
}

func TestNoOperatorsConfigured(t *testing.T) {
	s := newSetup(t, "")
	for _, authorization := range []string{"", "Bearer ", "Bearer", "Bearer x"} {
		if w := s.do("GET", "/sessions", authorization); w.Code != 401 {
			t.Errorf("%q: status %d, want 401", authorization, w.Code)
		}
	}
}

func TestNotReady(t *testing.T) {
	s := newSetup(t, token)
	s.checks = append(s.checks, Check{Name: "policy", Message: "reload failed"})
	w := s.do("GET", "/readyz", "")
	want := `{"ready":false,"checks":[{"name":"vault","ok":true},{"name":"audit","ok":true},{"name":"policy","ok":false,"message":"reload failed"}]}` + "\n"
	if w.Code != 503 || w.Body.String() != want {
		t.Errorf("%d %s\nwant 503 %s", w.Code, w.Body, want)
	}
}

func TestAdvisory(t *testing.T) {
	s := newSetup(t, token)
	s.checks = []Check{{Name: "policy_reload", Message: "refused", Advisory: true}}
	w := s.do("GET", "/readyz", "")
	want := `{"ready":true,"checks":[{"name":"policy_reload","ok":false,"message":"refused","advisory":true}]}` + "\n"
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d %s\nwant 200 %s", w.Code, w.Body, want)
	}
}

func TestServe(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Serve(ctx, listener, newSetup(t, token).handler, slog.New(slog.DiscardHandler)) }()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + listener.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}

func TestServeFails(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if err := Serve(t.Context(), listener, http.NotFoundHandler(), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("no error")
	}
}
