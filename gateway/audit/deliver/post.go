package deliver

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
	"strings"

	"github.com/sallyport/sallyport/gateway/audit"
)

const (
	// maxAnswer is how much of an answer is read, so that the connection can be used again.
	maxAnswer = 64 << 10
	// maxToken bounds a file with a token.
	maxToken = 64 << 10
)

// post sends each checkpoint as the body of a request.
type post struct {
	url       string
	tokenFile string
	client    *http.Client
}

// NewPost makes a Sender that POSTs the note of each checkpoint, as text/plain, to a URL; any 2xx takes it. tokenFile, which may be "",
// holds a bearer token and is read for each request. config is for TLS; nil has the system's authorities.
func NewPost(cfg Config, address, tokenFile string, config *tls.Config) (*Sender, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return nil, fmt.Errorf("%q %w: write https://host/path", address, errAddress)
	}
	transport := &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: 1, ForceAttemptHTTP2: true}
	return newSender(cfg, &post{address, tokenFile, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("redirects are not followed") },
	}}), nil
}

func (p *post) send(ctx context.Context, c audit.Checkpoint) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(c.Note))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "text/plain; charset=utf-8")
	if p.tokenFile != "" {
		token, err := readToken(p.tokenFile)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("the receiver answers %s", response.Status)
	}
	return nil
}

func readToken(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	token := bytes.TrimSpace(content)
	if len(token) == 0 || len(token) > maxToken || bytes.ContainsAny(token, "\r\n") {
		return "", fmt.Errorf("%s does not hold a token", path)
	}
	return string(token), nil
}
