package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/sallyport/sallyport/authz"
)

// Bundle says where a policy is that a server publishes.
type Bundle struct {
	URL           string
	PublicKeyFile string
	KeyID         string // "": whatever the signature says
	Algorithm     string
	Scope         string
	PollMin       time.Duration
	PollMax       time.Duration
	CAFile        string // "": the system's
	TokenFile     string // "": the server asks for none
	Cache         string // "": a restart needs the server
}

// Bounds of the time between two requests for a bundle. More often is an attack on the server, more seldom no way to change a policy.
const (
	minPoll     = time.Second
	maxPoll     = 24 * time.Hour
	defaultPoll = time.Minute
)

func (c *Config) readBundle(s *section) *Bundle {
	b := &Bundle{
		URL:           s.required("url", "where the bundle is, for example https://policies.example.com/sallyport.tar.gz"),
		PublicKeyFile: s.requiredFile("public_key_file", "", "the public key, PEM, of who signs the bundle"),
		KeyID:         s.text("keyid", ""),
		Algorithm:     s.oneOf("algorithm", "RS256", authz.BundleAlgorithms()...),
		Scope:         s.text("scope", ""),
		PollMin:       s.duration("poll_min", defaultPoll, minPoll, maxPoll),
		CAFile:        s.file("ca_file", ""),
		TokenFile:     s.file("token_file", ""),
		Cache:         s.file("cache", ""),
	}
	b.PollMax = s.duration("poll_max", min(2*b.PollMin, maxPoll), b.PollMin, maxPoll)
	if b.URL != "" {
		checkBundleURL(s.at("url"), b.URL)
	}
	c.reads(s.pathOf("public_key_file"), b.PublicKeyFile)
	c.reads(s.pathOf("ca_file"), b.CAFile)
	c.readsSecret(s.pathOf("token_file"), b.TokenFile)
	c.writes(s.pathOf("cache"), b.Cache)
	s.done()
	return b
}

// checkBundleURL refuses what shows policies and the token to the network. The signature keeps a bundle from being changed, not from
// being read.
func checkBundleURL(v value, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		v.problem("is not a URL like https://policies.example.com/sallyport.tar.gz")
	case u.Scheme == "http" && !isLoopback(net.JoinHostPort(u.Hostname(), "0")):
		v.problem("is not https and not on this machine")
	}
}

// config reads the files of a bundle's configuration.
func (b *Bundle) config() (*authz.BundleConfig, error) {
	key, err := os.ReadFile(b.PublicKeyFile)
	if err != nil {
		return nil, err
	}
	client, err := newBundleClient(b.CAFile)
	if err != nil {
		return nil, err
	}
	return &authz.BundleConfig{
		URL: b.URL, Client: client, TokenFile: b.TokenFile, PublicKey: string(key), Algorithm: b.Algorithm, KeyID: b.KeyID, Scope: b.Scope,
		PollMin: b.PollMin, PollMax: b.PollMax, Cache: b.Cache,
	}, nil
}

// newBundleClient keeps no connection between requests that are a minute apart, and follows no redirect: it would hand the token to
// whoever the server names.
func newBundleClient(caFile string) (*http.Client, error) {
	secured := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if secured.RootCAs, err = authorities(caFile); err != nil {
		return nil, err
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: secured, DisableKeepAlives: true, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// authorities reads the certificates of a file; without one it returns nil, which stands for the system's.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return pool, nil
}
