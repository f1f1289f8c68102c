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
	return newSender(cfg, &post{address, tokenFile, newClient(config)}), nil
}

func newClient(config *tls.Config) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: 1, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("redirects are not followed") },
	}
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
	return do(p.client, request)
}

// do sends a request, and is nil when the answer is 2xx.
func do(client *http.Client, request *http.Request) error {
	response, err := client.Do(request)
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
