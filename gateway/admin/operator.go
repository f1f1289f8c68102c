package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/authn/operators"
	"github.com/sallyport/sallyport/authz/recent"
)

const (
	// identifyTime is how long it may take to know an operator: an issuer's keys may have to be fetched.
	identifyTime = 10 * time.Second
	// callRate and callBurst bound what comes from one address, good or not: nobody who works by hand or by a script meets them, and who
	// guesses, or has the gateway verify signatures, does.
	callRate  = rate.Limit(10) // a second
	callBurst = 20
	// callerBytes bounds the addresses that are remembered: some thousand, those that called last.
	callerBytes = 1 << 20
)

// callers bounds requests by where they come from.
type callers struct {
	known *recent.Cache[netip.Prefix, *rate.Limiter]
}

func newCallers() *callers { return &callers{recent.New[netip.Prefix, *rate.Limiter](callerBytes)} }

// allow says whether a request may be looked at. An IPv6 network of 64 bits is one machine's.
func (c *callers) allow(remote string) bool {
	var network netip.Prefix // of what has no address
	if address, err := netip.ParseAddrPort(remote); err == nil {
		bits := 32
		if address.Addr().Unmap().Is6() {
			bits = 64
		}
		network, _ = address.Addr().Unmap().WithZone("").Prefix(bits)
	}
	limiter, ok := c.known.Get(network)
	if !ok {
		limiter = c.known.Put(network, rate.NewLimiter(callRate, callBurst), 0)
	}
	return limiter.Allow()
}

// operator lets operators with a role pass. Those who are known and may not are audited.
func (h *handler) operator(role operators.Role, action string, next func(http.ResponseWriter, *http.Request, operators.Operator)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !h.callers.allow(r.RemoteAddr) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests", http.StatusTooManyRequests)
			return
		}
		if err := h.origins.Check(r); err != nil {
			http.Error(w, "requests of other sites' pages are refused", http.StatusForbidden)
			return
		}
		o, err := h.identify(r)
		if err == nil && o.Role < role {
			err = operators.ErrForbidden
		}
		if err != nil {
			h.unauthorized(w, r, action, o, err)
			return
		}
		next(w, r, o)
	}
}

// identify finds out who asks. A token is meant to be it: one that is not good is not made up for by a certificate.
func (h *handler) identify(r *http.Request) (operators.Operator, error) {
	given := r.Header.Values("Authorization")
	switch {
	case h.cfg.Operators == nil || len(given) > 1:
	case len(given) == 1:
		scheme, token, _ := strings.Cut(given[0], " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			break
		}
		ctx, cancel := context.WithTimeout(r.Context(), identifyTime)
		defer cancel()
		return h.cfg.Operators.ByToken(ctx, token)
	case r.TLS != nil && h.cfg.Chains != nil:
		chains, err := h.cfg.Chains(r.TLS.PeerCertificates)
		if err != nil {
			return operators.Operator{}, fmt.Errorf("%w: %w", operators.ErrUnknown, err)
		}
		return h.cfg.Operators.ByCertificate(chains)
	}
	return operators.Operator{}, operators.ErrUnknown
}

// unauthorized says no. A stranger's attempt is for the log, somebody's who is known for the audit too.
func (h *handler) unauthorized(w http.ResponseWriter, r *http.Request, action string, o operators.Operator, err error) {
	h.cfg.Logger.Warn("request to the control API refused", "client_address", r.RemoteAddr, "action", action, "operator", o.Name, "error", err)
	switch {
	case errors.Is(err, operators.ErrForbidden):
		a := h.action(r, action, o)
		a.Session, a.Result = r.PathValue("id"), ResultForbidden
		if err := h.cfg.Record(a); err != nil {
			h.cfg.Logger.Error("operator's action could not be recorded", "error", err)
		}
		http.Error(w, "you are known, but may not do this", http.StatusForbidden)
	case errors.Is(err, operators.ErrUnknown):
		w.Header().Set("WWW-Authenticate", `Bearer realm="sallyport"`)
		http.Error(w, operators.ErrUnknown.Error(), http.StatusUnauthorized)
	default:
		http.Error(w, "tokens cannot be verified now: the issuer's keys are unavailable", http.StatusServiceUnavailable)
	}
}
