package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// defaultConnectTimeout bounds one Open or Cancel. PostgreSQL's own authentication_timeout is a minute; a client behind the
	// gateway is waiting for its answer and has a limit of its own, commonly 10 to 15 seconds.
	defaultConnectTimeout = 10 * time.Second
	// maxName is NAMEDATALEN - 1: PostgreSQL cuts longer user and database names off silently, and a cut name is another name.
	maxName = 63
	// alpn is PostgreSQL's application protocol (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL).
	alpn = "postgresql"
	// utf8Encoding is PostgreSQL's name of the encoding in which the gateway reads statements.
	utf8Encoding = "UTF8"
)

// Config says where a backend is and what it must be.
type Config struct {
	Host     string // host name or address; the certificate must be for it, unless TLS names another
	Port     int    // 0: 5432
	Database string

	// Address, if set, is the "address:port" to dial instead of Host and Port; the certificate is still verified for Host. A cancel
	// request must reach the very server that runs the session, and a name may resolve to several: see Session.Address.
	Address string

	// TLS verifies the backend. It is required, is cloned for each call, gets Host as its ServerName if it has none, and is refused
	// if it would skip the verification. RootCAs nil means the system's.
	TLS *tls.Config

	// DirectTLS begins with the TLS handshake, which PostgreSQL 17 and later understand, in place of asking for TLS first: a round trip
	// less, and nothing of the protocol is outside TLS. It is what libpq calls sslnegotiation=direct.
	DirectTLS bool

	// Authentication is what the backend may ask for; "": MethodSCRAM.
	Authentication Method

	// AllowSuperuser admits a session whose is_superuser is on.
	AllowSuperuser bool

	// ServerEncodings are the values of server_encoding to be accepted besides UTF8. In other encodings the backend may fold or
	// convert identifiers differently from how the gateway read them: name one only if identifiers are ASCII.
	ServerEncodings []string

	ConnectTimeout time.Duration // for all of Open, at each address of the host, or Cancel; 0: ten seconds
	UserTimeout    time.Duration // TCP_USER_TIMEOUT of the default dialer; 0: five minutes

	// Dial replaces the default dialer, which sets keepalive and UserTimeout. The connection it returns is what Session.Conn's
	// NetConn gives back, one of TCP as a wire.Socket.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	resolver *net.Resolver // of Host; nil: the system's
}

func (c *Config) validate() error {
	switch {
	case c.Host == "":
		return errors.New("no host")
	case c.Port < 0 || c.Port > 65535:
		return fmt.Errorf("port %d is out of range", c.Port)
	case c.TLS == nil:
		return errors.New("no TLS configuration: a session without TLS is never opened")
	case c.TLS.InsecureSkipVerify:
		return errors.New("the TLS configuration skips verification")
	}
	switch c.method() {
	case MethodSCRAM, MethodSCRAMPlus, MethodMD5:
	case MethodCertificate:
		if len(c.TLS.Certificates) == 0 && c.TLS.GetClientCertificate == nil {
			return errors.New("no client certificate: whoever the backend lets in without one, it does not know")
		}
	default:
		return fmt.Errorf("unknown authentication method %q", c.Authentication)
	}
	return nil
}

func (c *Config) method() Method {
	if c.Authentication == "" {
		return MethodSCRAM
	}
	return c.Authentication
}

func (c *Config) address() string {
	if c.Address != "" {
		return c.Address
	}
	return net.JoinHostPort(c.Host, strconv.Itoa(c.port()))
}

func (c *Config) port() int {
	if c.Port == 0 {
		return 5432
	}
	return c.Port
}

func (c *Config) connectTimeout() time.Duration {
	if c.ConnectTimeout > 0 {
		return c.ConnectTimeout
	}
	return defaultConnectTimeout
}

func (c *Config) acceptsEncoding(name string) bool {
	return name == utf8Encoding || slices.Contains(c.ServerEncodings, name)
}

// tlsConfig is a clone of the caller's that verifies the backend's name, whatever else it says.
func (c *Config) tlsConfig() *tls.Config {
	config := c.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName = c.Host
	}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	config.Renegotiation = tls.RenegotiateNever
	config.DynamicRecordSizingDisabled = true // it begins with records of one segment each: more of everything, for nothing here
	if len(config.NextProtos) == 0 {
		config.NextProtos = []string{alpn} // PostgreSQL 17 and later answer it on the negotiated path too
	}
	return config
}

// validName refuses what the backend would read as another name than the one that was judged.
func validName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("no %s", what)
	case len(name) > maxName:
		return fmt.Errorf("%s is longer than %d bytes", what, maxName)
	case strings.IndexByte(name, 0) >= 0:
		return fmt.Errorf("%s contains a NUL byte", what)
	}
	return nil
}
