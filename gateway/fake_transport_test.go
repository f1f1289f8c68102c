package gateway

import (
	"crypto/tls"
	"net"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/gateway/wire"
)

// transport makes the two ends of a connection, of which the relay has the second.
type transport func(t *testing.T) (far, near net.Conn)

// transports are the ways that a relay may read and write. Production has the first.
var transports = map[string]transport{"TLS": securePair, "sockets": socketPair, "plain": tcpPair}

// socketPair is tcpPair read without asking twice.
func socketPair(t *testing.T) (far, near net.Conn) {
	t.Helper()
	far, near = tcpPair(t)
	return far, wire.NewSocket(near)
}

var transportCertificate = sync.OnceValues(func() (tls.Certificate, error) {
	authority, err := certs.New("test CA")
	if err != nil {
		return tls.Certificate{}, err
	}
	certPEM, keyPEM, err := authority.Issue(certs.Request{CommonName: "localhost", Server: true})
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
})

// securePair is socketPair within TLS.
func securePair(t *testing.T) (far, near net.Conn) {
	t.Helper()
	certificate, err := transportCertificate()
	if err != nil {
		t.Fatal(err)
	}
	far, near = socketPair(t)
	client := tls.Client(far, &tls.Config{InsecureSkipVerify: true}) // #nosec -- the test is about what comes after
	server := tls.Server(near, &tls.Config{Certificates: []tls.Certificate{certificate}})
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return client, server
}
