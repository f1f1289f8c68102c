package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"

	"github.com/sallyport/sallyport/certs"
)

// bareCommand is the program that a session of the gateway is compared with:
// for each connection that comes it opens one, both of them TLS, carries a byte
// across and keeps them. Nothing waits for more: no goroutine, no buffer. This
// is what crypto/tls takes, and the gateway's own share is what is on top.
//
//	bench ──TLS──▶ bench bare ──TLS──▶ bench
const bareCommand = "bare"

// bare runs the program until its standard input ends. It writes where it
// listens, and answers each line with one when it has collected its garbage.
func bare(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 2 {
		return errors.New("bare: needs a directory and an address")
	}
	ends, err := loadEnds(args[0])
	if err != nil {
		return err
	}
	accepting, err := tls.Listen("tcp", "127.0.0.1:0", ends.server)
	if err != nil {
		return err
	}
	defer accepting.Close()
	var kept [][2]net.Conn
	failed := make(chan error, 1)
	go func() {
		for {
			pair, err := pairUp(accepting, args[1], ends.client)
			if err != nil {
				failed <- err
				return
			}
			kept = append(kept, pair)
		}
	}()
	fmt.Fprintln(stdout, accepting.Addr())
	for lines := bufio.NewScanner(stdin); lines.Scan(); {
		runtime.GC()
		runtime.GC()
		fmt.Fprintln(stdout, "collected")
	}
	err = accepting.Close()
	if failure := <-failed; !errors.Is(failure, net.ErrClosed) {
		err = errors.Join(err, failure)
	}
	runtime.KeepAlive(kept)
	return err
}

// pairUp makes two connections of one and carries a byte across.
func pairUp(from net.Listener, to string, config *tls.Config) (pair [2]net.Conn, err error) {
	if pair[0], err = from.Accept(); err != nil {
		return pair, err
	}
	var one [1]byte
	if _, err := pair[0].Read(one[:]); err != nil {
		return pair, err
	}
	if pair[1], err = tls.Dial("tcp", to, config); err != nil {
		return pair, err
	}
	_, err = pair[1].Write(one[:])
	return pair, err
}

// ends are the two sides of TLS, the same for both programs.
type ends struct{ server, client *tls.Config }

const (
	bareAuthority   = "ca.crt"
	bareCertificate = "server.crt"
	bareKey         = "server.key"
)

func loadEnds(dir string) (ends, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, bareCertificate), filepath.Join(dir, bareKey))
	if err != nil {
		return ends{}, err
	}
	authority, err := os.ReadFile(filepath.Join(dir, bareAuthority))
	if err != nil {
		return ends{}, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return ends{
		server: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13},
		client: &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS13},
	}, nil
}

func writeEnds(dir string) error {
	authority, err := certs.New("Sallyport bench")
	if err != nil {
		return err
	}
	certificate, key, err := authority.Issue(certs.Request{CommonName: "bare", DNSNames: []string{"localhost"}, Server: true})
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, bareAuthority), authority.CertPEM(), 0o600),
		os.WriteFile(filepath.Join(dir, bareCertificate), certificate, 0o600),
		os.WriteFile(filepath.Join(dir, bareKey), key, 0o600),
	)
}
