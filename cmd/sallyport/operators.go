package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/refusals"
)

// setAdmin puts the admin handler in force, with the operators of a configuration.
func (p *process) setAdmin(c *config.Config) error {
	authority, err := c.Operators()
	if err != nil {
		return err
	}
	var chains func([]*x509.Certificate) ([][]*x509.Certificate, error)
	if reloader := p.adminCertificate; reloader != nil {
		chains = func(shown []*x509.Certificate) ([][]*x509.Certificate, error) {
			return reloader.Serving().Chains(shown)
		}
	}
	handler := admin.New(admin.Config{
		Operators: authority,
		Chains:    chains,
		Gateway:   controlled{p.server, p.refusals},
		Record:    p.operated,
		Ready:     p.ready,
		Metrics:   p.metrics.Handler(),
		Profiles:  c.Admin.Profiles,
		Logger:    p.logger,
	})
	p.admin.Store(&handler)
	return nil
}

// operated records what an operator does.
func (p *process) operated(a admin.Action) error {
	event := audit.OperatorAction{
		ID: a.ID, Action: a.Kind, ClientAddress: a.ClientAddress, Session: a.Session, User: a.Who.User, Issuer: a.Who.Issuer, Subject: a.Who.Subject,
		Operator: audit.Operator{Name: a.Operator.Name, Method: string(a.Operator.Method), Issuer: a.Operator.Issuer, Subject: a.Operator.Subject},
		Expires:  a.Expires, Reason: a.Reason, Result: a.Result,
	}
	for _, e := range a.Ended {
		event.Ended = append(event.Ended, e.ID)
	}
	err := p.audit.Append(&event)
	if err != nil {
		p.metrics.AuditFailures.Inc()
	}
	return err
}

// ready is what /readyz asks. The first checks say whether clients can be served, the advisory ones whether something newer was
// refused, and what the audit log proves.
func (p *process) ready() []admin.Check {
	checks := append([]admin.Check{checkOf("serving", p.serving())}, p.issuers.checks()...)
	checks = append(
		checks,
		admin.Check{Name: "policy", OK: true, Message: "revision " + p.policy.Status().Revision}, // without one nothing starts
		checkOf("statements", p.statements.Ready()),
		checkOf("audit", p.audit.Healthy()),
		checkOf("certificate", p.certificateValid(time.Now())),
		advisory("audit_signed", p.signed()),
		advisory("audit_checkpoints", p.sent()),
		advisory("policy_reload", p.policy.Status().Err),
		advisory("certificate_reload", p.certificate.Err()),
		advisory("userlist_reload", p.users.Err()),
		advisory("configuration_reload", p.reloadError()),
	)
	checks = append(checks, p.clientCertificateChecks()...)
	checks = append(checks, p.tailChecks()...)
	checks = append(checks, p.catalogs.checks()...)
	checks = append(checks, p.places.checks()...)
	if p.shadow != nil {
		status := p.shadow.Status()
		check := advisory("policy_shadow", status.Err)
		if check.OK {
			check.Message = "revision " + status.Revision
		}
		checks = append(checks, check)
	}
	return checks
}

func checkOf(name string, err error) admin.Check {
	if err == nil {
		return admin.Check{Name: name, OK: true}
	}
	return admin.Check{Name: name, Message: err.Error()}
}

func advisory(name string, err error) admin.Check {
	check := checkOf(name, err)
	check.Advisory = true
	return check
}

func (p *process) serving() error {
	if p.draining.Load() {
		return errors.New("the gateway is shutting down")
	}
	return nil
}

func (p *process) certificateValid(now time.Time) error {
	leaf := p.certificate.Leaf()
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return fmt.Errorf("valid only from %s to %s", leaf.NotBefore.Format(time.RFC3339), leaf.NotAfter.Format(time.RFC3339))
	}
	return nil
}

func (p *process) reloadError() error {
	if err := p.reloadErr.Load(); err != nil {
		return *err
	}
	return nil
}

// controlled is the gateway as operators act on it.
type controlled struct {
	server *gateway.Server
	list   *refusals.List // nil: nobody can be refused
}

// End implements admin.Gateway.
func (c controlled) End(ctx context.Context, id string) (admin.Ended, bool) {
	ended, ok := c.server.End(ctx, id)
	return admin.Ended(ended), ok
}

// Refuse implements admin.Gateway.
func (c controlled) Refuse(ctx context.Context, r refusals.Refusal) ([]admin.Ended, error) {
	ended, err := c.server.Refuse(ctx, r)
	all := make([]admin.Ended, len(ended))
	for i, e := range ended {
		all[i] = admin.Ended(e)
	}
	return all, err
}

// Lift implements admin.Gateway.
func (c controlled) Lift(who refusals.Who) (bool, error) {
	if c.list == nil {
		return false, nil
	}
	return c.list.Lift(who)
}

// Refusals implements admin.Gateway.
func (c controlled) Refusals() []refusals.Refusal {
	if c.list == nil {
		return nil
	}
	return c.list.All()
}

// Sessions implements admin.Gateway.
func (c controlled) Sessions() []admin.SessionInfo {
	running := c.server.Sessions()
	infos := make([]admin.SessionInfo, len(running))
	for i, r := range running {
		infos[i] = admin.SessionInfo{
			ID: r.ID, User: r.User, Method: r.Method, Issuer: r.Issuer, Subject: r.Subject, Database: r.Database, ClientAddress: r.ClientAddress, Application: r.Application,
			BackendRole: r.BackendRole, BackendPID: r.BackendPID, BackendHost: r.BackendHost, Route: r.Route, Started: r.Started, State: r.State, Statements: r.Statements, Observe: r.Observe,
			Role: r.Role, StatedReason: r.StatedReason, Obligations: r.Obligations,
			Enforcement: r.Enforcement,
		}
		if !r.Expires.IsZero() {
			infos[i].Expires = &r.Expires
		}
	}
	return infos
}
