package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "a-token-of-some-length"

// sessions is a SessionSource of one session, s1.
type sessions struct{ killed []string }

func (s *sessions) Sessions() []SessionInfo {
	return []SessionInfo{{ID: "s1", User: "ana", Database: "app", ClientAddress: "::1", State: "idle", Started: time.Unix(0, 0).UTC(), Role: "readonly", Obligations: []string{"max_rows=100"}}}
}

func (s *sessions) Kill(id string) bool {
	if id != "s1" {
		return false
	}
	s.killed = append(s.killed, id)
	return true
}

type setup struct {
	sessions sessions
	kills    []Kill
	checks   []Check
	killErr  error
	handler  http.Handler
}

func newSetup(token string) *setup {
	s := &setup{checks: []Check{{Name: "vault", OK: true}, {Name: "audit", OK: true}}}
	s.handler = New(Config{
		Token:    token,
		Sessions: &s.sessions,
		Ready:    func() []Check { return s.checks },
		Metrics:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("metrics")) }),
		OnKill: func(k Kill) error {
			s.kills = append(s.kills, k)
			return s.killErr
		},
	})
	return s
}

func (s *setup) do(method, path, authorization string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func TestRequests(t *testing.T) {
	tests := map[string]struct {
		method, path, authorization string
		status                      int
		body                        string
	}{
		"health":             {"GET", "/healthz", "", 200, "ok\n"},
		"ready":              {"GET", "/readyz", "", 200, `{"ready":true,"checks":[{"name":"vault","ok":true},{"name":"audit","ok":true}]}` + "\n"},
		"metrics":            {"GET", "/metrics", "", 200, "metrics"},
		"sessions":           {"GET", "/sessions", "Bearer " + token, 200, `{"sessions":[{"id":"s1","user":"ana","database":"app","client_address":"::1","application_name":"","backend_role":"","backend_pid":0,"started":"1970-01-01T00:00:00Z","state":"idle","statements":0,"observe":false,"role":"readonly","obligations":["max_rows=100"]}]}` + "\n"},
		"scheme in any case": {"GET", "/sessions", "bearer " + token, 200, ""},
		"kill":               {"DELETE", "/sessions/s1", "Bearer " + token, 204, ""},
		"kill nobody":        {"DELETE", "/sessions/s2", "Bearer " + token, 404, "no such session\n"},
		"no token":           {"GET", "/sessions", "", 401, ""},
		"kill without token": {"DELETE", "/sessions/s1", "", 401, ""},
		"wrong token":        {"GET", "/sessions", "Bearer x" + token, 401, ""},
		"shorter token":      {"GET", "/sessions", "Bearer " + token[1:], 401, ""},
		"empty token":        {"GET", "/sessions", "Bearer ", 401, ""},
		"no scheme":          {"GET", "/sessions", token, 401, ""},
		"other scheme":       {"GET", "/sessions", "Basic " + token, 401, ""},
		"two spaces":         {"GET", "/sessions", "Bearer  " + token, 401, ""},
		"token in the query": {"GET", "/sessions?access_token=" + token, "", 401, ""},
		"no such path":       {"GET", "/", "", 404, ""},
		"below a path":       {"GET", "/healthz/x", "", 404, ""},
		"wrong method":       {"POST", "/healthz", "", 405, ""},
		"kill all":           {"DELETE", "/sessions", "Bearer " + token, 405, ""},
		"read one":           {"GET", "/sessions/s1", "Bearer " + token, 405, ""},
		"write to metrics":   {"PUT", "/metrics", "", 405, ""},
		"another pprof":      {"GET", "/debug/pprof/", "Bearer " + token, 404, ""},
		"head":               {"HEAD", "/readyz", "", 200, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSetup(token)
			w := s.do(test.method, test.path, test.authorization)
			if w.Code != test.status {
				t.Errorf("status %d, want %d", w.Code, test.status)
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
			if killed := test.status == 204; killed != (len(s.sessions.killed) == 1) {
				t.Errorf("killed %v", s.sessions.killed)
			}
		})
	}
}

func TestNoTokenConfigured(t *testing.T) {
	s := newSetup("")
	for _, authorization := range []string{"", "Bearer ", "Bearer", "Bearer x"} {
		if w := s.do("GET", "/sessions", authorization); w.Code != 401 {
			t.Errorf("%q: status %d, want 401", authorization, w.Code)
		}
	}
}

func TestNotReady(t *testing.T) {
	s := newSetup(token)
	s.checks = append(s.checks, Check{Name: "policy", Message: "reload failed"})
	w := s.do("GET", "/readyz", "")
	want := `{"ready":false,"checks":[{"name":"vault","ok":true},{"name":"audit","ok":true},{"name":"policy","ok":false,"message":"reload failed"}]}` + "\n"
	if w.Code != 503 || w.Body.String() != want {
		t.Errorf("%d %s\nwant 503 %s", w.Code, w.Body, want)
	}
}

func TestAdvisory(t *testing.T) {
	s := newSetup(token)
	s.checks = []Check{{Name: "policy_reload", Message: "refused", Advisory: true}}
	w := s.do("GET", "/readyz", "")
	want := `{"ready":true,"checks":[{"name":"policy_reload","ok":false,"message":"refused","advisory":true}]}` + "\n"
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d %s\nwant 200 %s", w.Code, w.Body, want)
	}
}

func TestKillsAreReported(t *testing.T) {
	s := newSetup(token)
	s.do("DELETE", "/sessions/s1", "Bearer "+token)
	s.do("DELETE", "/sessions/s2", "Bearer "+token)
	s.do("DELETE", "/sessions/s1", "")
	want := []Kill{{"s1", "192.0.2.1:1234", true}, {"s2", "192.0.2.1:1234", false}}
	if diff := cmp.Diff(want, s.kills); diff != "" {
		t.Error(diff)
	}
}

func TestKillThatIsNotRecorded(t *testing.T) {
	s := newSetup(token)
	s.killErr = errors.New("disk full")
	if w := s.do("DELETE", "/sessions/s1", "Bearer "+token); w.Code != 500 || strings.Contains(w.Body.String(), "disk") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestServe(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Serve(ctx, listener, newSetup(token).handler, slog.New(slog.DiscardHandler)) }()
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
