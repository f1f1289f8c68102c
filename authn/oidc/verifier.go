// Package oidc checks OpenID Connect tokens that clients send as their password: an ID token, or an access token that is a JWT, of
// one configured issuer (https://openid.net/specs/openid-connect-core-1_0.html, RFC 7519, RFC 8725).
//
// A token passes a row of gates, each before the next one's work: its size and shape, its header, the choice of one key, the
// signature (github.com/coreos/go-oidc, which also checks issuer, audience and expiry), then every claim again on our own strict
// reading of it. Each gate can only refuse. Nothing of a token appears in an error.
package oidc

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"

	"github.com/sallyport/sallyport/authn"
)

var (
	// ErrRejected says that the token is not good, or not this user's. The client hears 28P01 and never why.
	ErrRejected = errors.New("token rejected")
	// ErrUnavailable says that the issuer's keys cannot be had, or that it could not be asked about the token, so that none can be judged.
	// The client may hear 57P03.
	ErrUnavailable = errors.New("token issuer is unavailable")
)

// Reason says at which gate a token was rejected, for the log and a metric's label. It tells nothing that is in the token.
type Reason string

// The reasons.
const (
	ReasonShape     Reason = "shape"     // size, characters, number of segments
	ReasonHeader    Reason = "header"    // malformed, or asks for what is not supported
	ReasonAlgorithm Reason = "algorithm" // not in the list
	ReasonType      Reason = "type"      // typ
	ReasonKey       Reason = "key"       // no key of the issuer's, or no single one
	ReasonSignature Reason = "signature" // or go-oidc's own checks
	ReasonPayload   Reason = "payload"   // not a JSON object
	ReasonIssuer    Reason = "issuer"    // iss
	ReasonAudience  Reason = "audience"  // aud
	ReasonParty     Reason = "party"     // azp, client_id
	ReasonExpired   Reason = "expired"   // exp
	ReasonAge       Reason = "age"       // iat
	ReasonNotYet    Reason = "not yet"   // nbf
	ReasonKind      Reason = "kind"      // bound to a key, or a security event
	ReasonSubject   Reason = "subject"   // sub
	ReasonUser      Reason = "user"      // a good token, of somebody else
	ReasonGroups    Reason = "groups"    // unknown, because there are too many, they are mistyped, or the issuer does not say

	// ReasonInactive: the issuer does not take the token, or no more.
	ReasonInactive Reason = "not active at its issuer: revoked, or no access token"
)

// RejectedError is an ErrRejected with its reason.
type RejectedError struct{ Reason Reason }

func (e *RejectedError) Error() string { return fmt.Sprintf("%v: %s", ErrRejected, e.Reason) }

// Is makes errors.Is(err, ErrRejected) true.
func (e *RejectedError) Is(target error) bool { return target == ErrRejected }

// Verifier verifies the tokens of one issuer. It is safe for concurrent use.
type Verifier struct {
	cfg     Config
	keys    *keySet
	recheck *rechecks // nil: tokens are not asked about
}

// New checks cfg, reads its CA file and returns a Verifier. It does not use the network: keys are fetched when a token needs them.
func New(cfg Config) (*Verifier, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	client, err := newClient(cfg.CAFile)
	if err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	v := &Verifier{cfg: cfg, keys: newKeySet(&cfg, client)}
	if cfg.Recheck.Interval > 0 {
		v.recheck = newRechecks(&v.cfg, v.keys)
	}
	return v, nil
}

// Takes says whether a token that an identity was proved with, to this Verifier or to one before it, is still one of those that it takes:
// of its issuer, for one of its audiences, and issued to one of the parties.
func (v *Verifier) Takes(id authn.Identity) bool {
	ours := slices.ContainsFunc(id.Token.Audiences, func(audience string) bool { return slices.Contains(v.cfg.Audiences, audience) })
	return ours && id.Issuer == v.cfg.Issuer && allIn(id.Token.Parties, v.cfg.AuthorizedParties)
}

