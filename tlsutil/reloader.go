package tlsutil

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxPEMBytes bounds a certificate or key file: the longest chains have some tens of kilobytes.
	maxPEMBytes = 1 << 20
	// pollInterval finds what no notification told of: network file systems, replaced directories.
	pollInterval = time.Minute
	// settleTime lets a writer finish both files before they are read. A pair read too early does not match and is kept out anyway.
	settleTime = 200 * time.Millisecond
)

// ReloaderConfig names the files of one listener.
type ReloaderConfig struct {
	Certificate string // PEM: the leaf, then the rest of the chain
	Key         string // PEM
	// ClientCA is PEM: the certificates that clients' certificates must descend from. "": clients are not asked for one.
	ClientCA string
	Logger   *slog.Logger
	// Observe, if set, is told of every attempt that changed something or failed; nil means that a new pair is served.
	Observe func(error)
}

// Reloader serves one listener's certificate and reads it anew when its files change. It is safe for concurrent use.
type Reloader struct {
	cfg     ReloaderConfig
	serving atomic.Pointer[Serving]

	mu      sync.Mutex // one reload at a time
	failure error      // of the last reload; nil: good
}

// Serving is one certificate and what follows from it. It is not to be changed.
type Serving struct {
	// Config is for tls.Server. It has this certificate and no other, so that there is no doubt which one a connection was served,
	// whatever is reloaded during its handshake.
	Config *tls.Config
	// EndPoint is the certificate's ServerEndPoint; nil if that is not defined for it.
	EndPoint []byte

	pair *tls.Certificate
	sum  [sha256.Size]byte // of what it was read from
}

// Leaf is the certificate that is served.
func (s *Serving) Leaf() *x509.Certificate { return s.pair.Leaf }

// NewReloader reads the files. A pair that cannot be served is an error: there is no old one to keep.
func NewReloader(cfg ReloaderConfig) (*Reloader, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Reloader{cfg: cfg}
	first, err := r.load()
	if err != nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	r.serve(first)
	return r, nil
}

// GetCertificate is for tls.Config.
func (r *Reloader) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return r.serving.Load().pair, nil
}

// Leaf is the certificate now served. It is not to be changed.
func (r *Reloader) Leaf() *x509.Certificate { return r.serving.Load().pair.Leaf }

// Serving is what to serve a connection that begins now. Take it once per connection.
func (r *Reloader) Serving() *Serving { return r.serving.Load() }

// Err is why the last reload failed, or nil: the old pair is still served, and somebody should know.
func (r *Reloader) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure
}

// Reload reads the files and serves them if they are a good pair; if not, the old one stays and the error says why. Files that have
// not changed are nothing new.
func (r *Reloader) Reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next, err := r.load()
	if err != nil {
		err = fmt.Errorf("reload certificate: %w", err)
	}
	changed := err == nil && next.sum != r.serving.Load().sum
	again := err != nil && r.failure != nil && err.Error() == r.failure.Error()
	r.failure = err
	switch {
	case changed:
		r.serve(next)
	case err != nil && !again:
		r.cfg.Logger.Warn("certificate not reloaded, the old one is still served", "error", err, "not_after", r.Leaf().NotAfter)
	}
	if r.cfg.Observe != nil && (changed || err != nil) {
		r.cfg.Observe(err)
	}
	return err
}

// Run reloads when the files change, until ctx ends; it then returns nil. Without notifications it goes on polling.
func (r *Reloader) Run(ctx context.Context) error {
	changes, err := watch(r.cfg.files()...)
	if err != nil {
		r.cfg.Logger.Warn("certificate files are polled: no notifications", "error", err)
	}
	defer changes.Close()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	settle := time.NewTimer(settleTime) // the files may have changed since they were first read
	defer settle.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changes.events():
			settle.Reset(settleTime)
		case <-changes.errors():
			settle.Reset(settleTime) // an overflow: something was missed
		case <-poll.C:
			_ = r.Reload() // kept in Err and logged
		case <-settle.C:
			_ = r.Reload()
		}
	}
}

func (r *Reloader) serve(next *Serving) {
	r.serving.Store(next)
	leaf := next.pair.Leaf
	r.cfg.Logger.Info("certificate served", "subject", leaf.Subject.String(), "not_after", leaf.NotAfter)
	if next.EndPoint == nil {
		r.cfg.Logger.Warn("certificate cannot serve SCRAM channel binding", "error", ErrNoEndPoint, "signature", leaf.SignatureAlgorithm.String())
	}
}

func (cfg ReloaderConfig) files() []string {
	files := []string{cfg.Certificate, cfg.Key}
	if cfg.ClientCA != "" {
		files = append(files, cfg.ClientCA)
	}
	return files
}

// load reads the files. A pair whose time is over is not good: every client that checks would refuse it.
func (r *Reloader) load() (*Serving, error) {
	files := r.cfg.files()
	texts := make([][]byte, len(files))
	for i, file := range files {
		var err error
		if texts[i], err = readPEM(file); err != nil {
			return nil, err
		}
	}
	pair, err := tls.X509KeyPair(texts[0], texts[1])
	if err != nil {
		return nil, fmt.Errorf("parse %s and %s: %w", r.cfg.Certificate, r.cfg.Key, err)
	}
	if pair.Leaf == nil {
		return nil, errors.New("parse certificate: no leaf")
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("certificate %s expired at %s", r.cfg.Certificate, pair.Leaf.NotAfter.Format(time.RFC3339))
	}
	serving := &Serving{pair: &pair, Config: serverConfig(), sum: sha256.Sum256(bytes.Join(texts, []byte{0}))}
	serving.Config.Certificates = []tls.Certificate{pair}
	if r.cfg.ClientCA != "" {
		if err := askClients(serving.Config, texts[2]); err != nil {
			return nil, fmt.Errorf("read client CA file %s: %w", r.cfg.ClientCA, err)
		}
	}
	if endPoint, err := ServerEndPoint(pair.Leaf); err == nil {
		serving.EndPoint = endPoint
	}
	return serving, nil
}

// ErrNoAuthorities says that clients are not asked for certificates, or that this one has shown none.
var ErrNoAuthorities = errors.New("no client certificate, or no authority that it could be verified by")

// askClients makes a server ask for a certificate. A client need not have one, for whether it must is known only once the client has
// said who it is; but one that it shows must be good, or the handshake fails.
func askClients(config *tls.Config, authorities []byte) error {
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(authorities) {
		return errors.New("no certificate in it")
	}
	config.ClientAuth = tls.VerifyClientCertIfGiven
	return nil
}

// Chains verifies what a client has shown in its handshake by the authorities of now: its time may be over since, or its authority another.
// Without authorities there are none (ErrNoAuthorities).
func (s *Serving) Chains(shown []*x509.Certificate) ([][]*x509.Certificate, error) {
	options := x509.VerifyOptions{
		Roots: s.Config.ClientCAs, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if options.Roots == nil || len(shown) == 0 { // those of the machine would be taken instead
		return nil, ErrNoAuthorities
	}
	for _, intermediate := range shown[1:] {
		options.Intermediates.AddCert(intermediate)
	}
	return shown[0].Verify(options)
}

func readPEM(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxPEMBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(text) > maxPEMBytes {
		return nil, fmt.Errorf("read %s: larger than %d bytes", path, maxPEMBytes)
	}
	return text, nil
}
