package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/config"
)

// setAdmin puts the admin handler in force, with the token of a configuration.
func (p *process) setAdmin(c *config.Config) error {
	token, err := c.AdminToken()
	if err != nil {
		return err
	}
	handler := admin.New(admin.Config{
		Token:    token,
		Sessions: sessions{p.server},
		Ready:    p.ready,
		Metrics:  p.metrics.Handler(),
		OnKill:   p.killed,
		Profiles: c.Admin.Profiles,
		Logger:   p.logger,
	})
	p.admin.Store(&handler)
	return nil
}

// killed records what an operator did.
func (p *process) killed(k admin.Kill) error {
	event := audit.OperatorAction{Session: k.Session, Action: "kill", ClientAddress: k.ClientAddress, Result: "done"}
	if !k.Found {
		event.Result = "not_found"
	}
	return p.audit.Append(&event)
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

// sessions shows the server's sessions to operators.
type sessions struct{ server *gateway.Server }

func (s sessions) Kill(id string) bool { return s.server.Kill(id) }

func (s sessions) Sessions() []admin.SessionInfo {
	running := s.server.Sessions()
	infos := make([]admin.SessionInfo, len(running))
	for i, r := range running {
		infos[i] = admin.SessionInfo{
			ID: r.ID, User: r.User, Database: r.Database, ClientAddress: r.ClientAddress, Application: r.Application,
			BackendRole: r.BackendRole, BackendPID: r.BackendPID, Started: r.Started, State: r.State, Statements: r.Statements, Observe: r.Observe,
			Role: r.Role, StatedReason: r.StatedReason, Obligations: r.Obligations,
			Enforcement: r.Enforcement,
		}
		if !r.Expires.IsZero() {
			infos[i].Expires = &r.Expires
		}
	}
	return infos
}
