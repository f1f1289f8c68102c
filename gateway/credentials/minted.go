package credentials

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	defaultTTL    = 15 * time.Minute
	defaultMaxTTL = 12 * time.Hour
	// mintedRandom characters of base 32 tell the roles of one second apart; mintedGroup of the group's name say what a role is for.
	mintedRandom = 16
	mintedGroup  = 24
)

// MintedConfig says how the gateway makes roles itself. Open, Owner and Groups are required.
type MintedConfig struct {
	// Open opens a session of the provisioning role: authenticated, idle, positioned behind ReadyForQuery. It is closed here.
	Open func(context.Context) (net.Conn, error)

	// Owner gets what the roles of sessions own when they end. What runs with its owner's rights (views, rules, functions in indexes)
	// then runs with this role's, so it must hold no more than the groups do: see Owners.
	Owner  string
	Owners map[string]string // by group: another owner
	Groups []string          // what roles may be made members of; those of an earlier run are looked for in them

	TTL    time.Duration // how long a role holds unless renewed; 0: 15 minutes
	MaxTTL time.Duration // how long with renewals; 0: 12 hours

	JournalFile string // remembers the open leases for a gateway that is killed; "": none is kept
	Ahead       int    // how many credentials of each group lie ready
	Connections int    // of the provisioning role; 0: two
}

func (c MintedConfig) withDefaults() MintedConfig {
	if c.TTL <= 0 {
		c.TTL = defaultTTL
	}
	if c.MaxTTL <= 0 {
		c.MaxTTL = max(defaultMaxTTL, c.TTL)
	}
	if c.Connections <= 0 {
		c.Connections = defaultConnections
	}
	return c
}

func (c MintedConfig) validate() error {
	var errs []error
	if c.Open == nil {
		errs = append(errs, errors.New("no way to open a session of the provisioning role"))
	}
	if c.Owner == "" || len(c.Groups) == 0 {
		errs = append(errs, errors.New("an owner and at least one group must be configured"))
	}
	if c.Ahead < 0 || c.Ahead > maxAhead {
		errs = append(errs, fmt.Errorf("%d credentials of a role cannot be issued ahead: 0 to %d", c.Ahead, maxAhead))
	}
	if c.TTL > c.MaxTTL {
		errs = append(errs, errors.New("roles hold longer than they may with renewals"))
	}
	return errors.Join(errs...)
}

// Minted issues credentials without Vault: a provisioning role of the gateway's own makes a role for each session, member of one group,
// and drops it afterwards. The passwords are made here; PostgreSQL is told their SCRAM verifiers only. Its methods may be called from
// many goroutines.
type Minted struct {
	cfg     MintedConfig
	log     *slog.Logger
	pool    *provisioners
	revoker *Revoker
	ahead   *ahead
	ledger  ledger
}

// NewMinted checks the configuration and opens the journal. It does not speak to PostgreSQL: Run does.
func NewMinted(cfg MintedConfig, log *slog.Logger) (*Minted, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure minted credentials: %w", err)
	}
	m := &Minted{cfg: cfg, log: log, ledger: ledger{log: log}}
	m.revoker = NewRevoker(RevokerConfig{Revoke: m.Revoke, Settled: m.ledger.settled, Workers: max(1, cfg.Connections-1)}, log)
	m.pool = newProvisioners(cfg.Open, cfg.Connections, m.revoker.retryNow, log)
	m.ahead = newAhead(cfg.Ahead, m.Issue, func(lease Lease) { m.revoker.Revoke(lease) }, log)
	if err := m.ledger.openJournal(cfg.JournalFile); err != nil {
		return nil, fmt.Errorf("configure minted credentials: %w", err)
	}
	return m, nil
}

// Run keeps the provisioning role's connections, issues ahead, drops what earlier gateways have left, and revokes what the Revoker is
// given, until ctx ends; then it returns nil. Call Drain before.
func (m *Minted) Run(ctx context.Context) error {
	m.ledger.sweep(m.revoker)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return m.pool.tend(ctx) })
	group.Go(func() error { return m.revoker.Run(ctx) })
	group.Go(func() error { return m.ahead.run(ctx) })
	group.Go(func() error { return m.sweep(ctx) })
	return group.Wait()
}

// Revoker drops roles in the background while Run runs.
func (m *Minted) Revoker() *Revoker { return m.revoker }

// Ready returns nil if a role could be made now, as far as is known.
func (m *Minted) Ready() error { return m.pool.ready() }

// Wait returns when a role can be made, or with the context's error.
func (m *Minted) Wait(ctx context.Context) error { return m.pool.wait(ctx) }

