package admin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authn/operators"
	"github.com/sallyport/sallyport/gateway/refusals"
)

// Gateway is what operators act on.
type Gateway interface {
	Sessions() []SessionInfo
	// End ends a session and waits for its end until ctx ends. It says whether there was one.
	End(ctx context.Context, id string) (Ended, bool)
	// Refuse lets an identity in no more, and ends its sessions as End does. With refusals.ErrNotKept it has done so.
	Refuse(ctx context.Context, r refusals.Refusal) ([]Ended, error)
	// Lift ends a refusal and says whether there was one.
	Lift(who refusals.Who) (bool, error)
	Refusals() []refusals.Refusal
}

// Ended is a session that was ended.
type Ended struct {
	ID   string `json:"id"`
	User string `json:"user"`
	// Gone: its backend session is closed, and its credential given back. Otherwise that goes on.
	Gone bool `json:"gone"`
}

// What operators do.
const (
	ActionList    = "list"
	ActionProfile = "profile"
	ActionEnd     = "end"
	ActionRefuse  = "refuse"
	ActionLift    = "lift"
)

// What becomes of it.
const (
	ResultBegun     = "begun"
	ResultDone      = "done"
	ResultNotFound  = "not_found"
	ResultFailed    = "failed"
	ResultForbidden = "forbidden" // nothing was begun
)

// Action is what an operator does, for the audit log.
type Action struct {
	ID            string
	Kind          string
	Operator      operators.Operator
	ClientAddress string       // the operator's
	Session       string       // what it is done to
	Who           refusals.Who // whom it is done to
	Expires       time.Time    // of a refusal
	Reason        string       // the operator's
	Result        string
	Ended         []Ended
}

// endTime is how long a request waits for the ends of sessions. PostgreSQL is asked to cancel and to close, for some seconds if it must be.
const endTime = 10 * time.Second

// actionIDBytes makes an id that does not repeat in an audit log's life.
const actionIDBytes = 8

func (h *handler) action(r *http.Request, kind string, o operators.Operator) Action {
	var random [actionIDBytes]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return Action{ID: hex.EncodeToString(random[:]), Kind: kind, Operator: o, ClientAddress: host}
}

// outcome is what an action came to.
type outcome struct {
	result string
	ended  []Ended
	status int    // when it is not done
	text   string // then
}

// perform does what was recorded, and records what came of it.
func (h *handler) perform(w http.ResponseWriter, r *http.Request, a Action, do func(ctx context.Context) outcome) {
	a.Result = ResultBegun
	if err := h.cfg.Record(a); err != nil {
		h.cfg.Logger.Error("operator's action could not be recorded, and is not done", "error", err)
		http.Error(w, "not done: it cannot be recorded in the audit log", http.StatusServiceUnavailable)
		return
	}
	// The operator may go away: what was begun is carried through.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), endTime)
	defer cancel()
	o := do(ctx)
	a.Result, a.Ended = o.result, o.ended
	h.cfg.Logger.Info("operator's action", "id", a.ID, "action", a.Kind, "operator", a.Operator.Name, "client_address", a.ClientAddress,
		"session", a.Session, "user", a.Who.User, "result", a.Result)
	if err := h.cfg.Record(a); err != nil {
		h.cfg.Logger.Error("result of an operator's action could not be recorded", "error", err, "result", a.Result)
		http.Error(w, "the result could not be recorded in the audit log: "+o.result, http.StatusInternalServerError)
		return
	}
	if o.text != "" {
		http.Error(w, o.text, o.status)
		return
	}
	if o.ended == nil {
		o.ended = []Ended{}
	}
	h.answer(w, http.StatusOK, struct {
		ID     string  `json:"id"`
		Result string  `json:"result"`
		Ended  []Ended `json:"ended"`
	}{a.ID, o.result, o.ended})
}

// filters are the parameters of list.
var filters = [...]string{"user", "issuer", "subject", "database"}

// list shows the sessions that the query asks for. A filter that does not exist is an error: its answer would be taken for all there is.
func (h *handler) list(w http.ResponseWriter, r *http.Request, _ operators.Operator) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	for name, values := range query {
		if !slices.Contains(filters[:], name) || len(values) > 1 {
			err = errors.New("unknown filter")
		}
	}
	if err != nil {
		http.Error(w, "the filters are user, issuer, subject and database, each once", http.StatusBadRequest)
		return
	}
	sessions := []SessionInfo{}
	for _, s := range h.cfg.Gateway.Sessions() {
		got := [...]string{s.User, s.Issuer, s.Subject, s.Database}
		matches := true
		for i, name := range filters {
			matches = matches && (!query.Has(name) || query.Get(name) == got[i])
		}
		if matches {
			sessions = append(sessions, s)
		}
	}
	h.answer(w, http.StatusOK, struct {
		Sessions []SessionInfo `json:"sessions"`
	}{sessions})
}

