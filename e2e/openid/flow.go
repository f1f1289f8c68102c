package openid

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// redirectURI is never listened on: the agent stops before it would go there.
const redirectURI = "http://127.0.0.1/callback"

// Tokens are what a login yields.
type Tokens struct {
	ID     string // the ID token, a JWT
	Access string // the access token, a JWT with the same claims about the user
}

// Agent logs in as a person with a browser would.
type Agent struct {
	// Issuer is the provider's, as in [Provider.Issuer].
	Issuer string
	// HTTP makes the requests; nil is a plain client. Redirects are followed
	// by the agent itself.
	HTTP            *http.Client
	Email, Password string
	// ClientID is the client that the tokens are for; "" is [ClientID].
	ClientID string
}

// CodeFlow runs the authorization code flow with PKCE (RFC 7636) and checks
// what a client has to: state, nonce, signature, issuer, audience.
func (a Agent) CodeFlow(ctx context.Context) (Tokens, error) {
	ctx = a.withClient(ctx)
	provider, config, err := a.discover(ctx)
	if err != nil {
		return Tokens{}, err
	}
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	code, err := a.authorize(ctx, config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), state)
	if err != nil {
		return Tokens{}, fmt.Errorf("authorize %s: %w", a.Email, err)
	}
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return Tokens{}, fmt.Errorf("exchange code: %w", err)
	}
	return verify(ctx, provider, a.clientID(), token, nonce)
}

// DeviceFlow runs the device flow (RFC 8628) and types the code itself. It
// takes one poll interval of the provider's, a second.
func (a Agent) DeviceFlow(ctx context.Context) (Tokens, error) {
	ctx = a.withClient(ctx)
	provider, config, err := a.discover(ctx)
	if err != nil {
		return Tokens{}, err
	}
	device, err := config.DeviceAuth(ctx)
	if err != nil {
		return Tokens{}, fmt.Errorf("begin device flow: %w", err)
	}
	if err := a.AnswerDevice(ctx, device.VerificationURI, device.UserCode, true); err != nil {
		return Tokens{}, err
	}
	token, err := config.DeviceAccessToken(ctx, device)
	if err != nil {
		return Tokens{}, fmt.Errorf("poll for the token: %w", err)
	}
	return verify(ctx, provider, a.clientID(), token, "")
}

// AnswerDevice types the code that a device shows on the page that it names,
// and lets the device in or denies it.
func (a Agent) AnswerDevice(ctx context.Context, page, userCode string, allow bool) error {
	action := "deny"
	if allow {
		action = "allow"
	}
	response, err := a.post(ctx, page, url.Values{
		"user_code": {userCode}, "email": {a.Email}, "password": {a.Password}, "action": {action},
	})
	if err != nil {
		return fmt.Errorf("type the code: %w", err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("type the code: %s", response.Status)
	}
	return nil
}

func (a Agent) client() *http.Client {
	c := http.Client{}
	if a.HTTP != nil {
		c = *a.HTTP
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

func (a Agent) clientID() string { return cmp.Or(a.ClientID, ClientID) }

func (a Agent) withClient(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, a.client())
}

func (a Agent) discover(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	provider, err := oidc.NewProvider(ctx, a.Issuer)
	if err != nil {
		return nil, nil, fmt.Errorf("read discovery document: %w", err)
	}
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInParams // a public client has only its name to send
	return provider, &oauth2.Config{
		ClientID: a.clientID(), Endpoint: endpoint, RedirectURL: redirectURI,
		Scopes: []string{oidc.ScopeOpenID, "profile", "email", "groups"},
	}, nil
}

// authorize goes from the authorization endpoint over the login page to the
// redirect that carries the code.
func (a Agent) authorize(ctx context.Context, start, state string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, start, nil)
	if err != nil {
		return "", err
	}
	page, err := a.location(a.client().Do(request))
	if err != nil {
		return "", fmt.Errorf("reach login page: %w", err)
	}
	callback, err := a.location(a.post(ctx, page.String(), url.Values{
		"id": {page.Query().Get("id")}, "email": {a.Email}, "password": {a.Password}, "action": {"allow"},
	}))
	if err != nil {
		return "", fmt.Errorf("submit login form: %w", err)
	}
	request, err = http.NewRequestWithContext(ctx, http.MethodGet, callback.String(), nil)
	if err != nil {
		return "", err
	}
	end, err := a.location(a.client().Do(request))
	if err != nil {
		return "", fmt.Errorf("return from login page: %w", err)
	}
	answer := end.Query()
	if !strings.HasPrefix(end.String(), redirectURI+"?") || answer.Get("state") != state || answer.Get("code") == "" {
		return "", fmt.Errorf("no code in the redirect: %s", answer.Get("error"))
	}
	return answer.Get("code"), nil
}

func (a Agent) post(ctx context.Context, address string, values url.Values) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return a.client().Do(request)
}

// location is where a response redirects to; any other response is an error.
func (a Agent) location(response *http.Response, err error) (*url.URL, error) {
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusFound {
		return nil, errors.New(response.Status)
	}
	return response.Location()
}

func verify(ctx context.Context, provider *oidc.Provider, client string, token *oauth2.Token, nonce string) (Tokens, error) {
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: client}).Verify(ctx, raw)
	if err != nil {
		return Tokens{}, fmt.Errorf("verify ID token: %w", err)
	}
	if id.Nonce != nonce {
		return Tokens{}, errors.New("verify ID token: nonce differs")
	}
	return Tokens{ID: raw, Access: token.AccessToken}, nil
}
