package credentials

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
	"golang.org/x/sync/errgroup"
)

// Vault issues credentials. Its methods may be called from many goroutines.
type Vault struct {
	cfg     VaultConfig
	log     *slog.Logger
	http    *http.Client
	revoker *Revoker
	ahead   *ahead
	gates   gates
	ledger  ledger
	poke    chan struct{} // one place: look after the login now

	requests sync.WaitGroup // issues whose caller may have gone

	mu      sync.Mutex
	current *login        // nil: not logged in
	retired []*login      // replaced, but leases still belong to them
	changed chan struct{} // closed and replaced whenever current is
	fault   error         // of the last attempt to reach Vault; nil: it went well
}

// NewVault checks the configuration and reads the CA file. It does not speak to Vault: Run does.
func NewVault(cfg VaultConfig, log *slog.Logger) (*Vault, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure vault: %w", err)
	}
	transport, err := newTransport(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure vault: %w", err)
	}
	if cfg.InsecurePlaintext {
		log.Warn("vault is spoken to without TLS if its address says http")
	}
	v := newVault(cfg, log, transport)
	if _, err := v.client(""); err != nil { // a VAULT_* variable that cannot be parsed makes the library refuse
		return nil, fmt.Errorf("configure vault: %w", err)
	}
	if err := v.ledger.openJournal(cfg.JournalFile); err != nil {
		return nil, fmt.Errorf("configure vault: %w", err)
	}
	return v, nil
}

func newVault(cfg VaultConfig, log *slog.Logger, transport http.RoundTripper) *Vault {
	v := &Vault{
		cfg:     cfg,
		log:     log,
		http:    &http.Client{Transport: bounded{transport}},
		poke:    make(chan struct{}, 1),
		changed: make(chan struct{}),
		ledger:  ledger{log: log},
	}
	v.revoker = NewRevoker(RevokerConfig{Revoke: v.Revoke, Settled: v.ledger.settled, AttemptTimeout: 2 * cfg.Timeout}, log)
	v.ahead = newAhead(cfg.Ahead, v.issueAhead, v.giveBack, log)
	return v
}

// Run logs in, keeps the login, issues ahead, and revokes what the Revoker is given, until ctx ends; then it returns nil. Leases that
// are still waiting are no longer revoked after that: call Drain before.
func (v *Vault) Run(ctx context.Context) error {
	v.ledger.sweep(v.revoker)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return v.keepLogin(ctx) })
	group.Go(func() error { return v.revoker.Run(ctx) })
	group.Go(func() error { return v.ahead.run(ctx) })
	return group.Wait()
}

// Revoker revokes in the background while Run runs.
func (v *Vault) Revoker() *Revoker { return v.revoker }

// Ready returns nil if a credential could be issued now, as far as is known: we are logged in, and Vault answered when last asked,
// which is no more than half a minute ago.
func (v *Vault) Ready() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.fault != nil:
		return v.fault
	case v.current == nil || v.current.expired(time.Now()):
		return &Error{Kind: Unavailable, Op: "log in", Err: errNotLoggedIn}
	}
	return nil
}

// Wait returns when there is a login to issue credentials with, or with the context's error.
func (v *Vault) Wait(ctx context.Context) error {
	_, err := v.successor(ctx, "log in", nil)
	return err
}

// Drain revokes what was issued ahead, and returns when nothing is being issued any more, also to those who did not wait for it, and nothing has to be revoked, or with an
// error that says what is left when ctx ends. Nobody issues anything meanwhile.
func (v *Vault) Drain(ctx context.Context) error {
	return drain(ctx, v.ahead, v.revoker, v.requests.Wait)
}

// drain stops what is issued ahead, and waits for it, for what else is being issued, and for the revocations.
func drain(ctx context.Context, a *ahead, r *Revoker, issued func()) error {
	a.stop()
	answered := make(chan struct{})
	go func() { // ends with the requests, which have a timeout each
		defer close(answered)
		a.requests.Wait()
		issued()
	}()
	select {
	case <-answered:
		return r.Drain(ctx)
	case <-ctx.Done():
		return fmt.Errorf("drain revocations: credentials are still being issued: %w", ctx.Err())
	}
}

// Close revokes the tokens that Run obtained by AppRole, and with them whatever leases are left; a token that was given to us is
// left alone. Call it when Run has returned.
func (v *Vault) Close(ctx context.Context) error {
	v.requests.Wait()
	v.mu.Lock()
	logins := v.retired
	if v.current != nil {
		logins = append(logins, v.current)
	}
	v.current, v.retired = nil, nil
	v.mu.Unlock()

	var errs []error
	for _, l := range logins {
		l.lose()
		if !l.own {
			continue
		}
		if err := l.client.Auth().Token().RevokeSelfWithContext(ctx, ""); err != nil {
			errs = append(errs, classify("revoke own token", err, l.token))
		}
	}
	v.http.CloseIdleConnections()
	return errors.Join(append(errs, v.ledger.closeJournal())...)
}

// login returns the current login.
func (v *Vault) login(op string) (*login, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.current == nil {
		return nil, &Error{Kind: Unavailable, Op: op, Err: errNotLoggedIn}
	}
	return v.current, nil
}

// reachable says whether the last attempt to reach Vault went well.
func (v *Vault) reachable() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.fault == nil
}

// successor waits until another login has taken l's place.
func (v *Vault) successor(ctx context.Context, op string, l *login) (*login, error) {
	for {
		v.mu.Lock()
		current, changed := v.current, v.changed
		v.mu.Unlock()
		if current != nil && current != l {
			return current, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, &Error{Kind: Unavailable, Op: op, Err: fmt.Errorf("%w: %w", errTokenLost, ctx.Err())}
		}
	}
}

// call asks Vault for something with one login and sorts the outcome: nil, or an *Error. A 403 may mean that policy forbids what was
// asked, or that the token has ended; Vault says the same for both, so it is asked which (lookup-self, which every login has done).
func (v *Vault) call(ctx context.Context, op string, l *login, ask func(*api.Client) (*api.Secret, error)) (*api.Secret, error) {
	secret, err := ask(l.client)
	if err == nil {
		v.note(nil)
		return secret, nil
	}
	failure := classify(op, err, l.token)
	switch {
	case failure.Status == http.StatusForbidden && (v.forgotten(l) || v.ended(ctx, l)):
		v.drop(l)
		return nil, &Error{Kind: Unavailable, Op: op, Status: failure.Status, Err: errTokenLost}
	case failure.Kind == Unavailable && ctx.Err() == nil && failure.Status != http.StatusInternalServerError:
		v.note(failure) // 500 is an error of the one role or its database, not of Vault
	}
	return nil, failure
}

// note records whether Vault could be reached, and has Run look if not.
func (v *Vault) note(fault error) {
	v.setFault(fault)
	if fault != nil {
		v.hurry()
	}
}

// setFault logs only what changes: an outage asks many times.
func (v *Vault) setFault(fault error) {
	v.mu.Lock()
	before := v.fault
	v.fault = fault
	v.mu.Unlock()
	switch {
	case before == nil && fault != nil:
		v.log.Error("vault cannot be used", "error", fault)
	case before != nil && fault == nil:
		v.log.Info("vault can be used again")
	}
}

// hurry has Run look after the login without waiting for its time.
func (v *Vault) hurry() {
	select {
	case v.poke <- struct{}{}:
	default:
	}
}
