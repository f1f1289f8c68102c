// Package admin is the gateway's HTTP listener for operators and their machines.
//
//	GET    /healthz        200 while the process lives
//	GET    /readyz         200 when clients can be served, 503 otherwise; JSON
//	GET    /metrics        Prometheus' text format
//	GET    /sessions       the running sessions; JSON
//	DELETE /sessions/{id}  ends one: its client hears 57P01; 204, or 404 when there is none
//	GET    /debug/pprof/…  profiles of the process for "go tool pprof", where they are switched on
//
// The sessions and the profiles need "Authorization: Bearer" with the token of the configuration (RFC 6750); the others are open to whoever reaches the
// listener and tell nothing about clients.
package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
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
	Database      string     `json:"database"`
	ClientAddress string     `json:"client_address"`
	Application   string     `json:"application_name"`
	BackendRole   string     `json:"backend_role"`
	BackendPID    uint32     `json:"backend_pid"`
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

// SessionSource knows the running sessions: *gateway.Server.
type SessionSource interface {
	Sessions() []SessionInfo
	// Kill ends a session and says whether there was one.
	Kill(id string) bool
}

// Kill is an operator's request to end a session, for the audit log.
type Kill struct {
	Session       string
	ClientAddress string
	Found         bool
}

// Config configures the handler.
type Config struct {
	Token    string           // what operators must present; "" refuses all of them
	Sessions SessionSource    // answers /sessions
	Ready    func() []Check   // called for every /readyz
	Metrics  http.Handler     // answers /metrics
	OnKill   func(Kill) error // called before the answer; an error is answered 500, but the session was ended
	Profiles bool             // answers /debug/pprof/, see profile.go
	Logger   *slog.Logger     // nil is silence
}

type handler struct {
	cfg   Config
	token [sha256.Size]byte
}

// New returns the handler. Serve serves it.
func New(cfg Config) http.Handler {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	h := &handler{cfg: cfg, token: sha256.Sum256([]byte(cfg.Token))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.Handle("GET /metrics", cfg.Metrics)
	mux.HandleFunc("GET /sessions", h.authorized(h.list))
	mux.HandleFunc("DELETE /sessions/{id}", h.authorized(h.kill))
	if cfg.Profiles {
		mux.HandleFunc("GET /debug/pprof/{name}", h.authorized(profile))
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

// authorized lets only the token's bearer pass.
func (h *handler) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		// Digests have one length: comparing them tells nothing about the token's.
		sum := sha256.Sum256([]byte(token))
		same := subtle.ConstantTimeCompare(sum[:], h.token[:]) == 1
		if !same || !strings.EqualFold(scheme, "Bearer") || h.cfg.Token == "" {
			h.cfg.Logger.Warn("admin request without a valid token", "client_address", r.RemoteAddr)
			w.Header().Set("WWW-Authenticate", `Bearer realm="sallyport"`)
			http.Error(w, "a valid bearer token is required", http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
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

func (h *handler) list(w http.ResponseWriter, _ *http.Request) {
	sessions := h.cfg.Sessions.Sessions()
	if sessions == nil {
		sessions = []SessionInfo{}
	}
	h.answer(w, http.StatusOK, struct {
		Sessions []SessionInfo `json:"sessions"`
	}{sessions})
}

func (h *handler) kill(w http.ResponseWriter, r *http.Request) {
	kill := Kill{Session: r.PathValue("id"), ClientAddress: r.RemoteAddr}
	kill.Found = h.cfg.Sessions.Kill(kill.Session)
	if h.cfg.OnKill != nil {
		if err := h.cfg.OnKill(kill); err != nil {
			h.cfg.Logger.Error("operator's action could not be recorded", "error", err)
			http.Error(w, "done, but it could not be recorded in the audit log", http.StatusInternalServerError)
			return
		}
	}
	if !kill.Found {
		http.Error(w, "no such session", http.StatusNotFound)
		return
	}
	h.cfg.Logger.Info("session ended by an operator", "session", kill.Session, "client_address", r.RemoteAddr)
	w.WriteHeader(http.StatusNoContent)
}

func (h *handler) answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		h.cfg.Logger.Debug("admin answer not sent", "error", err)
	}
}
