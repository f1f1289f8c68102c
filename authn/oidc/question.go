package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// question asks the issuer about a token once. The error is an ErrRejected or an ErrUnavailable, and has nothing of the token.
func (r *rechecks) question(ctx context.Context, token, subject string, before opinion) (opinion, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return opinion{}, fmt.Errorf("%w: too many questions wait", ErrUnavailable)
	}
	asked := time.Now()
	ask, introspects := r.userInfo, r.cfg.Recheck.ClientID != ""
	if introspects {
		ask = r.introspect
	}
	said, err := ask(ctx, token)
	if err != nil {
		if !errors.Is(err, ErrRejected) {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return opinion{}, err
	}
	next, reason := r.read(said, subject, before, introspects)
	if reason != "" {
		return opinion{}, &RejectedError{reason}
	}
	next.at = asked
	return next, nil
}

// read takes the groups from an answer about this subject, which introspection need not name (RFC 7662 section 2.2).
func (r *rechecks) read(said claims, subject string, before opinion, introspects bool) (opinion, Reason) {
	_, present := said["sub"]
	if named, ok := said.subject(); (present || !introspects) && (!ok || named != subject) {
		return opinion{}, ReasonSubject
	}
	groups, reason := said.groups(r.cfg.GroupsClaim)
	if reason != "" {
		return opinion{}, reason
	}
	if _, named := said[r.cfg.GroupsClaim]; named {
		slices.Sort(groups) // an issuer may name the same ones in another order
		return opinion{groups: groups, named: true}, ""
	}
	if before.named || !introspects && len(before.groups) > 0 {
		return opinion{}, ReasonGroups
	}
	return opinion{groups: before.groups}, ""
}

// userInfo asks the UserInfo endpoint. A token that it does not take is answered with 401 (RFC 6750 section 3.1); some providers say 403,
// which is the RFC's word for one without the scope.
func (r *rechecks) userInfo(ctx context.Context, token string) (claims, error) {
	found := r.keys.discovered()
	if _, err := checkURL("userinfo_endpoint", found.UserInfo); err != nil {
		return nil, err
	}
	ctx = gooidc.ClientContext(ctx, r.client())
	endpoints := gooidc.ProviderConfig{IssuerURL: found.Issuer, UserInfoURL: found.UserInfo, JWKSURL: found.JWKSURI, Algorithms: r.cfg.Algorithms}
	info, err := endpoints.NewProvider(ctx).UserInfo(ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}))
	var refused *statusError
	switch {
	case errors.As(err, &refused) && (refused.status == http.StatusUnauthorized || refused.status == http.StatusForbidden):
		return nil, &RejectedError{ReasonInactive}
	case err != nil:
		return nil, fmt.Errorf("ask UserInfo: %w", err)
	}
	var body json.RawMessage
	if err := info.Claims(&body); err != nil {
		return nil, fmt.Errorf("ask UserInfo: %w", err)
	}
	return readAnswer("UserInfo", body)
}

// introspect asks the introspection endpoint (RFC 7662 section 2). A token that it does not know is not active, whatever it is.
func (r *rechecks) introspect(ctx context.Context, token string) (claims, error) {
	found := r.keys.discovered()
	if _, err := checkURL("introspection_endpoint", found.Introspection); err != nil {
		return nil, err
	}
	secret, err := r.cfg.Recheck.ClientSecret()
	if err != nil {
		return nil, fmt.Errorf("introspect: %w", err)
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, found.Introspection, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("introspect: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	request.SetBasicAuth(url.QueryEscape(r.cfg.Recheck.ClientID), url.QueryEscape(secret)) // RFC 6749 section 2.3.1
	response, err := r.client().Do(request)
	if err != nil {
		return nil, fmt.Errorf("introspect: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("introspect: %w", err)
	}
	said, err := readAnswer("introspection", body)
	if err == nil && string(said["active"]) != "true" {
		return nil, &RejectedError{ReasonInactive}
	}
	return said, err
}

func readAnswer(what string, body []byte) (claims, error) {
	said, ok := parseObject(body)
	if !ok {
		return nil, fmt.Errorf("answer of %s is not a JSON object", what)
	}
	return said, nil
}

// client is that of the keys, but that an answer is bounded, and an error unless it is 200: go-oidc would read whatever comes, and quote it.
func (r *rechecks) client() *http.Client {
	client := *r.keys.client
	client.Transport = strict{client.Transport}
	return &client
}

type strict struct{ http.RoundTripper }

// statusError is an answer other than 200.
type statusError struct{ status int }

func (e *statusError) Error() string { return fmt.Sprintf("status %d", e.status) }

// RoundTrip implements http.RoundTripper.
func (s strict) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := s.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return nil, &statusError{response.StatusCode}
	}
	response.Body = http.MaxBytesReader(nil, response.Body, maxBodyBytes)
	return response, nil
}
