package tlsutil

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// ClientPair is a certificate to show servers, and its key. The files are read again when they have changed, at the next handshake: whoever
// renews them need tell nobody. It is safe for concurrent use.
type ClientPair struct {
	certificate, key string
	observe          func(error)

	mu      sync.Mutex
	pair    *tls.Certificate
	seen    [2]fileState // of the files as they were read last, for good or not
	failure error
}

// fileState tells that a file was written, or another put in its place.
type fileState struct {
	info os.FileInfo
	err  error
}

// NewClientPair reads the files. A pair that cannot be shown is an error: there is no old one to keep. observe, which may be nil, is told
// of every attempt afterwards that found the files changed; an error means that the old pair is shown still.
func NewClientPair(certificate, key string, observe func(error)) (*ClientPair, error) {
	if observe == nil {
		observe = func(error) {}
	}
	p := &ClientPair{certificate: certificate, key: key, observe: observe}
	p.seen = p.stat()
	var err error
	p.pair, err = p.load()
	return p, err
}

// Get is a tls.Config's GetClientCertificate. As crypto/tls does it shows nothing to a server that would not take the certificate.
func (p *ClientPair) Get(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	pair := p.current()
	if request.SupportsCertificate(pair) != nil {
		return new(tls.Certificate), nil
	}
	return pair, nil
}

// Err is why what the files hold now is not shown, or nil. It looks.
func (p *ClientPair) Err() error {
	p.current()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}

// current is the pair of now.
func (p *ClientPair) current() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.stat()
	if now[0].same(p.seen[0]) && now[1].same(p.seen[1]) {
		return p.pair
	}
	p.seen = now
	pair, err := p.load()
	if p.failure = err; err == nil {
		p.pair = pair
	}
	p.observe(err)
	return p.pair
}

func (p *ClientPair) stat() (states [2]fileState) {
	for i, name := range []string{p.certificate, p.key} {
		states[i].info, states[i].err = os.Stat(name)
	}
	return states
}

func (s fileState) same(other fileState) bool {
	if s.err != nil || other.err != nil {
		return s.err != nil && other.err != nil && s.err.Error() == other.err.Error()
	}
	return os.SameFile(s.info, other.info) && s.info.ModTime().Equal(other.info.ModTime()) && s.info.Size() == other.info.Size()
}

// load reads the pair. One whose time is over is not good: every server that checks would refuse it.
func (p *ClientPair) load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(p.certificate, p.key)
	switch {
	case err != nil:
		return nil, fmt.Errorf("load client certificate: %w", err)
	case pair.Leaf == nil:
		return nil, errors.New("load client certificate: no leaf")
	case time.Now().After(pair.Leaf.NotAfter):
		return nil, fmt.Errorf("client certificate %s expired at %s", p.certificate, pair.Leaf.NotAfter.Format(time.RFC3339))
	}
	return &pair, nil
}
