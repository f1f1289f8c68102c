// Package tlsutil makes the TLS configurations of both sides of the gateway, reloads the certificate that it serves, and computes
// the channel binding hash of a certificate.
package tlsutil

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	xdgscram "github.com/xdg-go/scram"
)

// ALPN is PostgreSQL's application protocol
// (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL). Go refuses a client that offers only others;
// whether one that offers none may stay is for the session to say: without SSLRequest it may not.
const ALPN = "postgresql"

// ErrNoEndPoint says that a certificate's signature names no single hash, so that tls-server-end-point is not defined for it.
var ErrNoEndPoint = errors.New("tls-server-end-point is not defined for this certificate")

// ServerConfig is the configuration of one listener, whose certificate is the reloader's and whose clients are not asked for one.
// PostgreSQL's own listener takes Reloader.Serving for each connection instead.
func ServerConfig(r *Reloader) *tls.Config {
	config := serverConfig()
	config.GetCertificate = r.GetCertificate
	return config
}

// serverConfig is what all servers have in common. Go's server knows neither renegotiation nor, outside QUIC, early data. There is
// no resumption, as PostgreSQL has none (be-secure-openssl.c): a resumed session shows no certificate, so that there would be nothing
// to bind a login to, and it would trust a client's certificate on an earlier word.
func serverConfig() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		CipherSuites:           aeadSuites(),
		NextProtos:             []string{ALPN},
		SessionTicketsDisabled: true,
		// It begins with records of one segment each, for pages that are shown as they come. Messages are taken whole.
		DynamicRecordSizingDisabled: true,
	}
}

// ClientFiles say whom to trust as a backend, and who we are to it. All are PEM.
type ClientFiles struct {
	CA          string // certificates that the backend's must descend from; "": the system's
	Certificate string // our own; "": none
	Key         string // its key; set exactly when Certificate is
	ServerName  string // the host name or address that the backend's certificate must be for
}

// ClientConfig is what libpq calls sslmode=verify-full (https://www.postgresql.org/docs/current/libpq-ssl.html): chain and name are
// checked, always. The files are read once.
func ClientConfig(files ClientFiles) (*tls.Config, error) {
	if files.ServerName == "" {
		return nil, errors.New("client TLS: no server name: nothing to check the backend's certificate against")
	}
	if (files.Certificate == "") != (files.Key == "") {
		return nil, errors.New("client TLS: certificate and key go together")
	}
	config := &tls.Config{
		ServerName:   files.ServerName,
		MinVersion:   tls.VersionTLS12,
		CipherSuites: aeadSuites(),
		NextProtos:   []string{ALPN},
	}
	if files.CA != "" {
		pem, err := os.ReadFile(files.CA)
		if err != nil {
			return nil, fmt.Errorf("client TLS: read CA file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("client TLS: read CA file %s: no certificate in it", files.CA)
		}
	}
	if files.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
		if err != nil {
			return nil, fmt.Errorf("client TLS: load key pair: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// ServerEndPoint is the tls-server-end-point channel binding of RFC 5929 section 4.1: the hash of a certificate by its own
// signature's hash function, with SHA-256 in place of MD5 and SHA-1. Pass the leaf that this connection was served. Ed25519 and
// others that sign without a separate hash give ErrNoEndPoint.
//
// The library computes it for clients, from the peer's certificate; a connection state with our leaf in that place is the same sum.
func ServerEndPoint(leaf *x509.Certificate) ([]byte, error) {
	if leaf == nil {
		return nil, errors.New("tls-server-end-point: no certificate")
	}
	binding, err := xdgscram.NewTLSServerEndpointBinding(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}})
	if err != nil {
		return nil, fmt.Errorf("%w: signed with %s", ErrNoEndPoint, leaf.SignatureAlgorithm)
	}
	return binding.Data, nil
}

// aeadSuites are the TLS 1.2 suites with forward secrecy and authenticated encryption; TLS 1.3 has no others.
func aeadSuites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}
