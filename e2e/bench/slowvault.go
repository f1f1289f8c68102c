package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/e2e/stack"
)

const (
	// slowness is how long Vault lets every request wait, on top of what it takes.
	slowness = 200 * time.Millisecond
	// slowLogins have a 99th percentile that two of them do not make.
	slowLogins = 200
)

// slowVault is clients that log in while Vault takes its time: as many in a
// second as it can be asked for credentials ahead, so that there is one ready.
type slowVault struct{ connects }

// run starts a gateway for it: the others ask a Vault that is fast.
func (s slowVault) run(ctx context.Context, b *bench, _ *target, clients int, d time.Duration) (m measurement, err error) {
	slow, err := delayed(b.services.Vault.Address, slowness)
	if err != nil {
		return m, fmt.Errorf("slow down Vault: %w", err)
	}
	defer func() { err = errors.Join(err, slow.Close()) }()
	t, err := b.startSallyport(ctx, true, func(c *stack.GatewayConfig) { c.Vault.Address = "http://" + slow.Addr })
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, t.proxy.stop()) }()
	if err := t.warm(ctx); err != nil {
		return m, err
	}
	return s.connects.run(ctx, b, t, clients, d)
}

// warm has a gateway's credentials lie ready.
func (t *target) warm(ctx context.Context) error {
	conn, err := t.logins[reader].connect(ctx)
	if err != nil {
		return err
	}
	if err := conn.Close(ctx); err != nil {
		return err
	}
	g, ok := t.proxy.(*gateway)
	if !ok {
		return errors.New("it is no gateway of ours")
	}
	return poll(ctx, func(ctx context.Context) error {
		m, err := g.metrics(ctx)
		if err == nil && m.ready < ahead {
			err = fmt.Errorf("%d credentials lie ready", m.ready)
		}
		return err
	})
}

// delayed is a server before another one, which has every request wait. Its
// Addr is where it listens; who has it closes it.
func delayed(address string, delay time.Duration) (*http.Server, error) {
	onward, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(onward) }}
	server := &http.Server{
		Addr: listener.Addr().String(), ReadHeaderTimeout: settleTimeout,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(delay):
			case <-r.Context().Done():
			}
			proxy.ServeHTTP(w, r)
		}),
	}
	go func() { _ = server.Serve(listener) }() // until it is closed
	return server, nil
}
