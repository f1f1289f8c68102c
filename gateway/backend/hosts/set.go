package hosts

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/backend"
)

// Config says where a database is.
type Config struct {
	Hosts  []backend.Config // at least one; they differ in Host, Port and what TLS verifies
	Target Target           // what is wanted of the one that is chosen; "": Any

	// LoadBalance has sessions go to a random one of the hosts that suit, and not to the first one (libpq: load_balance_hosts=random). By
	// chance and not in turn, because what a host that fails would have had is then spread over all others; its neighbour would have it
	// all. And gateways that know nothing of each other do not march in step.
	LoadBalance bool

	Servers *Servers // what is known of hosts; nil: what this Set finds out
}

// Set is the hosts of a database. It is not changed, and safe for concurrent use.
type Set struct {
	cfg Config
	now func() time.Time
}

// New checks and copies a configuration.
func New(cfg Config) (*Set, error) {
	if len(cfg.Hosts) == 0 {
		return nil, errors.New("no hosts")
	}
	if !slices.Contains(append(Targets(), "", PreferPrimary), cfg.Target) {
		return nil, fmt.Errorf("unknown target %q", cfg.Target)
	}
	cfg.Hosts = slices.Clone(cfg.Hosts)
	if cfg.Servers == nil {
		cfg.Servers = &Servers{}
	}
	return &Set{cfg: cfg, now: time.Now}, nil
}

// Sharing is the same Set that shares what it knows of hosts with others.
func (s *Set) Sharing(known *Servers) *Set {
	shared := *s
	shared.cfg.Servers = known
	return &shared
}

// For is a Set of the same hosts with another target, always in their order. Of a single host nothing is asked, as nothing else will do.
func (s *Set) For(target Target) *Set {
	other := *s
	other.cfg.LoadBalance, other.cfg.Target = false, target
	if len(s.cfg.Hosts) == 1 {
		other.cfg.Target = Any
	}
	return &other
}

// Target is what is wanted of the host that is chosen.
func (s *Set) Target() Target {
	if s.cfg.Target == "" {
		return Any
	}
	return s.cfg.Target
}

// Names are the hosts, as host:port.
func (s *Set) Names() []string {
	names := make([]string, len(s.cfg.Hosts))
	for i := range s.cfg.Hosts {
		names[i] = nameOf(&s.cfg.Hosts[i])
	}
	return names
}

// TLS are the settings of the hosts, to be completed before the first session is opened.
func (s *Set) TLS() []*tls.Config {
	all := make([]*tls.Config, len(s.cfg.Hosts))
	for i := range s.cfg.Hosts {
		all[i] = s.cfg.Hosts[i].TLS
	}
	return all
}

// KnowsPrimary says whether one of the hosts was a primary a moment ago.
func (s *Set) KnowsPrimary() bool {
	return slices.ContainsFunc(s.cfg.Hosts, func(host backend.Config) bool { return s.cfg.Servers.isPrimary(&host, s.now()) })
}

// Opening is a session to be opened.
type Opening struct {
	User        string
	Credential  backend.Credential
	Certificate *tls.Certificate // the session's own, shown in place of the gateway's; nil: it has none
	Parameters  []backend.Parameter
	// Fresh says that the role was made a moment ago, on the primary: a standby may not have it yet.
	Fresh          bool
	AllowSuperuser bool
}

// once says whether the credential can be used for one session only: it is the answers of a client.
func (o *Opening) once() bool {
	switch o.Credential.(type) {
	case backend.RelayedSCRAM, backend.RelayedMD5:
		return true
	}
	return false
}

// readOnly says whether the session is to be read-only by what the gateway sets.
func (o *Opening) readOnly() bool {
	return slices.ContainsFunc(o.Parameters, func(p backend.Parameter) bool { return strings.EqualFold(p.Name, "default_transaction_read_only") })
}

// Opened is a session and where it is.
type Opened struct {
	*backend.Session
	Config  backend.Config // of its host, with the address that was reached: for a cancel, which must reach this very server
	Standby bool           // it was one when the session began
	Cancels *Places        // one of which is to be taken for a cancel: the host's other sessions have them too
}

// Error is why no host had a session to give.
type Error struct {
	hosts []string
	errs  []error // of the hosts
	first int     // the one that says most
}

// Error is one line for the log.
func (e *Error) Error() string {
	var text strings.Builder
	for i, err := range e.errs {
		if i > 0 {
			text.WriteString("; ")
		}
		text.WriteString(e.hosts[i] + ": " + err.Error())
	}
	return text.String()
}

// Unwrap gives the causes, the one that says most first: the refusal that ended it, or else what may be otherwise the next time.
func (e *Error) Unwrap() []error {
	errs := slices.Clone(e.errs)
	errs[0], errs[e.first] = errs[e.first], errs[0]
	return errs
}

// failure is e, or the one error in it when there is but one host.
func (e *Error) failure(set *Set) error {
	if len(set.cfg.Hosts) == 1 && len(e.errs) > 0 {
		return e.errs[len(e.errs)-1]
	}
	return e
}

