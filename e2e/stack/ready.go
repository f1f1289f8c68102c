package stack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	// startTimeout bounds the wait for any one part: the machine may be busy compiling.
	startTimeout = 60 * time.Second
	// probeInterval is the pace of readiness probes: a start takes 50 to 1000 ms.
	probeInterval = 10 * time.Millisecond
)

var errEnded = errors.New("ended")

// await repeats probe until it succeeds. It gives up when ended is closed, when
// ctx ends and after startTimeout, and then returns the probe's last error.
func await(ctx context.Context, ended <-chan struct{}, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ended:
			return errors.Join(errEnded, err)
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// answers probes an HTTP address for a 200. An https one is trusted by the
// authority in a file.
func answers(address, caFile string) func(context.Context) error {
	return func(ctx context.Context) error {
		authorities, err := os.ReadFile(caFile)
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(authorities)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		client := http.Client{Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		}}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", address, response.Status)
		}
		return nil
	}
}

const (
	// Ports are chosen below those that the kernel gives to outgoing
	// connections (ip_local_port_range begins at 32768): between the choice and
	// the child's listen, one of those could be taken by any connection.
	firstPort, lastPort = 20000, 32767
	// portAttempts bounds the search.
	portAttempts = 1000
)

// port returns want when nothing listens there, otherwise a free one. The
// port is free when it is chosen, which is as much as can be known of it.
func port(want int) (int, error) {
	listener, err := listen(want)
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

// listen listens on want when nothing else does, otherwise on a free port. (A
// port that was listened on and closed is not free at once when a process is
// started meanwhile: the child has the socket, too, until it executes.)
func listen(want int) (net.Listener, error) {
	candidate := want
	for range portAttempts {
		if candidate != 0 {
			if listener, err := net.Listen("tcp", address(candidate)); err == nil {
				return listener, nil
			}
		}
		candidate = firstPort + rand.IntN(lastPort-firstPort+1)
	}
	return nil, errors.New("find a free port: there is none")
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
