package config

import (
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// defaultDrain is the gateway's own; whoever starts the shutdown needs it too.
const defaultDrain = 30 * time.Second

// address reads a host:port to listen on.
func (s *section) address(key, what string) string {
	text := s.required(key, what)
	if text == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		s.at(key).problem("must be host:port, for example 127.0.0.1:6432 or [::1]:6432, not %q", text)
		return ""
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		s.at(key).problem("has port %q: must be 0 to 65535", port)
	}
	if strings.ContainsAny(host, " /") {
		s.at(key).problem("has host %q: must be an address or a name", host)
	}
	return text
}

// at is the value of a key. Where that is not there, as in a route that has it from its database, what is wrong with it is told of the section.
func (s *section) at(key string) value {
	node, there := s.nodes[key]
	if !there {
		node = &yaml.Node{Line: s.line}
	}
	return value{s.d, resolve(node), s.pathOf(key)}
}

func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// readProxyProtocol reads who may claim any address. Everybody cannot be meant; a proxy that a network does not match although it looks
// as if it did would be refused as a client.
func (c *Config) readProxyProtocol(s *section) {
	for _, item := range s.items("trusted") {
		prefix, ok := item.prefix()
		switch {
		case !ok: // was reported
		case prefix.Bits() == 0:
			item.problem("trusts everybody: each client could say that it comes from anywhere; name the load balancers")
		case prefix.Addr().Is4In6():
			item.problem("is %s, an IPv4 address within IPv6: write the IPv4 address", prefix)
		default:
			c.ProxyProtocol.Trusted = append(c.ProxyProtocol.Trusted, prefix)
		}
	}
	s.done()
}

func (c *Config) readTLS(s *section) {
	c.TLS.Certificate = s.requiredFile("certificate", "", "the certificate that clients see, PEM, leaf first")
	c.TLS.Key = s.requiredFile("key", "SALLYPORT_TLS_KEY_FILE", "the certificate's key, PEM")
	c.TLS.ClientCA = s.file("client_ca", "")
	c.reads("tls.certificate", c.TLS.Certificate)
	c.reads("tls.client_ca", c.TLS.ClientCA)
	c.readsSecret("tls.key", c.TLS.Key)
	s.done()
}

func (c *Config) readStatements(s *section) {
	c.Statements.Workers = s.number("workers", 2, 1, 256)
	c.Limits.TextBytes = s.number("max_text_bytes", 0, 1<<10, 16<<20)
	s.done()
}

func (c *Config) readLimits(s *section) {
	c.Limits.Connections = s.number("connections", 0, 1, 1_000_000)
	c.Limits.PreAuthentication = s.number("pre_authentication", 0, 1, 1_000_000)
	c.Limits.BindBytes = s.number("bind_bytes", 0, 10_000, 1<<30-1)
	c.Limits.CopyDataBytes = s.number("copy_data_bytes", 0, 10_000, 1<<30-1)
	c.Limits.PreparedStatements = s.number("prepared_statements", 0, 1, 1_000_000)
	c.Limits.PreparedBytes = s.number("prepared_bytes", 0, 1<<10, 1<<30-1)
	s.done()
}

func (c *Config) readTimeouts(s *section) {
	t := &c.Timeouts
	t.Admission = s.duration("admission", 0, time.Second, 5*time.Minute)
	t.Authentication = s.duration("authentication", 0, time.Second, 5*time.Minute)
	t.Connect = s.duration("connect", 0, time.Second, 5*time.Minute)
	t.Decision = s.duration("decision", 0, 10*time.Millisecond, time.Minute)
	t.Session = s.duration("session", 0, time.Second, 30*24*time.Hour)
	t.Idle = s.duration("idle", 0, 0, 30*24*time.Hour)
	t.Write = s.duration("write", 0, time.Second, time.Hour)
	t.Drain = s.duration("drain", defaultDrain, time.Second, 24*time.Hour)
	s.done()
}

func (c *Config) readLog(s *section) {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	c.Log.Level = levels[s.oneOf("level", "info", "debug", "info", "warn", "error")]
	c.Log.JSON = s.oneOf("format", "json", "json", "text") != "text"
	s.done()
}
