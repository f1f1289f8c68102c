package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/sallyport/sallyport/authn/userlist"
	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/audit/deliver"
	"github.com/sallyport/sallyport/gateway/audit/proof"
	"github.com/sallyport/sallyport/gateway/audit/tail"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/metrics"
	"github.com/sallyport/sallyport/gateway/refusals"
	"github.com/sallyport/sallyport/tlsutil"
)

// process is the gateway with all its parts. Its fields are set by assemble; run runs them, close closes them.
type process struct {
	config  *config.Config // the one it was started with
	level   *slog.LevelVar
	logger  *slog.Logger
	metrics *metrics.Metrics
	audit   *audit.Log
	senders []*deliver.Sender // of the audit log's checkpoints
	tails   []*tail.Tail      // of the audit log
	cursors *tail.Directory   // of the tails; nil: there are none

	certificate      *tlsutil.Reloader
	adminCertificate *tlsutil.Reloader // nil: none
	clientPairs      atomic.Pointer[clientPairs]
	auditKey         atomic.Pointer[proof.Key] // nil: nobody signs the log
	statements       *statement.Pool
	policy           *authz.Engine
	shadow           *authz.Engine // the second policy; nil: none
	comparing        *gateway.Shadow
	issuers          *issuers
	catalogs         *catalogs
	places           places
	users            users
	throttle         throttled
	rechecks         rechecks
	refusals         *refusals.List // nil: nobody can be refused
	server           *gateway.Server

	admin     atomic.Pointer[http.Handler] // replaced by a reload, with its token
	reloadErr atomic.Pointer[error]        // why the last reload was refused; nil: it was not
	digest    string                       // of the configuration in force; whoever answers signals has it
	revision  atomic.Pointer[string]       // of the policy that audit has heard of last
	draining  atomic.Bool
}

// assemble makes every part from the configuration, top to bottom, and starts nothing.
func assemble(c *config.Config, level *slog.LevelVar, logger *slog.Logger) (p *process, err error) {
	p = &process{config: c, level: level, logger: logger, metrics: metrics.New(gateway.Labels()...), catalogs: newCatalogs(), digest: c.Digest}
	p.rechecks = rechecks{metrics: p.metrics, logger: logger, silent: make(map[string]bool)}
	p.places.servers.Logger = logger
	if err = p.assembleAudit(); err != nil {
		return nil, err
	}
	opened := p // p is nil again when an error is returned
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.audit.Close(), opened.closeCursors(), opened.refusals.Close())
		}
	}()
	if err := p.assembleTLS(); err != nil {
		return nil, err
	}
	if p.statements, err = statement.NewPool(p.poolConfig()); err != nil {
		return nil, c.Problem("statements", err)
	}
	if err = p.assemblePolicy(); err != nil {
		return nil, err
	}
	if p.refusals, err = c.Refusals(); err != nil {
		return nil, err
	}
	if p.issuers, err = newIssuers(c, logger); err != nil {
		return nil, err
	}
	served, list, plan, pairs, err := p.serverConfig(c)
	if err != nil {
		return nil, err
	}
	p.clientPairs.Store(&pairs)
	if p.server, err = gateway.New(served); err != nil {
		return nil, fmt.Errorf("configure gateway: %w", err)
	}
	p.issuers.use(c, flatten(served.Databases))
	p.places.use(c)
	p.users.use(list)
	if err := p.catalogs.use(plan); err != nil {
		return nil, err
	}
	p.sayObserved(c)
	p.metrics.Watch(p.sources())
	status := p.policy.Status()
	p.metrics.PolicyRevision(status.Revision)
	p.metrics.PolicyReloaded.Set(float64(status.LoadedAt.Unix()))
	return p, p.setAdmin(c)
}

func (p *process) assembleTLS() (err error) {
	c := p.config
	if p.certificate, err = tlsutil.NewReloader(c.TLS.Reloader(p.logger, p.certificateReloaded)); err != nil {
		return c.Problem("tls", err)
	}
	p.metrics.CertificateExpiry.Set(float64(p.certificate.Leaf().NotAfter.Unix()))
	if c.Admin.TLS.Certificate == "" {
		return nil
	}
	if p.adminCertificate, err = tlsutil.NewReloader(c.Admin.TLS.Reloader(p.logger, nil)); err != nil {
		return c.Problem("admin.tls", err)
	}
	return nil
}

// assemblePolicy makes the policy that decides, and what compares it with the second one.
func (p *process) assemblePolicy() error {
	cfg, err := p.config.PolicyConfig(p.logger, p.policyReloaded)
	if err != nil {
		return err
	}
	if p.policy, err = authz.New(cfg); err != nil {
		return p.config.Problem(p.config.PolicyKey(), err)
	}
	revision := p.policy.Status().Revision
	p.revision.Store(&revision)
	return p.assembleShadow()
}

