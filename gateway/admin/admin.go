// Package admin is the gateway's HTTP listener for operators and their machines.
//
//	GET  /healthz             200 while the process lives
//	GET  /readyz              200 when clients can be served, 503 otherwise; JSON
//	GET  /metrics             Prometheus' text format
//	GET  /sessions            the running sessions; JSON. ?user=, ?issuer= with ?subject=, ?database= leave out the others
//	POST /sessions/{id}/end   ends one: its client hears 57P01
//	GET  /refusals            who is not let in; JSON
//	POST /refusals            ends all sessions of an identity and lets it in no more
//	POST /refusals/lift       lets it in again
//	GET  /debug/pprof/…       profiles of the process for "go tool pprof", where they are switched on
//
// The first three are open to whoever reaches the listener and tell nothing about clients. The others, the control API, are for operators
// (package operators): "Authorization: Bearer" with a token (RFC 6750), or a client certificate.
//
// What changes something is audited before it is done and not done if it cannot be, and audited again with its result.
//
// A browser cannot be made to act for an operator: there are no cookies, what acts is a POST of JSON, which other sites' pages must ask
// leave for and get none, and one that a browser says comes from another site is refused.
package admin

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/authn/operators"
)

// Bounds of a request. Requests are a line and a few headers, answers are made from memory.
const (
	readTimeout    = 5 * time.Second
	writeTimeout   = 30 * time.Second // a scraper behind a slow line
	idleTimeout    = 2 * time.Minute  // longer than the usual scrape interval
	maxHeaderBytes = 16 << 10
	// shutdownTime is how long requests that were begun may take once the listener closes.
	shutdownTime = 5 * time.Second
)

// Check is one part of the gateway's readiness.
type Check struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Message string `json:"message,omitempty"` // what is wrong; no secrets

	// Advisory checks are shown and do not make the gateway unready: a new policy that was refused is somebody's business, but the
	// one before it serves, and a fleet that got the same bad file must not stop at once.
	Advisory bool `json:"advisory,omitempty"`
}

// SessionInfo is one running session as operators see it.
type SessionInfo struct {
	ID            string     `json:"id"`
	User          string     `json:"user"`
	Method        string     `json:"method"`
	Issuer        string     `json:"issuer,omitempty"`
	Subject       string     `json:"subject,omitempty"`
	Database      string     `json:"database"`
	ClientAddress string     `json:"client_address"`
	Application   string     `json:"application_name"`
	BackendRole   string     `json:"backend_role"`
	BackendPID    uint32     `json:"backend_pid"`
	BackendHost   string     `json:"backend_host"`
	Route         string     `json:"route,omitempty"` // of the database, that policy gave
	Started       time.Time  `json:"started"`
	State         string     `json:"state"` // the phase, or what a running session does
	Statements    uint64     `json:"statements"`
	Observe       bool       `json:"observe"`
	Enforcement   string     `json:"enforcement,omitempty"` // observe: policy denies nothing in its database
	Expires       *time.Time `json:"expires,omitempty"`     // when it will be ended at the latest
	Role          string     `json:"role"`                  // the policy's
	StatedReason  string     `json:"stated_reason,omitempty"`
	Obligations   []string   `json:"obligations,omitempty"` // what policy obliges it to
}

// Config configures the handler.
type Config struct {
	Operators *operators.Authority // who may use the control API; nil: nobody
	Gateway   Gateway              // what operators act on

	// Chains verifies a client certificate anew for every request, as tlsutil.Serving does: a connection may be older than its authority's end.
	// nil: there is no TLS, and no operator has a certificate.
	Chains func(shown []*x509.Certificate) ([][]*x509.Certificate, error)

	Record   func(Action) error // writes to the audit log
	Ready    func() []Check     // called for every /readyz
	Metrics  http.Handler       // answers /metrics
	Profiles bool               // answers /debug/pprof/, see profile.go
	Logger   *slog.Logger       // nil is silence
}

type handler struct {
	cfg     Config
	callers *callers
	origins *http.CrossOriginProtection
}

// New returns the handler. Serve serves it.
func New(cfg Config) http.Handler {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	h := &handler{cfg: cfg, callers: newCallers(), origins: http.NewCrossOriginProtection()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.Handle("GET /metrics", cfg.Metrics)
	mux.HandleFunc("GET /sessions", h.operator(operators.RoleRead, ActionList, h.list))
	mux.HandleFunc("POST /sessions/{id}/end", h.operator(operators.RoleAct, ActionEnd, h.end))
	mux.HandleFunc("GET /refusals", h.operator(operators.RoleRead, ActionList, h.refusals))
	mux.HandleFunc("POST /refusals", h.operator(operators.RoleAct, ActionRefuse, h.refuse))
	mux.HandleFunc("POST /refusals/lift", h.operator(operators.RoleAct, ActionLift, h.lift))
	if cfg.Profiles {
		mux.HandleFunc("GET /debug/pprof/{name}", h.operator(operators.RoleRead, ActionProfile, func(w http.ResponseWriter, r *http.Request, _ operators.Operator) { profile(w, r) }))
	}
	return withHeaders(mux)
}

// Serve serves handler on listener, which it closes, until ctx ends.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, logger *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadTimeout:       readTimeout,
		ReadHeaderTimeout: readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug), // a port scan is no news
	}
	done := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		done <- errors.Join(server.Shutdown(ctx), server.Close())
	})
	err := server.Serve(listener)
	if !stop() {
		err = <-done // Serve returned because of Shutdown
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("serve admin listener: %w", err)
	}
	return nil
}

// withHeaders tells browsers to keep, embed and guess nothing.
func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func (h *handler) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

func (h *handler) readyz(w http.ResponseWriter, _ *http.Request) {
	answer := struct {
		Ready  bool    `json:"ready"`
		Checks []Check `json:"checks"`
	}{true, h.cfg.Ready()}
	status := http.StatusOK
	for _, check := range answer.Checks {
		if !check.OK && !check.Advisory {
			answer.Ready, status = false, http.StatusServiceUnavailable
		}
	}
	h.answer(w, status, answer)
}

func (h *handler) answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		h.cfg.Logger.Debug("admin answer not sent", "error", err)
	}
}
