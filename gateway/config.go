package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authn/certificate"
	"github.com/sallyport/sallyport/authn/md5"
	"github.com/sallyport/sallyport/authn/oauthbearer"
	"github.com/sallyport/sallyport/authn/oidc"
	"github.com/sallyport/sallyport/authn/scram"
	"github.com/sallyport/sallyport/authn/throttle"
	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/backend/hosts"
	"github.com/sallyport/sallyport/gateway/catalog"
	"github.com/sallyport/sallyport/gateway/credentials"
	"github.com/sallyport/sallyport/gateway/metrics"
	"github.com/sallyport/sallyport/gateway/refusals"
	"github.com/sallyport/sallyport/tlsutil"
)

// Config is what a Server needs. All of it is required but MD5, Issuers, OAuth, Mapper, Throttle, Proxies, Shadow, Refusals, Limits,
// Timeouts and Logger. The parts are the caller's: it runs and closes them, after the server.
type Config struct {
	Serving    func() *tlsutil.Serving        // the certificate that a client who comes now is served
	Rules      authn.Rules                    // who authenticates how
	SCRAM      *scram.Server                  // for password users, and for everybody nobody knows
	MD5        *md5.Server                    // nil: no rule asks for it
	Issuers    map[string]*oidc.Verifier      // by the name that rules use
	OAuth      map[string]*oauthbearer.Server // of the issuers, by the same names
	Mapper     *certificate.Mapper            // of client certificates; nil: no rule asks for one
	Throttle   *throttle.Throttle             // of failed logins; nil: nobody waits
	Proxies    []netip.Prefix                 // who must say by a PROXY header who the client is; they can claim any address
	Policy     *authz.Engine
	Shadow     *Shadow // a second policy, which decides nothing; nil: none
	Statements *statement.Pool
	Databases  map[string]Database // by the name that clients use
	Refusals   *refusals.List      // who is not let in; nil: nobody is refused
	Audit      *audit.Log
	Metrics    *metrics.Metrics
	Limits     Limits
	Timeouts   Timeouts
	Logger     *slog.Logger
}

// issuer is a source of credentials: *credentials.Vault or another engine of Vault, *credentials.Minted or *credentials.Static.
type issuer interface {
	Take(ctx context.Context, role string) (credentials.Lease, error)
	Renew(ctx context.Context, lease credentials.Lease) (credentials.Lease, error)
	Revoker() *credentials.Revoker // where leases with an id go in the end
}

// Database is one database that clients may ask for.
type Database struct {
	Backend     backend.Config    // where it is, and what it must be
	Hosts       *hosts.Set        // all the hosts that it has; nil: Backend's
	Places      *hosts.Places     // how many sessions it may have at once; nil: no bound
	Queue       time.Duration     // how long a client waits for one of them; 0: five seconds
	SearchPath  []string          // the schemas in which unqualified names are found; pg_temp always comes last
	Credentials issuer            // where its sessions get theirs; nil: all pass their own through
	VaultRoles  map[string]string // the role a connect decision gives → what Credentials is asked for: a Vault role, a group, an account

	// ObserveOnly lets statements through that nothing but policy denies, and records them as observed. For a policy that is on trial.
	ObserveOnly bool

	// Catalog knows what the names in it mean. nil: statements are judged by the names that they are written with.
	Catalog *catalog.Catalog

	// Routes are other places where sessions of the database may be opened, by the names that a connect decision may give. They have no
	// routes of their own.
	Routes map[string]Database
}

// placed is the database with all that it needs to open sessions.
func (d Database) placed() (Database, error) {
	if d.Hosts == nil {
		var err error
		if d.Hosts, err = hosts.New(hosts.Config{Hosts: []backend.Config{d.Backend}}); err != nil {
			return d, err
		}
	}
	if d.Places == nil {
		d.Places = &hosts.Places{}
	}
	routes := make(map[string]Database, len(d.Routes))
	for name, route := range d.Routes {
		var err error
		if routes[name], err = route.placed(); err != nil {
			return d, err
		}
	}
	d.Routes = routes
	return d, nil
}

// catalog is nil, and not a nil in an interface, when there is none.
func (d *Database) catalog() catalogSource {
	if d.Catalog == nil {
		return nil
	}
	return d.Catalog
}

// searchPath is what sessions have: pg_temp, which PostgreSQL would put first, comes last.
func (d *Database) searchPath() []string { return append(slices.Clone(d.SearchPath), "pg_temp") }

// checked returns the configuration with its defaults, or says what is missing.
func (c Config) checked() (Config, error) {
	var missing []error
	require := func(ok bool, what string) {
		if !ok {
			missing = append(missing, errors.New("gateway: no "+what))
		}
	}
	require(c.Serving != nil, "certificate")
	require(len(c.Rules) > 0, "authentication rule")
	require(c.SCRAM != nil, "SCRAM server")
	require(c.Policy != nil, "policy")
	require(c.Statements != nil, "statement workers")
	require(len(c.Databases) > 0, "database")
	databases := make(map[string]Database, len(c.Databases))
	for name, database := range c.Databases {
		require(database.Credentials != nil || len(database.VaultRoles) == 0, "source of credentials of "+strconv.Quote(name))
		var err error
		if databases[name], err = database.placed(); err != nil {
			missing = append(missing, err)
		}
	}
	c.Databases = databases
	require(c.Audit != nil, "audit log")
	require(c.Metrics != nil, "metrics")
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Limits, c.Timeouts = c.Limits.withDefaults(), c.Timeouts.withDefaults()
	return c, errors.Join(missing...)
}

const (
	// keepAlivePeriod and userTimeout find clients that are gone without a word; a session holds locks and a credential.
	keepAlivePeriod = 30 * time.Second
	userTimeout     = 90 * time.Second
)

// tune sets the socket options of a client's connection. A connection that does not take them is none we can do without them on.
func tune(conn net.Conn) {
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	_ = c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: keepAlivePeriod, Interval: keepAlivePeriod / 3, Count: 3})
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds())) // #nosec -- a descriptor fits
		})
	}
}