// Drain drops the roles that were made ahead, and returns when nothing has to be dropped any more, or with an error that says what is
// left when ctx ends. Nobody issues anything meanwhile.
func (m *Minted) Drain(ctx context.Context) error { return drain(ctx, m.ahead, m.revoker, func() {}) }

// Close closes the connections. Call it when Run has returned.
func (m *Minted) Close(ctx context.Context) error {
	return errors.Join(m.pool.close(ctx), m.ledger.closeJournal())
}

// Take is Issue for a session that waits: it gets a role that was made ahead if there is one.
func (m *Minted) Take(ctx context.Context, group string) (Lease, error) {
	return m.ahead.obtain(ctx, group)
}

// Stock is how many roles were made ahead and lie ready.
func (m *Minted) Stock() int { return m.ahead.stock() }

// Issue makes a role that is a member of the group. Errors are *Error. What may have been made although nobody heard so is revoked.
func (m *Minted) Issue(ctx context.Context, group string) (Lease, error) {
	const op = "mint role"
	var lease Lease
	err := m.pool.use(ctx, op, func(ctx context.Context, c *provisioner) error {
		if lease.ID != "" { // of the connection before this one
			m.revoker.Revoke(lease)
		}
		started := time.Now()
		lease = m.newLease(group, started)
		var verifier string
		var err error
		if verifier, lease.Keys, err = verifierOf(lease.Password); err == nil {
			err = m.ledger.remember(group, lease, started)
		}
		if err != nil {
			return err
		}
		return c.create(ctx, lease, verifier, group)
	})
	if err != nil {
		if lease.ID != "" {
			m.revoker.Revoke(lease)
		}
		return Lease{}, err
	}
	return lease, nil
}

func (m *Minted) newLease(group string, now time.Time) Lease {
	name := mintedName(group, now)
	return Lease{
		Source: SourceMinted, ID: name, Username: name, Password: rand.Text(), Renewable: m.cfg.TTL < m.cfg.MaxTTL,
		Expires: now.Add(m.cfg.TTL), MaxExpires: now.Add(m.cfg.MaxTTL), ttl: m.cfg.TTL,
	}
}

// mintedName is "s-<group>-<random>-<unix time>", at most 54 bytes.
func mintedName(group string, now time.Time) string {
	word := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, strings.ToLower(group))
	word = word[:min(len(word), mintedGroup)]
	return "s-" + word + "-" + strings.ToLower(rand.Text()[:mintedRandom]) + "-" + strconv.FormatInt(now.Unix(), 10)
}

// minted are the names that mintedName makes, for PostgreSQL as for us: nothing else is ever dropped.
var minted = regexp.MustCompile(`^s-[a-z0-9_]{1,24}-[a-z2-7]{16}-[0-9]{9,11}$`)

// Renew gives the role as much time as it had at first, up to MaxExpires. Errors are *Error; the old end remains valid then.
func (m *Minted) Renew(ctx context.Context, lease Lease) (Lease, error) {
	const op = "renew role"
	if !lease.Renewable {
		return Lease{}, &Error{Source: SourceMinted, Kind: Refused, Op: op, Err: errors.New("the role has had all its time")}
	}
	until := time.Now().Add(lease.ttl)
	if !until.Before(lease.MaxExpires) {
		until, lease.Renewable = lease.MaxExpires, false
	}
	lease.Expires = until
	err := m.pool.use(ctx, op, func(ctx context.Context, c *provisioner) error { return c.extend(ctx, lease) })
	if err != nil {
		return Lease{}, err
	}
	return lease, nil
}

// Revoke ends the role's sessions, gives what it owns to the owner, and drops it. A role that is gone is success. Sessions hand their
// lease to the Revoker instead, which keeps trying.
func (m *Minted) Revoke(ctx context.Context, lease Lease) error {
	const op = "drop role"
	if !minted.MatchString(lease.Username) {
		return &Error{Source: SourceMinted, Kind: Refused, Op: op, Err: errors.New("the role is none that was minted")}
	}
	return m.pool.use(ctx, op, func(ctx context.Context, c *provisioner) error {
		left, err := c.drop(ctx, lease.Username, m.ownerOf)
		for _, function := range left {
			m.log.Warn("a function is no longer SECURITY DEFINER, for its owner is gone", "function", function, "username", lease.Username)
		}
		return err
	})
}

// ownerOf is who gets what a role leaves that is a member of the groups.
func (m *Minted) ownerOf(groups []string) string {
	for _, group := range groups {
		if owner := m.cfg.Owners[group]; owner != "" {
			return owner
		}
	}
	return m.cfg.Owner
}