// end ends one session.
func (h *handler) end(w http.ResponseWriter, r *http.Request, o operators.Operator) {
	a := h.action(r, ActionEnd, o)
	a.Session = r.PathValue("id")
	var body struct {
		Reason string `json:"reason"`
	}
	if !readBody(w, r, &body) || !reasonGiven(w, body.Reason) {
		return
	}
	a.Reason = body.Reason
	for _, s := range h.cfg.Gateway.Sessions() {
		if s.ID == a.Session {
			a.Who.User = s.User
		}
	}
	h.perform(w, r, a, func(ctx context.Context) outcome {
		ended, ok := h.cfg.Gateway.End(ctx, a.Session)
		if !ok {
			return outcome{result: ResultNotFound, status: http.StatusNotFound, text: "no such session"}
		}
		return outcome{result: ResultDone, ended: []Ended{ended}}
	})
}

func (h *handler) refusals(w http.ResponseWriter, _ *http.Request, _ operators.Operator) {
	h.answer(w, http.StatusOK, struct {
		Refusals []refusals.Refusal `json:"refusals"`
	}{append([]refusals.Refusal{}, h.cfg.Gateway.Refusals()...)})
}

// refuse lets an identity in no more.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, o operators.Operator) {
	a := h.action(r, ActionRefuse, o)
	var body struct {
		refusals.Who
		Reason  string    `json:"reason"`
		Expires time.Time `json:"expires"`
	}
	if !readBody(w, r, &body) || !reasonGiven(w, body.Reason) || !named(w, body.Who) {
		return
	}
	now := time.Now()
	if !body.Expires.IsZero() && !body.Expires.After(now) {
		http.Error(w, "expires is past", http.StatusBadRequest)
		return
	}
	a.Who, a.Reason, a.Expires = body.Who, body.Reason, body.Expires
	refusal := refusals.Refusal{Who: body.Who, Reason: body.Reason, By: nameOf(o), Since: now.UTC().Truncate(time.Second), Expires: body.Expires.UTC()}
	if err := refusal.Validate(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.perform(w, r, a, func(ctx context.Context) outcome {
		ended, err := h.cfg.Gateway.Refuse(ctx, refusal)
		switch {
		case errors.Is(err, refusals.ErrNotKept):
			h.cfg.Logger.Error("refusal is in force, but not kept", "error", err)
			return outcome{result: ResultFailed, ended: ended, status: http.StatusInternalServerError, text: "refused, and the sessions ended; but it could not be written, and is gone when the gateway is restarted"}
		case err != nil:
			return failed(err)
		}
		return outcome{result: ResultDone, ended: ended}
	})
}

// lift lets an identity in again.
func (h *handler) lift(w http.ResponseWriter, r *http.Request, o operators.Operator) {
	a := h.action(r, ActionLift, o)
	var body struct {
		refusals.Who
		Reason string `json:"reason"`
	}
	if !readBody(w, r, &body) || !reasonGiven(w, body.Reason) || !named(w, body.Who) {
		return
	}
	a.Who, a.Reason = body.Who, body.Reason
	h.perform(w, r, a, func(context.Context) outcome {
		found, err := h.cfg.Gateway.Lift(body.Who)
		switch {
		case err != nil:
			h.cfg.Logger.Error("refusal could not be lifted", "error", err)
			return outcome{result: ResultFailed, status: http.StatusInternalServerError, text: "not lifted: the list of refusals cannot be written"}
		case !found:
			return outcome{result: ResultNotFound, status: http.StatusNotFound, text: "no such refusal"}
		}
		return outcome{result: ResultDone}
	})
}

// failed is an action that did nothing.
func failed(err error) outcome {
	return outcome{result: ResultFailed, status: http.StatusConflict, text: "not refused: " + err.Error()}
}

// nameOf is how an operator is called in the list of refusals.
func nameOf(o operators.Operator) string {
	for _, name := range []string{o.Name, o.Subject} {
		if name != "" {
			return name
		}
	}
	return string(o.Method)
}
