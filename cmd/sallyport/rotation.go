package main

import (
	"errors"
	"maps"
	"reflect"
	"slices"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/audit/proof"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/tlsutil"
)

// clientPairs are the certificates that the gateway shows backends, by database.
type clientPairs map[string]*tlsutil.ClientPair

// showCertificates has the sessions of databases show what is in the files when they are opened.
func (p *process) showCertificates(c *config.Config, databases map[string]gateway.Database) (clientPairs, error) {
	pairs := make(clientPairs)
	var errs []error
	for name, section := range c.Places() {
		if section.TLS.Certificate == "" {
			continue
		}
		pair, err := tlsutil.NewClientPair(section.TLS.Certificate, section.TLS.Key, func(err error) { p.clientCertificateRead(name, err) })
		if err != nil {
			errs = append(errs, c.Problem("databases."+name+".tls", err))
			continue
		}
		for _, settings := range databases[name].Hosts.TLS() {
			settings.Certificates, settings.GetClientCertificate = nil, pair.Get
		}
		pairs[name] = pair
	}
	return pairs, errors.Join(errs...)
}

// clientCertificateRead tells of the files of a certificate for backends that have changed.
func (p *process) clientCertificateRead(database string, err error) {
	if err != nil {
		p.metrics.CertificateErrors.Inc()
		p.logger.Warn("client certificate not reloaded, the old one is still shown to the backend", "database", database, "error", err)
		return
	}
	p.logger.Info("client certificate shown to the backend", "database", database)
}

// clientCertificateChecks are for /readyz: what the files hold now would be shown after a restart, and is not.
func (p *process) clientCertificateChecks() []admin.Check {
	var checks []admin.Check
	pairs := *p.clientPairs.Load()
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		checks = append(checks, advisory("client_certificate "+name, pairs[name].Err()))
	}
	return checks
}

// errKeyGone says why a log that is signed goes on being signed.
var errKeyGone = errors.New("is gone, and the log is signed: only a restart makes it one that nobody signs")

// nextKey reads the key of a configuration that is about to be put in force. It is nil when the one in use is to be used on.
func (p *process) nextKey(c *config.Config) (*proof.Key, error) {
	key, err := c.SigningKey()
	switch {
	case err != nil:
		return nil, err
	case key == nil && p.auditKey.Load() != nil:
		return nil, c.Problem("audit.key_file", errKeyGone)
	case key == nil, p.auditKey.Load() != nil && p.auditKey.Load().ID() == key.ID():
		return nil, nil
	}
	return key, nil
}

// changeKey has the audit log signed by another key. The last that the one before signs is which one follows it.
func (p *process) changeKey(file string, key *proof.Key) error {
	if key == nil {
		return nil
	}
	change := audit.ConfigurationChange{Action: "audit_key", File: file, Key: key.ID()}
	if before := p.auditKey.Load(); before != nil {
		change.PreviousKey = before.ID()
	}
	if err := p.audit.ChangeKey(key, &change); err != nil {
		return err
	}
	p.auditKey.Store(key)
	p.logger.Info("audit log is signed by another key", "key", key.ID())
	return nil
}

// otherAudit says whether something of the audit log has changed that only a restart puts in force. Its key is not.
func otherAudit(old, next config.Audit) bool {
	old.KeyFile = next.KeyFile
	return !reflect.DeepEqual(old, next)
}