// Verify checks that token is good and that its user claim is exactly user, and returns who it is. With Config.Recheck the issuer is asked
// too, the groups are what it says, and the identity has a Standing. The error is an ErrRejected, an ErrUnavailable, or ctx's.
func (v *Verifier) Verify(ctx context.Context, token, user string) (authn.Identity, error) {
	_, identity, err := v.verify(ctx, token, func(named string, ok bool) bool { return ok && named == user })
	if err != nil || v.recheck == nil {
		return identity, err
	}
	return v.recheck.confirm(ctx, token, identity)
}

// verify takes a token through the gates. isUser is asked about the user claim, if there is one.
func (v *Verifier) verify(ctx context.Context, token string, isUser func(named string, ok bool) bool) (claims, authn.Identity, error) {
	rejected := func(reason Reason) (claims, authn.Identity, error) {
		return nil, authn.Identity{}, &RejectedError{reason}
	}
	headerSegment, payloadSegment, reason := splitToken(token)
	if reason != "" {
		return rejected(reason)
	}
	header, reason := v.cfg.parseHeader(headerSegment)
	if reason != "" {
		return rejected(reason)
	}
	// Read before the signature is checked, but only to tell go-oidc which of our audiences to insist on, and to spare the issuer
	// the tokens of others.
	unverified, ok := decodeObject(payloadSegment)
	if !ok {
		return rejected(ReasonPayload)
	}
	audience, ok := claims(unverified).audience(v.cfg.Audiences)
	if !ok {
		return rejected(ReasonAudience)
	}
	key, err := v.keys.find(ctx, header)
	if err != nil {
		return nil, authn.Identity{}, err
	}
	if err := v.checkSignature(ctx, token, audience, header.algorithm, key); err != nil {
		return nil, authn.Identity{}, err
	}
	// From here on the same bytes are the issuer's words.
	identity, reason := v.judge(claims(unverified), isUser, time.Now())
	if reason != "" {
		return rejected(reason)
	}
	return claims(unverified), identity, nil
}

// checkSignature has go-oidc verify the token with exactly one key and one algorithm.
func (v *Verifier) checkSignature(ctx context.Context, token, audience, algorithm string, key crypto.PublicKey) error {
	verifier := gooidc.NewVerifier(v.cfg.Issuer, &gooidc.StaticKeySet{PublicKeys: []crypto.PublicKey{key}}, &gooidc.Config{
		ClientID:             audience,
		SupportedSigningAlgs: []string{algorithm},
	})
	_, err := verifier.Verify(ctx, token)
	var expired *gooidc.TokenExpiredError
	switch {
	case errors.As(err, &expired):
		return &RejectedError{ReasonExpired}
	case err != nil: // not wrapped: it quotes claims
		return &RejectedError{ReasonSignature}
	}
	return nil
}

// judge decides on the claims of a token whose signature is good.
func (v *Verifier) judge(c claims, isUser func(named string, ok bool) bool, now time.Time) (authn.Identity, Reason) {
	// go-oidc has an exception for one issuer; here there is none.
	if issuer, ok := text(c["iss"]); !ok || issuer != v.cfg.Issuer {
		return authn.Identity{}, ReasonIssuer
	}
	if reason := c.checkParty(v.cfg.AuthorizedParties); reason != "" {
		return authn.Identity{}, reason
	}
	expires, reason := c.checkTimes(now, v.cfg.MaxAge, v.cfg.Skew)
	if reason != "" {
		return authn.Identity{}, reason
	}
	if reason := c.checkKind(); reason != "" {
		return authn.Identity{}, reason
	}
	subject, ok := c.subject()
	if !ok {
		return authn.Identity{}, ReasonSubject
	}
	named, ok := c.identifier(v.cfg.UserClaim)
	if !isUser(named, ok) {
		return authn.Identity{}, ReasonUser
	}
	groups, reason := c.groups(v.cfg.GroupsClaim)
	if reason != "" {
		return authn.Identity{}, reason
	}
	var about authn.Token
	about.Audiences, _ = c.audiences() // they were read before, and the parties too
	about.Parties, _ = c.parties()
	return authn.Identity{
		User: named, Method: authn.MethodOIDC, Issuer: v.cfg.Issuer, Subject: subject,
		Name: c.displayName(v.cfg.NameClaim), Groups: groups, Expires: expires, Token: about,
	}, ""
}
