package config

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/gateway/audit/tail"
)

// Tails says where the audit log is followed to. A receiver without an address is none.
type Tails struct {
	Directory string // of the cursors
	Syslog    Receiver
	OTLP      Receiver
	Webhook   Receiver
	NATS      Receiver
}

// Receiver is one that gets every line of the audit log. What does not belong to its kind is empty.
type Receiver struct {
	Address         string // of syslog tls://host:port, of NATS also nats://host:port, otherwise a URL
	OCSF            bool   // events of OCSF instead of lines
	CAFile          string // "": the system's
	Certificate     string // that the gateway shows; "": none
	Key             string
	TokenFile       string // "": the receiver asks for none
	Header          string // of the token; "": Authorization
	Subject         string
	CredentialsFile string
}

// defaultSubject is where lines are published.
const defaultSubject = "sallyport.audit"

func (c *Config) readTails(s *section) {
	t := &c.Audit.Tails
	t.Directory = s.file("directory", "")
	c.readReceiver(s, "syslog", "address", &t.Syslog, func(*section) {})
	c.readReceiver(s, "otlp", "url", &t.OTLP, func(in *section) { c.readToken(in, "SALLYPORT_AUDIT_OTLP_TOKEN_FILE", &t.OTLP) })
	c.readReceiver(s, "webhook", "url", &t.Webhook, func(in *section) { c.readToken(in, "SALLYPORT_AUDIT_WEBHOOK_TOKEN_FILE", &t.Webhook) })
	c.readReceiver(s, "nats", "url", &t.NATS, func(in *section) {
		t.NATS.Subject = in.text("subject", defaultSubject)
		if strings.ContainsAny(t.NATS.Subject, " \t\r\n*>") || t.NATS.Subject == "" {
			in.at("subject").problem("is no subject that something can be published to")
		}
		t.NATS.CredentialsFile = in.file("credentials_file", "")
		c.readsSecret(in.pathOf("credentials_file"), t.NATS.CredentialsFile)
	})
	followed := t.Syslog.Address+t.OTLP.Address+t.Webhook.Address+t.NATS.Address != ""
	switch {
	case followed && t.Directory == "":
		s.missing("directory", "where it is kept how far each receiver has come")
	case followed && (c.Audit.AllowPipe || c.Audit.Path == "/dev/null"):
		s.d.problem(s.line, s.path, "can only follow a file: audit.file must be one, without audit.allow_pipe")
	}
	s.done()
}

// readReceiver reads a receiver, if it is there.
func (c *Config) readReceiver(s *section, name, key string, r *Receiver, more func(*section)) {
	if !s.has(name) {
		s.known[name] = true
		return
	}
	in := s.section(name)
	*r = Receiver{
		Address: in.required(key, "where the audit log is to go"), OCSF: in.oneOf("format", "lines", "lines", "ocsf") == "ocsf", CAFile: in.file("ca_file", ""),
		Certificate: in.file("certificate", ""), Key: in.file("key", ""),
	}
	if (r.Certificate == "") != (r.Key == "") {
		s.d.problem(in.line, in.path, "has one of certificate and key: set both or none")
	}
	c.reads(in.pathOf("ca_file"), r.CAFile)
	c.reads(in.pathOf("certificate"), r.Certificate)
	c.readsSecret(in.pathOf("key"), r.Key)
	more(in)
	in.done()
	if _, there := in.nodes[key]; there && r.Address != "" {
		checkAddress(in.at(key), name, r)
	}
}

func (c *Config) readToken(s *section, variable string, r *Receiver) {
	r.TokenFile = s.file("token_file", variable)
	if r.Header = s.text("header", ""); r.Header != "" && (r.TokenFile == "" || textproto.TrimString(r.Header) != r.Header || strings.ContainsAny(r.Header, ":\r\n ")) {
		s.at("header").problem("must be the name of the header that the token of token_file is sent in")
	}
	c.readsSecret(s.pathOf("token_file"), r.TokenFile)
}

// checkAddress refuses what is no address, and what would show the log to the network.
func checkAddress(v value, name string, r *Receiver) {
	if _, err := r.tail(tail.Config{Name: name}, &tls.Config{MinVersion: tls.VersionTLS12}, ""); err != nil {
		v.problem("%v", err)
		return
	}
	u, err := url.Parse(r.Address)
	if err == nil && (u.Scheme == "http" || u.Scheme == "nats") && !isLoopback(net.JoinHostPort(u.Hostname(), "0")) {
		v.problem("is not encrypted and the audit log would cross the network in the clear: write %s://…", map[string]string{"http": "https", "nats": "tls"}[u.Scheme])
	}
}

// tail makes what follows the log to the receiver.
func (r *Receiver) tail(cfg tail.Config, secured *tls.Config, version string) (*tail.Tail, error) {
	cfg.OCSF = r.OCSF
	http := tail.HTTP{URL: r.Address, TokenFile: r.TokenFile, Header: r.Header, TLS: secured}
	switch cfg.Name {
	case "syslog":
		return tail.NewSyslog(cfg, r.Address, secured)
	case "otlp":
		return tail.NewOTLP(cfg, http, version)
	case "webhook":
		return tail.NewWebhook(cfg, http)
	default:
		to := tail.NATS{URL: r.Address, Subject: r.Subject, CredentialsFile: r.CredentialsFile}
		if !strings.HasPrefix(r.Address, "nats:") {
			to.TLS = secured
		}
		return tail.NewNATS(cfg, to)
	}
}

// Followers makes what has the receivers follow the audit log.
func (c *Config) Followers(logger *slog.Logger, version string) ([]*tail.Tail, error) {
	var tails []*tail.Tail
	var problems []error
	t := &c.Audit.Tails
	for _, r := range []struct {
		name string
		to   *Receiver
	}{{"syslog", &t.Syslog}, {"otlp", &t.OTLP}, {"webhook", &t.Webhook}, {"nats", &t.NATS}} {
		if r.to.Address == "" {
			continue
		}
		var made *tail.Tail
		secured, err := r.to.secured()
		if err == nil {
			made, err = r.to.tail(tail.Config{Name: r.name, Log: c.Audit.Path, Logger: logger}, secured, version)
		}
		if err != nil {
			problems = append(problems, c.problems("audit.tails."+r.name, err))
			continue
		}
		tails = append(tails, made)
	}
	return tails, errors.Join(problems...)
}

// secured makes the TLS that a receiver is reached by.
func (r *Receiver) secured() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if config.RootCAs, err = authorities(r.CAFile); err != nil || r.Certificate == "" {
		return config, err
	}
	pair, err := tls.LoadX509KeyPair(r.Certificate, r.Key)
	config.Certificates = []tls.Certificate{pair}
	return config, err
}
