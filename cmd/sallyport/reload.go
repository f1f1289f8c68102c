package main

import (
	"errors"
	"os"
	"reflect"

	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/config"
)

// reload reads everything again: the configuration, the certificate, the policy, and the audit file's name. What is not good stays as
// it was; /readyz, the log, a metric and the audit say so.
func (p *process) reload() {
	change := audit.ConfigurationChange{Action: "reload", File: p.config.File}
	digest, err := p.reloadConfig()
	change.Digest = digest
	// These report by themselves, and in /readyz, for they also happen without a signal.
	_ = p.certificate.Reload()
	if p.adminCertificate != nil {
		_ = p.adminCertificate.Reload()
	}
	_ = p.policy.Reload()
	if p.shadow != nil {
		_ = p.shadow.Reload()
	}
	err = errors.Join(err, p.audit.Reopen())
	p.metrics.ConfigurationReloads.Inc()
	if err == nil {
		p.reloadErr.Store(nil)
		p.logger.Info("reloaded", "file", p.config.File, "digest", digest)
	} else {
		p.reloadErr.Store(&err)
		p.metrics.ConfigurationReloadFailures.Inc()
		p.logger.Error("not reloaded, the configuration before it stays in force", "error", err)
		change.Error = err.Error()
	}
	p.record(&change)
}

// reloadConfig puts a new configuration in force, or returns why not and changes nothing.
func (p *process) reloadConfig() (digest string, err error) {
	next, err := config.Load(p.config.File, os.Environ())
	if err != nil {
		return "", err
	}
	served, list, plan, err := p.serverConfig(next)
	if err != nil {
		return next.Digest, err
	}
	if _, err := next.AdminToken(); err != nil {
		return next.Digest, err
	}
	if err := p.server.Reload(served); err != nil {
		return next.Digest, err
	}
	p.users.use(list)
	if err := p.catalogs.use(plan); err != nil {
		return next.Digest, err
	}
	p.sayObserved(next)
	if err := p.setAdmin(next); err != nil {
		return next.Digest, err
	}
	p.level.Set(next.Log.Level)
	for _, key := range needRestart(p.config, next) {
		p.logger.Warn("a key has changed that only a restart puts in force", "key", key)
	}
	return next.Digest, nil
}

// needRestart lists the keys that differ and that the running parts were made from.
func needRestart(old, next *config.Config) []string {
	var keys []string
	for _, part := range []struct {
		key       string
		old, next any
	}{
		{"listen", old.Listen, next.Listen},
		{"tls", old.TLS, next.TLS},
		{"admin.listen", old.Admin.Listen, next.Admin.Listen},
		{"admin.tls", old.Admin.TLS, next.Admin.TLS},
		{"policy", old.Policy, next.Policy},
		{"vault", old.Vault, next.Vault},
		{"audit", old.Audit, next.Audit},
		{"statements.workers", old.Statements, next.Statements},
		{"statements.max_text_bytes", old.Limits.TextBytes, next.Limits.TextBytes},
		{"timeouts.drain", old.Timeouts.Drain, next.Timeouts.Drain},
		{"log.format", old.Log.JSON, next.Log.JSON},
	} {
		if !reflect.DeepEqual(part.old, part.next) {
			keys = append(keys, part.key)
		}
	}
	return keys
}
