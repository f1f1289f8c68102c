package gateway

import (
	"errors"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authn/oidc"
	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/audit"
)

// follow has the relay hear what becomes of its identity, until stop: other groups are for policy to judge, before the next statement
// (stillGranted); its end is the session's, whatever runs.
func (r *relay) follow(standing authn.Standing) (stop func()) {
	if standing == nil {
		return func() {}
	}
	return standing.Follow(func(groups []string, err error) {
		switch {
		case errors.Is(err, oidc.ErrUnavailable):
			r.end(&sessionError{
				reason: ReasonIdentityExpired, err: err,
				message: "terminating connection because the identity provider has not confirmed the token it was opened with for too long",
			})
		case err != nil:
			r.end(&sessionError{
				reason: ReasonIdentityExpired, err: err,
				message: "terminating connection because the identity provider no longer accepts the token it was opened with",
			})
		default:
			r.groups.Store(&groups)
		}
	})
}

// regroup has policy and the audit log see the identity in other groups. What policy has said of it before holds no longer (stands).
func (j *judge) regroup(groups *[]string) {
	j.asWho = groups
	j.identity.Groups = *groups
	who := &j.grant.input.Identity
	if who.Groups = *groups; who.Groups == nil {
		who.Groups = []string{}
	}
	// Anew: what was made of the input for policy is kept in it.
	j.input = authz.StatementInput{Version: j.input.Version, Action: j.input.Action, Identity: *who, Session: j.input.Session}
	j.event.Who = audit.NewWho(j.whose)
}
