package gateway

import (
	"context"
	"errors"

	"github.com/sallyport/sallyport/authz/statement"
)

// stage is what a decision waited for in vain, by the name that metrics show.
type stage string

// The stages.
const (
	stageParser  stage = "parser"
	stageCatalog stage = "catalog"
	stagePolicy  stage = "policy"
)

// late says whether something was not done in time, as on a machine that has too much to do, and counts it. Whoever sends the statement
// again may have more luck.
func (j *judge) late(s stage, err error) bool {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, statement.ErrUnavailable) {
		return false
	}
	j.metrics.decisionLate(s)
	return true
}

// insufficientResources is the SQLSTATE of what did not happen in time. Drivers know the class as one that passes.
const insufficientResources = "53000"

const tryAgain = "Try again; nothing was executed."

// undecided is the denial of a statement that policy has no answer to.
func (j *judge) undecided(err error) *denial {
	j.logger.Error("policy could not decide", "error", err)
	if j.late(stagePolicy, err) {
		return &denial{sqlstate: insufficientResources, message: "policy did not decide about this statement in time", hint: tryAgain}
	}
	return &denial{sqlstate: "58000", message: "policy could not decide about this statement", hint: "Tell the gateway's operators; nothing was executed."}
}

// unreadable is the denial of a text without facts.
func (j *judge) unreadable(err error) *denial {
	var syntax *statement.SyntaxError
	if errors.As(err, &syntax) {
		return &denial{sqlstate: "42601", message: syntax.Message, position: syntax.Position}
	}
	var limit *statement.LimitError
	if errors.As(err, &limit) {
		return &denial{sqlstate: limit.SQLSTATE, message: limit.Message}
	}
	if j.late(stageParser, err) {
		return &denial{sqlstate: insufficientResources, message: "statement could not be analyzed in time", hint: tryAgain}
	}
	return &denial{sqlstate: "58000", message: "statement could not be analyzed", hint: tryAgain}
}
