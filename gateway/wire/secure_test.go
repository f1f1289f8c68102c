package wire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// tcpPair is a connection over loopback: far is the test's end, near a Socket.
func tcpPair(t testing.TB) (far *net.TCPConn, near *Socket) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	far, near = dialled.(*net.TCPConn), NewSocket(accepted).(*Socket)
	_ = far.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { _, _ = far.Close(), near.Close() })
	return far, near
}

var certificate = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
})

// secured is a connection within TLS: its test's end, what that is on, and the end to be served.
type secured struct {
	far    *tls.Conn
	wire   *net.TCPConn
	near   *tls.Conn
	socket *Socket
}

// securePair makes one. keyLog may be nil.
func securePair(t testing.TB, keyLog io.Writer) secured {
	t.Helper()
	pair, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	far, near := tcpPair(t)
	s := secured{
		far:  tls.Client(far, &tls.Config{InsecureSkipVerify: true, KeyLogWriter: keyLog}), // #nosec -- the test is about what comes after
		wire: far, near: tls.Server(near, &tls.Config{Certificates: []tls.Certificate{pair}}), socket: near,
	}
	shaken := make(chan error, 1)
	go func() { shaken <- s.far.Handshake() }()
	if err := s.near.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return s
}

// relay passes everything on from src to dst until that ends.
func relay(dst io.Writer, src io.Reader) error {
	p := NewPipe(dst, src, anySize)
	for {
		woken, err := p.Run(func() error { return passAll(p) })
		if !woken {
			return err
		}
		_ = socketOf(src).SetReadDeadline(time.Time{})
	}
}

func passAll(p *Pipe) error {
	for {
		_, size, ok, err := p.Next()
		if err != nil {
			return err
		}
		if !ok {
			return p.Flush()
		}
		p.Accept(size)
	}
}
