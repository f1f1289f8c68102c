package credentials

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// defaultConnections is one for logins and one for revocations, which may wait for a session to end.
	defaultConnections = 2
	// provisionTime is for one thing that the provisioning role does. The server's own limit is to be no longer.
	provisionTime = 10 * time.Second
	// A connection that could not be opened is tried again after firstReconnect, twice as long each time up to lastReconnect. Logins do
	// not try more often: they are told at once.
	firstReconnect = 250 * time.Millisecond
	lastReconnect  = 5 * time.Second
)

// provisioners are the connections of the provisioning role. They are opened when they are needed first.
type provisioners struct {
	open   func(context.Context) (net.Conn, error)
	log    *slog.Logger
	back   func()            // told when it goes again after a fault
	places chan *provisioner // as many as there may be; nil: not open
	poke   chan struct{}     // one place: there is a fault

	mu      sync.Mutex
	known   bool   // something was tried
	fault   *Error // why none could be opened; nil: the last could
	retry   time.Time
	backoff time.Duration
}

func newProvisioners(open func(context.Context) (net.Conn, error), connections int, back func(), log *slog.Logger) *provisioners {
	p := &provisioners{open: open, log: log, back: back, places: make(chan *provisioner, connections), poke: make(chan struct{}, 1)}
	for range connections {
		p.places <- nil
	}
	return p
}

// use has ask done over one of the connections. One that turns out to be lost is replaced, and ask is asked once more. A caller who goes
// does not interrupt it, which would cost the connection. Errors are *Error.
func (p *provisioners) use(ctx context.Context, op string, ask func(context.Context, *provisioner) error) error {
	var c *provisioner
	select {
	case c = <-p.places:
	case <-ctx.Done():
		return unprovisioned(op, fmt.Errorf("its connections are busy: %w", ctx.Err()))
	}
	defer func() { p.places <- c }()
	for fresh := false; ; fresh = true {
		var err error
		if c == nil {
			fresh = true
			if c, err = p.connect(ctx, op); err != nil {
				return err
			}
		}
		attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), provisionTime)
		err = ask(attempt, c)
		cancel()
		if err == nil || !c.pg.IsClosed() {
			return unprovisioned(op, err)
		}
		c.end(ctx)
		c = nil
		if fresh || ctx.Err() != nil {
			return unprovisioned(op, err)
		}
	}
}

// connect opens a connection, or says at once why the last attempt failed if that was just now.
func (p *provisioners) connect(ctx context.Context, op string) (*provisioner, error) {
	p.mu.Lock()
	fault, retry := p.fault, p.retry
	p.mu.Unlock()
	if fault != nil && time.Now().Before(retry) {
		return nil, &Error{Source: SourceMinted, Kind: fault.Kind, Op: op, Err: fault.Err}
	}
	attempt, cancel := context.WithTimeout(ctx, provisionTime)
	defer cancel()
	conn, err := p.open(attempt)
	var c *provisioner
	if err == nil {
		c, err = provision(attempt, conn)
	}
	if err != nil {
		err := unprovisioned(op, err)
		var failure *Error
		if errors.As(err, &failure) && ctx.Err() == nil { // who has gone says nothing about the backend
			p.note(failure)
		}
		return nil, err
	}
	p.note(nil)
	return c, nil
}

// note records whether a connection could be opened. It logs only what changes: an outage asks many times.
func (p *provisioners) note(fault *Error) {
	p.mu.Lock()
	before := p.fault
	p.fault, p.known = fault, true
	if fault == nil {
		p.backoff = 0
	} else {
		p.backoff = min(max(2*p.backoff, firstReconnect), lastReconnect)
		p.retry = time.Now().Add(jitter(p.backoff))
	}
	p.mu.Unlock()
	switch {
	case before == nil && fault != nil:
		p.log.Error("the provisioning role cannot be used: no roles are made or dropped", "error", fault)
		select {
		case p.poke <- struct{}{}:
		default:
		}
	case before != nil && fault == nil:
		p.log.Info("the provisioning role can be used again")
		p.back()
	}
}

// tend looks after a connection until ctx ends, so that ready knows, and so that the way back is found without a login.
func (p *provisioners) tend(ctx context.Context) error {
	for ctx.Err() == nil {
		_ = p.look(ctx) // noted
		pause(ctx, p.untilLook(), p.poke)
	}
	return nil
}

func (p *provisioners) look(ctx context.Context) error {
	return p.use(ctx, "look after the provisioning role", func(ctx context.Context, c *provisioner) error { return c.ping(ctx) })
}

func (p *provisioners) untilLook() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault == nil {
		return heartbeat
	}
	return max(time.Until(p.retry), firstReconnect)
}

func (p *provisioners) wait(ctx context.Context) error {
	for {
		err := p.look(ctx)
		if err == nil {
			return nil
		}
		if pause(ctx, p.untilLook(), nil); ctx.Err() != nil {
			return err
		}
	}
}

func (p *provisioners) ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.fault != nil:
		return p.fault
	case !p.known:
		return unprovisioned("open provisioning connection", errors.New("not tried yet"))
	}
	return nil
}

// close closes the connections, and keeps their places: nothing is opened afterwards.
func (p *provisioners) close(ctx context.Context) error {
	for range cap(p.places) {
		select {
		case c := <-p.places:
			if c != nil {
				c.end(ctx)
			}
		case <-ctx.Done():
			return fmt.Errorf("close provisioning connections: %w", ctx.Err())
		}
	}
	return nil
}

// unprovisioned sorts an error; nil stays nil.
func unprovisioned(op string, err error) error {
	if err == nil {
		return nil
	}
	if failure, ok := errors.AsType[*Error](err); ok {
		return failure
	}
	kind := Unavailable
	var opening interface{ Unavailable() bool } // *backend.Error
	var said *pgconn.PgError
	switch {
	case errors.As(err, &opening):
		if !opening.Unavailable() {
			kind = Refused
		}
	case errors.As(err, &said):
		kind = kindOfSQLSTATE(said.Code)
		// Not its DETAIL, HINT or CONTEXT: statements have verifiers in them.
		err = fmt.Errorf("%s (SQLSTATE %s)", printable(said.Message, ""), said.Code)
	}
	return &Error{Source: SourceMinted, Kind: kind, Op: op, Err: err}
}

// kindOfSQLSTATE sorts the classes of https://www.postgresql.org/docs/current/errcodes-appendix.html: the connection, rollbacks, resources,
// what is in use, operators and the system pass; everything else stays.
func kindOfSQLSTATE(code string) Kind {
	for _, class := range []string{"08", "40", "53", "55", "57", "58", "XX"} {
		if strings.HasPrefix(code, class) {
			return Unavailable
		}
	}
	return Refused
}
