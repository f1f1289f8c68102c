package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/config"
)

const (
	// closeTime is how long sessions that were cut off, and the revocations of the last sessions' credentials, may take to end. Vault is
	// asked again and again until then.
	closeTime = 10 * time.Second
	// logoutTime is how long revoking the gateway's own token may take.
	logoutTime = 5 * time.Second
)

// run listens, runs every part, and answers signals, until a signal ends it or a part fails.
func (p *process) run(ctx context.Context, signals <-chan os.Signal) error {
	clients, operators, err := p.listen()
	if err != nil {
		return err
	}
	start := audit.ConfigurationChange{
		Action: "start", Version: buildVersion(), File: p.config.File, Digest: p.digest, PolicyRevision: p.policy.Status().Revision,
	}
	if err := p.audit.Append(&start); err != nil {
		return errors.Join(err, clients.Close(), closeIf(operators))
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	p.start(ctx, group, clients, operators)
	p.logger.Info("serving", "version", buildVersion(), "listen", clients.Addr().String(), "admin", addressOf(operators),
		"policy_revision", p.policy.Status().Revision)
	p.handle(ctx, signals)
	p.shutdown(signals, stop)
	err = group.Wait()
	return errors.Join(err, p.logout())
}

// listen opens both listeners. operators is nil when there is no admin listener.
func (p *process) listen() (clients, operators net.Listener, err error) {
	clients, err = net.Listen("tcp", p.config.Listen)
	if err != nil {
		return nil, nil, p.config.Problem("listen", err)
	}
	if p.config.Admin.Listen == "" {
		return clients, nil, nil
	}
	operators, err = net.Listen("tcp", p.config.Admin.Listen)
	if err != nil {
		return nil, nil, errors.Join(p.config.Problem("admin.listen", err), clients.Close())
	}
	if p.adminCertificate != nil {
		operators = tls.NewListener(operators, config.AdminTLS(p.adminCertificate))
	}
	return clients, operators, nil
}

// start runs the parts. Each ends with ctx; the first that fails ends it.
func (p *process) start(ctx context.Context, group *errgroup.Group, clients, operators net.Listener) {
	p.startAudit(ctx, group)
	group.Go(func() error { return followLoad(ctx) })
	group.Go(func() error { return followQuiet(ctx, p.server.Changes()) })
	group.Go(func() error { return p.certificate.Run(ctx) })
	group.Go(func() error { return p.statements.Run(ctx) })
	group.Go(func() error { return p.policy.Run(ctx) })
	if p.shadow != nil {
		group.Go(func() error { return p.shadow.Run(ctx) })
		group.Go(func() error { return p.comparing.Run(ctx) })
	}
	p.issuers.run(ctx, group)
	group.Go(func() error { return p.users.Run(ctx) })
	group.Go(func() error { return p.catalogs.Run(ctx, p.readyForCatalogs) })
	group.Go(func() error {
		if err := p.server.Serve(ctx, clients); !errors.Is(err, gateway.ErrServerClosed) {
			return err
		}
		return nil
	})
	if p.adminCertificate != nil {
		group.Go(func() error { return p.adminCertificate.Run(ctx) })
	}
	if operators != nil {
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*p.admin.Load()).ServeHTTP(w, r) })
		group.Go(func() error { return admin.Serve(ctx, operators, handler, p.logger) })
	}
}

// handle answers signals until one says that the end has come, or a part has failed.
func (p *process) handle(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			if s != syscall.SIGHUP {
				p.logger.Info("draining", "signal", s.String())
				return
			}
			p.reload()
		}
	}
}

// shutdown drains the sessions, at most for the configured time and until the next signal, and sees to their credentials' end. Then
// it stops the other parts.
func (p *process) shutdown(signals <-chan os.Signal, stop context.CancelFunc) {
	defer stop()
	p.draining.Store(true)
	p.issuers.hurry()
	drain, cut := context.WithTimeout(context.Background(), p.config.Timeouts.Drain)
	defer cut()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.server.Shutdown(drain); err != nil {
			p.logger.Warn("sessions were cut off", "error", err)
		}
		cut() // closeTime begins
		p.server.Close()
	}()
	drained := drain.Done()
	var late <-chan time.Time
	for {
		select {
		case <-done:
			p.catalogs.end()
			p.drainRevocations()
			return
		case s := <-signals:
			if s != syscall.SIGHUP {
				cut()
			}
		case <-drained:
			drained, late = nil, time.After(closeTime)
		case <-late:
			stop() // gives up the revocations that the server waits for: the next gateway has them from the journal, or the leases end by themselves
		}
	}
}

// readyForCatalogs returns when a database's credentials can be issued and there is a worker. Without them the first attempts would fail, and be logged, at each start.
func (p *process) readyForCatalogs(ctx context.Context, database string) error {
	return errors.Join(p.issuers.waitFor(ctx, database), p.statements.Wait(ctx))
}

func (p *process) drainRevocations() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if err := p.issuers.together(func(s source) error { return s.Drain(ctx) }); err != nil {
		p.logger.Error("credentials were not revoked; they end by themselves", "error", err)
	}
}

// logout gives back the gateway's own Vault token, closes the provisioning roles' connections, and records the end.
func (p *process) logout() error {
	ctx, cancel := context.WithTimeout(context.Background(), logoutTime)
	defer cancel()
	if err := p.issuers.together(func(s source) error { return s.Close(ctx) }); err != nil {
		p.logger.Warn("the gateway's own Vault token was not revoked, or a connection not closed", "error", err)
	}
	p.logger.Info("stopped")
	if err := p.audit.Append(&audit.ConfigurationChange{Action: "stop", Version: buildVersion(), File: p.config.File, Digest: p.digest}); err != nil {
		return fmt.Errorf("record the end: %w", err)
	}
	return nil
}

func closeIf(listener net.Listener) error {
	if listener == nil {
		return nil
	}
	return listener.Close()
}

func addressOf(listener net.Listener) string {
	if listener == nil {
		return ""
	}
	return listener.Addr().String()
}
