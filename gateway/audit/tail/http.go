package tail

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

const (
	// maxAnswer is how much of an answer is read.
	maxAnswer = 64 << 10
	// maxToken bounds a file with a token.
	maxToken = 64 << 10
)

// HTTP says where and how batches are POSTed.
type HTTP struct {
	URL       string
	TokenFile string      // with a secret, read for each request; "": the receiver asks for none
	Header    string      // that the secret is in as it is; "": in Authorization, as a bearer token
	TLS       *tls.Config // not changed
}

// poster sends requests to one URL.
type poster struct {
	HTTP
	kind   string // of the body
	client *http.Client
}

func newPoster(h HTTP, kind string) (*poster, error) {
	u, err := url.Parse(h.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return nil, fmt.Errorf("the URL %w: write https://host/path", errAddress) // what it says may be a secret
	}
	return &poster{h, kind, &http.Client{
		Transport:     &http.Transport{TLSClientConfig: h.TLS.Clone(), MaxIdleConnsPerHost: 1, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("redirects are not followed") },
	}}, nil
}

func (p *poster) close() { p.client.CloseIdleConnections() }

// post sends a body and returns what was answered with 2xx. Any other answer is an error.
func (p *poster) post(ctx context.Context, body []byte, headers map[string]string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", p.kind)
	request.Header.Set("User-Agent", program)
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	if err := p.authorize(request); err != nil {
		return nil, &failure{ClassRefused, err}
	}
	response, err := p.client.Do(request)
	if err != nil {
		return nil, withoutURL(err)
	}
	said, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	switch {
	case response.StatusCode == http.StatusRequestEntityTooLarge:
		return nil, fmt.Errorf("the receiver answers %s: %w", response.Status, errTooLarge)
	case response.StatusCode/100 != 2:
		return nil, answered(response.StatusCode, response.Status, retryAfter(response.Header.Get("Retry-After"), time.Now()))
	}
	return said, nil
}

func (p *poster) authorize(request *http.Request) error {
	if p.TokenFile == "" {
		return nil
	}
	content, err := os.ReadFile(p.TokenFile)
	if err != nil {
		return err
	}
	token := bytes.TrimSpace(content)
	if len(token) == 0 || len(token) > maxToken || bytes.ContainsAny(token, "\r\n") {
		return fmt.Errorf("%s does not hold a token", p.TokenFile)
	}
	if p.Header != "" {
		request.Header.Set(p.Header, string(token))
		return nil
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	return nil
}

// withoutURL is the cause of an error of the client: what is in a query can be a secret.
func withoutURL(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// retryAfter reads a Retry-After: RFC 9110, 10.2.3. 0: it does not say.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second // #nosec -- of 31 bits
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(0, at.Sub(now))
}