// assembleShadow makes what compares with the second policy, if there is one.
func (p *process) assembleShadow() (err error) {
	cfg, ok := p.config.ShadowConfig(p.logger.With("policy", "shadow"), p.shadowReloaded)
	if !ok {
		return nil
	}
	if p.shadow, err = authz.New(cfg); err != nil {
		return p.config.Problem("policy.shadow", err)
	}
	p.metrics.ShadowRevision(p.shadow.Status().Revision)
	p.comparing = gateway.NewShadow(p.shadow, p.metrics, p.logger)
	return nil
}

// serverConfig makes of a configuration what the server needs: the parts that a reload replaces, and those that live on. The
// userlist and the plan of the catalogs are to be used when the server has taken the rest.
func (p *process) serverConfig(c *config.Config) (gateway.Config, *userlist.File, []plannedCatalog, clientPairs, error) {
	passwords, err := c.Passwords(func(err error) { p.usersReloaded(c.Authentication.Userlist, err) }, p.reconsider)
	throttler, throttleErr := p.throttle.of(c)
	issuers, issuersErr := c.Issuers(p.rechecks.observe)
	oauth, oauthErr := c.OAuth(issuers)
	mapper, mapperErr := c.Mapper()
	databases, databasesErr := c.Backends()
	if err := errors.Join(c.CheckRules(), err, throttleErr, issuersErr, oauthErr, mapperErr, databasesErr); err != nil {
		return gateway.Config{}, nil, nil, nil, err
	}
	if err := p.issuers.fits(p.config, c); err != nil {
		return gateway.Config{}, nil, nil, nil, err
	}
	pairs, err := p.showCertificates(c, databases)
	if err != nil {
		return gateway.Config{}, nil, nil, nil, err
	}
	p.issuers.supply(c, databases)
	p.places.supply(databases)
	plan, err := p.planCatalogs(c, databases)
	if err != nil {
		return gateway.Config{}, nil, nil, nil, err
	}
	p.warn(passwords.Warnings)
	for _, warning := range c.Warnings() {
		p.logger.Warn("configuration", "warning", warning.Error())
	}
	return gateway.Config{
		Serving:    p.certificate.Serving,
		Rules:      c.Authentication.Rules,
		SCRAM:      passwords.SCRAM,
		MD5:        passwords.MD5,
		Issuers:    issuers,
		OAuth:      oauth,
		Mapper:     mapper,
		Throttle:   throttler,
		Proxies:    c.ProxyProtocol.Trusted,
		Policy:     p.policy,
		Shadow:     p.comparing,
		Statements: p.statements,
		Databases:  nest(c, databases),
		Refusals:   p.refusals,
		Audit:      p.audit,
		Metrics:    p.metrics,
		Limits:     c.Limits,
		Timeouts:   c.Timeouts,
		Logger:     p.logger,
	}, passwords.Users, plan, pairs, nil
}

// policyReloaded records a policy that was loaded or refused.
func (p *process) policyReloaded(status authz.Status) {
	change := audit.PolicyChange{Revision: status.Revision}
	if previous := p.revision.Swap(&status.Revision); previous != nil && *previous != status.Revision {
		change.Previous = *previous
	}
	if status.Err != nil {
		change.Error = status.Err.Error()
		p.metrics.PolicyReloadFailures.Inc()
	} else {
		p.metrics.PolicyRevision(status.Revision)
		p.metrics.PolicyReloaded.Set(float64(status.LoadedAt.Unix()))
	}
	p.record(&change)
}

// shadowReloaded counts a second policy that was loaded or refused.
func (p *process) shadowReloaded(status authz.Status) {
	if status.Err != nil {
		p.metrics.ShadowReloadFailures.Inc()
		return
	}
	p.metrics.ShadowRevision(status.Revision)
}

// certificateReloaded counts a certificate that was loaded or refused.
func (p *process) certificateReloaded(err error) {
	if err != nil {
		p.metrics.CertificateErrors.Inc()
		return
	}
	p.metrics.CertificateExpiry.Set(float64(p.certificate.Leaf().NotAfter.Unix()))
	p.server.Reconsider() // clients' authorities may be others
}

// record writes an event about the gateway itself. When it cannot be written the statements that follow are denied; there is nothing
// else to hold back.
func (p *process) record(event audit.Event) {
	if err := p.audit.Append(event); err != nil {
		p.metrics.AuditFailures.Inc()
		p.logger.Error("event not recorded", "error", err)
	}
}
