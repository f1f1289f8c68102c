package openid

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// request is one authorization request (op.AuthRequest).
type request struct {
	id       string
	in       oidc.AuthRequest
	subject  string // "" until the user has logged in
	authTime time.Time
}

func (r *request) GetID() string                      { return r.id }
func (r *request) GetACR() string                     { return "" }
func (r *request) GetAMR() []string                   { return []string{"pwd"} }
func (r *request) GetAudience() []string              { return []string{r.in.ClientID} }
func (r *request) GetAuthTime() time.Time             { return r.authTime }
func (r *request) GetClientID() string                { return r.in.ClientID }
func (r *request) GetNonce() string                   { return r.in.Nonce }
func (r *request) GetRedirectURI() string             { return r.in.RedirectURI }
func (r *request) GetResponseType() oidc.ResponseType { return r.in.ResponseType }
func (r *request) GetResponseMode() oidc.ResponseMode { return r.in.ResponseMode }
func (r *request) GetScopes() []string                { return r.in.Scopes }
func (r *request) GetState() string                   { return r.in.State }
func (r *request) GetSubject() string                 { return r.subject }
func (r *request) Done() bool                         { return r.subject != "" }
func (r *request) GetCodeChallenge() *oidc.CodeChallenge {
	return &oidc.CodeChallenge{Challenge: r.in.CodeChallenge, Method: r.in.CodeChallengeMethod}
}

func (s *store) CreateAccessToken(context.Context, op.TokenRequest) (string, time.Time, error) {
	return rand.Text(), time.Now().Add(s.tokenLifetime()), nil
}

// SetUserinfoFromScopes fills the ID token.
func (s *store) SetUserinfoFromScopes(_ context.Context, info *oidc.UserInfo, subject, _ string, _ []string) error {
	return s.describe(info, subject)
}

// SetUserinfoFromToken fills the answer of the userinfo endpoint. A token
// without an id is an ID token, which proves no right to ask.
func (s *store) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, tokenID, subject, _ string) error {
	if err := s.active(tokenID); err != nil {
		return err
	}
	return s.describe(info, subject)
}

// active says whether an access token is one, and is not revoked.
func (s *store) active(tokenID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if tokenID == "" || s.revoked[tokenID] {
		return errUnknown
	}
	return nil
}

// GetPrivateClaimsFromScopes fills the access token with what the ID token says of the user.
func (s *store) GetPrivateClaimsFromScopes(_ context.Context, subject, _ string, _ []string) (map[string]any, error) {
	user, err := s.bySubject(subject)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"email": user.Email, "email_verified": user.EmailVerified, "name": user.Name, "groups": user.Groups,
	}, nil
}

func (s *store) describe(info *oidc.UserInfo, subject string) error {
	user, err := s.bySubject(subject)
	if err != nil {
		return err
	}
	info.Subject = user.Subject
	info.Name = user.Name
	info.Email = user.Email
	info.EmailVerified = oidc.Bool(user.EmailVerified)
	info.AppendClaims("groups", user.Groups)
	return nil
}

// RevokeToken ends an access token, and succeeds without effect for others, as RFC 7009 (2.2) wants it.
func (s *store) RevokeToken(_ context.Context, tokenID, _, _ string) *oidc.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked[tokenID] = true
	return nil
}

// SetIntrospectionFromToken fills the answer of the introspection endpoint.
func (s *store) SetIntrospectionFromToken(_ context.Context, answer *oidc.IntrospectionResponse, tokenID, subject, _ string) error {
	if err := s.active(tokenID); err != nil {
		return err
	}
	user, err := s.bySubject(subject)
	if err != nil {
		return err
	}
	answer.Subject, answer.Claims = subject, map[string]any{"groups": user.Groups}
	return nil
}

// What follows belongs to grants the client does not have.

func (s *store) CreateAccessAndRefreshTokens(context.Context, op.TokenRequest, string) (string, string, time.Time, error) {
	return "", "", time.Time{}, errNotSupported
}

func (s *store) TokenRequestByRefreshToken(context.Context, string) (op.RefreshTokenRequest, error) {
	return nil, errNotSupported
}

func (s *store) TerminateSession(context.Context, string, string) error { return nil }

func (s *store) GetRefreshTokenInfo(context.Context, string, string) (string, string, error) {
	return "", "", op.ErrInvalidRefreshToken
}

func (s *store) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return nil, errNotSupported
}

func (s *store) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, errNotSupported
}
