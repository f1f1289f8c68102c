// Package certificate maps a client's certificate to an account, as PostgreSQL's cert method and pg_ident.conf do
// (https://www.postgresql.org/docs/current/auth-cert.html). No sockets, and no chains: crypto/tls has verified the certificate in the
// handshake, or there is none.
//
// A mapping compares names byte for byte. There are no regular expressions, and nothing that a certificate says is a pattern.
package certificate

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authn"
)

var (
	// ErrNone says that the client has shown no certificate, or none that was verified. The client hears 28000, "connection requires
	// a valid client certificate".
	ErrNone = errors.New("no verified client certificate")
	// ErrRejected says that the certificate is good for nothing here, or for somebody else. The client hears 28000, "certificate
	// authentication failed for user …", and never why.
	ErrRejected = errors.New("client certificate rejected")
)

// Reason says why a certificate was rejected, for the log and a metric's label. It tells nothing that is in the certificate.
type Reason string

// The reasons.
const (
	ReasonUsage   Reason = "usage"   // not for logging in: an authority's, a server's
	ReasonExpired Reason = "expired" // since the handshake
	ReasonName    Reason = "name"    // no mapping knows any of its names
	ReasonUser    Reason = "user"    // it is somebody else's
)

// RejectedError is an ErrRejected with its reason.
type RejectedError struct{ Reason Reason }

func (e *RejectedError) Error() string { return fmt.Sprintf("%v: %s", ErrRejected, e.Reason) }

// Is makes errors.Is(err, ErrRejected) true.
func (e *RejectedError) Is(target error) bool { return target == ErrRejected }

// Config is what a Mapper needs. It is copied.
type Config struct {
	// Mappings say who may log in as whom. Any of them will do. Empty: the common name is the user, as without a pg_ident.conf.
	Mappings []Mapping
}

// Mapper maps certificates to accounts. It is safe for concurrent use.
type Mapper struct{ rules []rule }

// New checks cfg, reports everything that is wrong with it at once, and returns a Mapper.
func New(cfg Config) (*Mapper, error) {
	mappings := cfg.Mappings
	if len(mappings) == 0 {
		mappings = []Mapping{{Kind: CommonName, Name: placeholder}}
	}
	m := &Mapper{}
	var errs []error
	for i, mapping := range mappings {
		compiled, err := mapping.compile()
		if err != nil {
			errs = append(errs, fmt.Errorf("certificate mapping %d: %w", i+1, err))
		}
		m.rules = append(m.rules, compiled)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m, nil
}

// Verify finds a mapping by which the certificate is user's and returns who that is. chains is tls.ConnectionState's VerifiedChains and
// nothing else: PeerCertificates are what the client says. user is the startup packet's. The error is an ErrNone or an ErrRejected.
//
// The identity ends when the certificate, or all the chains above it, have expired.
func (m *Mapper) Verify(chains [][]*x509.Certificate, user string) (authn.Identity, error) {
	leaf, ok := leafOf(chains)
	if !ok {
		return authn.Identity{}, ErrNone
	}
	if !isForLogin(leaf) {
		return authn.Identity{}, &RejectedError{ReasonUsage}
	}
	expires := end(chains)
	if !time.Now().Before(expires) {
		return authn.Identity{}, &RejectedError{ReasonExpired}
	}
	reason := ReasonName
	for _, rule := range m.rules {
		for _, name := range namesOf(leaf, rule.kind) {
			account, known := rule.match(name)
			if !known {
				continue
			}
			if !account(user) {
				reason = ReasonUser
				continue
			}
			return authn.Identity{
				User: user, Method: authn.MethodCertificate, Issuer: plain(leaf.Issuer.String()), Subject: name, Certificate: name, Expires: expires,
			}, nil
		}
	}
	return authn.Identity{}, &RejectedError{reason}
}

// leafOf finds the certificate that all chains are about.
func leafOf(chains [][]*x509.Certificate) (*x509.Certificate, bool) {
	if len(chains) == 0 || len(chains[0]) == 0 || chains[0][0] == nil {
		return nil, false
	}
	leaf := chains[0][0]
	return leaf, !slices.ContainsFunc(chains, func(chain []*x509.Certificate) bool { return len(chain) == 0 || !leaf.Equal(chain[0]) })
}

// isForLogin holds a certificate to its purpose. crypto/tls lets one pass that names no purpose at all, or any: such are the servers' of
// many a company's authority, and the authorities themselves.
func isForLogin(leaf *x509.Certificate) bool {
	return !leaf.IsCA &&
		(leaf.KeyUsage == 0 || leaf.KeyUsage&x509.KeyUsageDigitalSignature != 0) &&
		slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
}

// end is when the last of the chains ends, each of which ends with the first of its certificates.
func end(chains [][]*x509.Certificate) time.Time {
	var last time.Time
	for _, chain := range chains {
		first := chain[0].NotAfter
		for _, certificate := range chain[1:] {
			if certificate.NotAfter.Before(first) {
				first = certificate.NotAfter
			}
		}
		if first.After(last) {
			last = first
		}
	}
	return last
}
