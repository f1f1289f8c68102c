package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/admin"
)

const (
	// adminTime bounds one request: the gateway waits for sessions' ends for ten seconds.
	adminTime = 30 * time.Second
	// maxAdminAnswer bounds an answer: some ten thousand sessions.
	maxAdminAnswer = 64 << 20
	// maxAdminToken is many times what tokens take.
	maxAdminToken = 64 << 10
)

// adminClient talks to a gateway's control API.
type adminClient struct {
	url, tokenFile, certificate, key, caFile string
	insecure                                 bool

	token string // "": the certificate says who asks
	http  *http.Client
}

// connect reads what the flags name. Nothing is sent yet.
func (c *adminClient) connect() (err error) {
	if err := c.checkURL(); err != nil {
		return err
	}
	if c.token, err = c.readToken(); err != nil {
		return err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if (c.certificate == "") != (c.key == "") {
		return errors.New("--certificate and --key go together")
	}
	if c.certificate != "" {
		pair, err := tls.LoadX509KeyPair(c.certificate, c.key)
		if err != nil {
			return fmt.Errorf("read client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if c.token == "" && c.certificate == "" {
		return errors.New("nothing says who you are: give --token-file, SALLYPORT_OPERATOR_TOKEN, or --certificate and --key")
	}
	if c.caFile != "" {
		pem, err := os.ReadFile(c.caFile)
		if err != nil {
			return fmt.Errorf("read --ca-file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("read --ca-file: no certificate in %s", c.caFile)
		}
	}
	c.http = &http.Client{
		Timeout:       adminTime,
		Transport:     &http.Transport{TLSClientConfig: config, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a token is for this address alone
	}
	return nil
}

// checkURL holds the address to what a token may be sent to.
func (c *adminClient) checkURL() error {
	u, err := url.Parse(c.url)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("--url is not an address like https://gateway.example.com:9187")
	}
	if u.Scheme == "http" && !c.insecure && !loopbackHost(u.Hostname()) {
		return errors.New("--url is not https and not on this machine: the token would cross the network in the clear; --insecure-http sends it all the same")
	}
	c.url = strings.TrimSuffix(c.url, "/")
	return nil
}

func loopbackHost(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// readToken reads the token, from the file first.
func (c *adminClient) readToken() (string, error) {
	if c.tokenFile == "" {
		return strings.TrimSpace(os.Getenv("SALLYPORT_OPERATOR_TOKEN")), nil
	}
	file, err := os.Open(c.tokenFile)
	if err != nil {
		return "", fmt.Errorf("read --token-file: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxAdminToken))
	if err != nil {
		return "", fmt.Errorf("read --token-file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("read --token-file: %s does not hold one token", c.tokenFile)
	}
	return token, nil
}

// get reads an answer into value.
func (c *adminClient) get(path string, query url.Values, value any) (raw []byte, err error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(http.MethodGet, path, nil, value)
}

// post has something done, and says what was ended.
func (c *adminClient) post(path string, body any) ([]admin.Ended, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Ended []admin.Ended `json:"ended"`
	}
	_, err = c.do(http.MethodPost, path, text, &answer)
	return answer.Ended, err
}

func (c *adminClient) do(method, path string, body []byte, value any) ([]byte, error) {
	request, err := http.NewRequestWithContext(context.Background(), method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, explained(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxAdminAnswer))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, refused(response, raw)
	}
	if err := json.Unmarshal(raw, value); err != nil {
		return nil, fmt.Errorf("read answer: %s does not speak the gateway's control API: %w", c.url, err)
	}
	return raw, nil
}

// explained says of an error of the network what can be done.
func explained(err error) error {
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("reach the admin listener (--url): %w", err)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("verify the admin listener (--ca-file): %w", err)
	}
	return err
}

// refused is what the gateway has said, with what can be done.
func refused(response *http.Response, body []byte) error {
	said, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	said = visible(said)
	switch response.StatusCode {
	case http.StatusUnauthorized:
		said += " (is the token expired, or for another audience?)"
	case http.StatusNotFound:
		if said != "no such session" && said != "no such refusal" {
			said = "there is no control API at this address: " + said
		}
	}
	return fmt.Errorf("the gateway answers %d: %s", response.StatusCode, said)
}
