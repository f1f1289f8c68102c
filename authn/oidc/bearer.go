package oidc

import (
	"context"
	"slices"

	"github.com/sallyport/sallyport/authn"
)

// Bearer is whoever a token is of. Nobody has claimed to be somebody before: User is what the user claim says, "" where it says nothing
// that can be shown.
type Bearer struct {
	authn.Identity
	claims claims
}

// Identify checks that token is good, whosever it is: for those who are let in by what a token says of them, and not as an account. The
// error is as Verify's.
func (v *Verifier) Identify(ctx context.Context, token string) (Bearer, error) {
	c, identity, err := v.verify(ctx, token, func(string, bool) bool { return true })
	if err != nil {
		return Bearer{}, err
	}
	if len(identity.User) > maxNameBytes || !isPlain(identity.User) {
		identity.User = ""
	}
	return Bearer{identity, c}, nil
}

// Issued says whether a token claims to be of this issuer; nothing of it is verified. It tells which of several verifiers to ask.
func (v *Verifier) Issued(token string) bool {
	_, payload, reason := splitToken(token)
	if reason != "" {
		return false
	}
	unverified, ok := decodeObject(payload)
	if !ok {
		return false
	}
	issuer, ok := text(unverified["iss"])
	return ok && issuer == v.cfg.Issuer
}

// Has says whether a claim is value, or a list of strings with value in it. An e-mail address counts only if it is verified.
func (b Bearer) Has(claim, value string) bool {
	if claim == "email" {
		named, ok := b.claims.identifier(claim)
		return ok && named == value
	}
	values, ok := b.claims.texts(claim)
	return ok && value != "" && slices.Contains(values, value)
}
