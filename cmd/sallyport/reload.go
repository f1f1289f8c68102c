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
	change := audit.ConfigurationChange{Action: "reload", File: p.config.File, Previous: p.digest}
	next, err := p.reloadConfig()
	if next != nil {
		change.Digest = next.Digest
	}
	if err == nil {
		change.Pending = needRestart(p.config, next)
		p.digest = next.Digest
	}
	for _, key := range change.Pending {
		p.logger.Warn("a key has changed that only a restart puts in force", "key", key)
	}
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
		p.logger.Info("reloaded", "file", p.config.File, "digest", change.Digest)
	} else {
		p.reloadErr.Store(&err)
		p.metrics.ConfigurationReloadFailures.Inc()
		p.logger.Error("not reloaded, the configuration before it stays in force", "error", err)
		change.Error = err.Error()
	}
	p.record(&change)
}

// reloadConfig puts a new configuration in force, or returns why not and changes nothing. next is nil when it cannot be read.
func (p *process) reloadConfig() (next *config.Config, err error) {
	if next, err = config.Load(p.config.File, os.Environ()); err != nil {
		return nil, err
	}
	served, list, plan, pairs, err := p.serverConfig(next)
	if err != nil {
		return next, err
	}
	key, err := p.nextKey(next)
	if err != nil {
		return next, err
	}
	if _, err := next.Operators(); err != nil {
		return next, err
	}
	if err := p.server.Reload(served); err != nil {
		return next, err
	}
	p.clientPairs.Store(&pairs)
	p.issuers.use(next, flatten(served.Databases))
	p.places.use(next)
	p.users.use(list)
	if err := p.catalogs.use(plan); err != nil {
		return next, err
	}
	p.sayObserved(next)
	if err := p.setAdmin(next); err != nil {
		return next, err
	}
	p.level.Set(next.Log.Level)
	return next, p.changeKey(next.Audit.KeyFile, key)
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
		{"admin.refusals_file", old.Admin.RefusalsFile, next.Admin.RefusalsFile},
		{"policy", old.Policy, next.Policy},
		{"vault", old.Vault, next.Vault},
		{"audit", false, otherAudit(old.Audit, next.Audit)},
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
