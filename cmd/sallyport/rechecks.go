package main

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/sallyport/sallyport/authn/oidc"
	"github.com/sallyport/sallyport/gateway/metrics"
)

// rechecks hears what the token issuers say when they are asked about tokens again.
type rechecks struct {
	metrics *metrics.Metrics
	logger  *slog.Logger

	mu     sync.Mutex
	silent map[string]bool // the issuers that gave no answer when they were asked last
}

// observe counts an answer, and logs when an issuer falls silent or answers again: there is a question for every token, and an issuer
// that is down is silent about all of them.
func (r *rechecks) observe(issuer string, err error) {
	silent := false
	switch {
	case err == nil:
		r.metrics.TokenRechecks.Inc("ok")
	case errors.Is(err, oidc.ErrRejected):
		r.metrics.TokenRechecks.Inc("rejected")
	default:
		r.metrics.TokenRechecks.Inc("unavailable")
		silent = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch before := r.silent[issuer]; {
	case silent && !before:
		r.logger.Warn("token issuer does not answer for tokens; sessions go on until its last answers are too old", "issuer", issuer, "error", err)
	case !silent && before:
		r.logger.Info("token issuer answers for tokens again", "issuer", issuer)
	}
	r.silent[issuer] = silent
}