func (e *Error) add(host *backend.Config, err error) {
	e.hosts, e.errs = append(e.hosts, nameOf(host)), append(e.errs, err)
	var before, after *backend.Error
	if errors.As(err, &after) && errors.As(e.errs[e.first], &before) && after.Unavailable() && !before.Unavailable() {
		e.first = len(e.errs) - 1
	}
}

// Open opens a session at the first host that is up and is what is wanted. What another host could not do better ends it: a refusal of a
// credential that every host must know, a credential that has been used, the end of ctx.
func (s *Set) Open(ctx context.Context, o Opening) (*Opened, error) {
	want, orAny := s.cfg.Target.wanted()
	var spare *Opened // a host that is not what is wanted most, but will do
	tried := &Error{}
	for host := range s.order(want, o.once()) {
		opened, err := s.try(ctx, host, want, &o)
		switch {
		case err == nil:
			spare.discard()
			return opened, nil
		case opened != nil && orAny && o.once():
			return opened, nil // there is no second proof
		case opened != nil && orAny && spare == nil:
			spare = opened
		default:
			opened.discard()
		}
		tried.add(host, err)
		if final(ctx, err, &o) {
			tried.first = len(tried.errs) - 1
			break
		}
	}
	if spare != nil && ctx.Err() == nil {
		return spare, nil
	}
	spare.discard()
	return nil, tried.failure(s)
}

// final says whether other hosts need not be tried.
func final(ctx context.Context, err error, o *Opening) bool {
	failure, ok := errors.AsType[*backend.Error](err)
	switch {
	case ctx.Err() != nil || !ok || failure.Stage == backend.StageConfig:
		return true
	case o.once() && failure.Stage != backend.StageDial && failure.Stage != backend.StageTLS && failure.Stage != backend.StageStartup:
		return true
	}
	// libpq: "If a connection is established successfully, but authentication fails, the remaining hosts in the list are not tried."
	return refused(failure) && !o.Fresh
}

// refused says whether the server knows no such role, or not with this credential.
func refused(failure *backend.Error) bool { return strings.HasPrefix(failure.SQLSTATE, "28") }

// try opens a session at a host and looks whether that is what is wanted. If it is not, there are both a session and an error.
func (s *Set) try(ctx context.Context, host *backend.Config, want Target, o *Opening) (*Opened, error) {
	cfg := *host
	cfg.AllowSuperuser = o.AllowSuperuser
	cfg.TLS = showing(cfg.TLS, o.Certificate)
	own, asked := *o, false
	own.Credential = noting(&asked, o.Credential)
	session, err := s.openPatiently(ctx, &cfg, want, &own)
	s.tell(ctx, host, asked, err)
	if err != nil {
		return nil, err
	}
	cfg.Address = session.Address
	opened := &Opened{Session: session, Config: cfg, Cancels: s.cfg.Servers.cancels(host)}
	n, err := want.check(ctx, session, o.readOnly())
	s.cfg.Servers.learned(host, n, s.now())
	opened.Standby = n.standby == yes
	if err != nil && !errors.Is(err, backend.ErrUnsuited) { // it was asked and has not answered
		s.cfg.Servers.failed(host, err, s.now())
		opened.discard()
		return nil, err
	}
	return opened, err
}

// noting is a credential that notes whether a client was asked for its proof.
func noting(asked *bool, credential backend.Credential) backend.Credential {
	switch c := credential.(type) {
	case backend.RelayedSCRAM:
		final := c.Final
		c.Final = func(challenge []byte) ([]byte, error) { *asked = true; return final(challenge) }
		return c
	case backend.RelayedMD5:
		answer := c.Answer
		c.Answer = func(salt backend.Salt) ([]byte, error) { *asked = true; return answer(salt) }
		return c
	}
	return credential
}

// tell has all know what became of an attempt. Once a client was asked for its proof, what goes wrong without a word from the host may be
// the client's doing: strangers must not make a host look as if it failed.
func (s *Set) tell(ctx context.Context, host *backend.Config, asked bool, err error) {
	failure, ok := errors.AsType[*backend.Error](err)
	switch {
	case err == nil:
		s.cfg.Servers.succeeded(host, true)
	case ctx.Err() != nil || !ok || failure.Stage == backend.StageConfig || asked && failure.SQLSTATE == "":
		s.cfg.Servers.gaveUp(host)
	case failure.SQLSTATE != "" && !strings.HasPrefix(failure.SQLSTATE, "57P"):
		s.cfg.Servers.succeeded(host, false) // it is there, and says so
	default:
		s.cfg.Servers.failed(host, err, s.now())
	}
}

// discard says goodbye to a session that nobody wants. Its role may have one session only, and must be free for the next host if that is
// the same server by another name.
func (o *Opened) discard() {
	if o != nil {
		o.Session.Terminate(discardTime)
	}
}

// discardTime bounds the wait for the server's end of a session that was not what was wanted.
const discardTime = time.Second

// showing has a backend shown a session's own certificate in place of the gateway's; nil: it has none.
func showing(config *tls.Config, certificate *tls.Certificate) *tls.Config {
	if certificate == nil {
		return config
	}
	own := config.Clone()
	own.Certificates, own.GetClientCertificate = []tls.Certificate{*certificate}, nil
	return own
}
