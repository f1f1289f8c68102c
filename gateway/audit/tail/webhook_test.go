package tail

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// web is an HTTP server that keeps lines, and fails as servers do.
type web struct {
	address      string
	certificates string
	server       *httptest.Server

	mu       sync.Mutex
	kept     []string
	keys     map[string]string // Idempotency-Key, and what came with it
	requests int
	problems []string
}

func newWeb(t *testing.T, certificates string) *web {
	t.Helper()
	w := &web{address: "127.0.0.1:" + freePort(t), certificates: certificates, keys: make(map[string]string)}
	t.Cleanup(func() { w.kill(t) })
	return w
}

func (w *web) start(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	w.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: w, ReadHeaderTimeout: time.Minute}}
	w.server.TLS = serverTLS(t, w.certificates)
	w.server.StartTLS()
}

func (w *web) kill(*testing.T) {
	if w.server == nil {
		return
	}
	w.server.CloseClientConnections()
	w.server.Close()
	w.server = nil
}

func (w *web) lines(*testing.T) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.kept...)
}

// ServeHTTP keeps a batch. Every few requests something goes wrong: it is too much, nothing is taken, or it is taken and nobody hears so.
func (w *web) ServeHTTP(answer http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests++
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	switch key := r.Header.Get("Idempotency-Key"); {
	case err != nil:
		return // the client is gone
	case r.Header.Get("X-Secret") != "secret" || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-ndjson":
		w.problems = append(w.problems, "a request with "+r.Method+r.Header.Get("Content-Type"))
	case w.keys[key] != "" && w.keys[key] != string(body):
		w.problems = append(w.problems, "two batches with the key "+key)
	default:
		w.keys[key] = string(body)
	}
	switch {
	case len(lines) > 700:
		answer.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	case w.requests%4 == 1:
		answer.Header().Set("Retry-After", "1")
		answer.WriteHeader([]int{http.StatusTooManyRequests, http.StatusServiceUnavailable}[w.requests/4%2])
		return
	}
	w.kept = append(w.kept, lines...)
	if w.requests%4 == 3 {
		panic(http.ErrAbortHandler) // the answer is lost
	}
}

func TestWebhook(t *testing.T) {
	dir, config := newAuthority(t)
	w := newWeb(t, dir)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	through(t, w, func(log string) (*Tail, error) {
		return NewWebhook(Config{Name: "webhook", Log: log, Logger: quiet(t)}, HTTP{URL: "https://" + w.address + "/hook?key=hidden", TokenFile: token, Header: "X-Secret", TLS: config})
	})
	if len(w.problems) > 0 {
		t.Error(w.problems)
	}
}

// TestHTTPAnswers: what an answer means, and that no error says a secret.
func TestHTTPAnswers(t *testing.T) {
	dir, config := newAuthority(t)
	var status int
	var header, value, body string
	server := &httptest.Server{Config: &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Get("Authorization")
		w.Header().Set("Retry-After", value)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})}}
	var err error
	if server.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	server.TLS = serverTLS(t, dir)
	server.StartTLS()
	defer server.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := newPoster(HTTP{URL: server.URL + "/?sig=hidden", TokenFile: token, TLS: config}, "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for name, test := range map[string]struct {
		status int
		value  string
		class  Class
		after  time.Duration
	}{
		"throttled":      {http.StatusTooManyRequests, "7", ClassBusy, 7 * time.Second},
		"down":           {http.StatusBadGateway, "", ClassBusy, 0},
		"slow":           {http.StatusRequestTimeout, "soon", ClassBusy, 0},
		"forbidden":      {http.StatusForbidden, "-1", ClassRefused, 0},
		"not understood": {http.StatusBadRequest, "99999999999", ClassRefused, 0},
		"moved":          {http.StatusFound, "", ClassNetwork, 0},
	} {
		t.Run(name, func(t *testing.T) {
			status, value = test.status, test.value
			_, err := p.post(t.Context(), []byte("x"), nil)
			var said *answer
			if err == nil || classOf(err) != test.class || strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "secret") {
				t.Fatalf("got %v (%s), want %s", err, classOf(err), test.class)
			}
			if errors.As(err, &said) && said.after != test.after {
				t.Errorf("after %s, want %s", said.after, test.after)
			}
		})
	}
	if header != "Bearer secret" {
		t.Errorf("Authorization %q", header)
	}
	status = http.StatusRequestEntityTooLarge
	if _, err := p.post(t.Context(), []byte("x"), nil); !errors.Is(err, errTooLarge) {
		t.Errorf("too large: %v", err)
	}
	now := time.Date(2026, 3, 2, 9, 14, 7, 0, time.UTC)
	if got := retryAfter(now.Add(time.Minute).Format(http.TimeFormat), now); got != time.Minute {
		t.Errorf("Retry-After with a date: %s", got)
	}
}

// TestTLS: a receiver that is not trusted gets nothing.
func TestTLS(t *testing.T) {
	dir, _ := newAuthority(t)
	_, others := newAuthority(t)
	w := newWeb(t, dir)
	w.start(t)
	_, port, _ := net.SplitHostPort(w.address)
	for name, make := range map[string]func(Config) (*Tail, error){
		"webhook": func(cfg Config) (*Tail, error) {
			return NewWebhook(cfg, HTTP{URL: "https://" + w.address, TLS: others})
		},
		"otlp": func(cfg Config) (*Tail, error) {
			return NewOTLP(cfg, HTTP{URL: "https://" + w.address, TLS: others}, "")
		},
		"syslog": func(cfg Config) (*Tail, error) { return NewSyslog(cfg, "tls://"+w.address, others) },
		"name":   func(cfg Config) (*Tail, error) { return NewSyslog(cfg, "tls://localhost:"+port, others) },
	} {
		t.Run(name, func(t *testing.T) {
			tl, err := make(Config{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			err = tl.to.send(t.Context(), []Record{{Line: []byte(strconv.Quote("x"))}})
			if classOf(err) != ClassTLS {
				t.Errorf("got %v (%s)", err, classOf(err))
			}
		})
	}
	if w.requests > 0 {
		t.Errorf("%d requests came", w.requests)
	}
}
