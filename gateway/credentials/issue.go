package credentials

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/vault/api"
)

// capSlack is how much shorter than asked a granted duration may be without meaning that the end is near: Vault counts in seconds.
const capSlack = 2 * time.Second

// opIssue is what errors say was done.
const opIssue = "issue credential"

// Issue has Vault make a role with the named role's creation statements (GET <mount>/creds/<role>). Errors are *Error. If the
// gateway's token turns out to have ended, Issue waits, within ctx, for Run to have logged in again.
func (v *Vault) Issue(ctx context.Context, role string) (Lease, error) {
	if !segment.MatchString(role) {
		return Lease{}, &Error{Kind: Refused, Op: opIssue, Err: errors.New("that is no role name")}
	}
	return v.get(ctx, role, func(ctx context.Context, l *login) (Lease, error) { return v.issue(ctx, l, role) })
}

// engine asks one of Vault's secrets engines for a credential, with one login.
type engine func(context.Context, *login) (Lease, error)

// get asks an engine, and once more when the gateway has logged in again. name tells what is asked for from everything else.
func (v *Vault) get(ctx context.Context, name string, ask engine) (Lease, error) {
	l, err := v.login(opIssue)
	if err != nil && v.reachable() { // the next login is on its way
		l, err = v.successor(ctx, opIssue, nil)
	}
	if err != nil {
		return Lease{}, err
	}
	lease, err := v.getDetached(ctx, l, name, ask)
	if !errors.Is(err, errTokenLost) {
		return lease, err
	}
	if l, err = v.successor(ctx, opIssue, l); err != nil {
		return Lease{}, err
	}
	return v.getDetached(ctx, l, name, ask)
}

// getDetached goes on asking when the caller has gone, and then revokes what it got: a request that is broken off may have made a
// role, whose lease id nobody has.
func (v *Vault) getDetached(ctx context.Context, l *login, name string, ask engine) (Lease, error) {
	type outcome struct {
		lease Lease
		err   error
	}
	visit, err := v.gates.enter(ctx, name)
	if err != nil {
		return Lease{}, err
	}
	result := make(chan outcome) // unbuffered: the caller has the lease, or we know that it has not
	v.requests.Go(func() {
		lease, err := ask(context.WithoutCancel(ctx), l) // each request has the configured timeout
		if visit.again(ctx, err) {
			lease, err = ask(context.WithoutCancel(ctx), l)
		}
		visit.leave(err)
		select {
		case result <- outcome{lease, err}:
		case <-ctx.Done():
			if err == nil {
				v.giveBack(lease)
			}
		}
	})
	select {
	case got := <-result:
		return got.lease, got.err
	case <-ctx.Done():
		return Lease{}, &Error{Kind: Unavailable, Op: opIssue, Err: ctx.Err()}
	}
}

// giveBack revokes what nobody uses, if that can be revoked.
func (v *Vault) giveBack(lease Lease) {
	if lease.ID != "" {
		v.revoker.Revoke(lease)
	}
}

func (v *Vault) issue(ctx context.Context, l *login, role string) (Lease, error) {
	started := time.Now()
	secret, err := v.read(ctx, l, v.cfg.Mount+"/creds/"+role)
	if err != nil {
		return Lease{}, err
	}
	lease := Lease{Source: SourceVault, ID: secret.LeaseID, Renewable: secret.Renewable, ttl: seconds(secret.LeaseDuration), parent: l}
	lease.Username, _ = secret.Data["username"].(string)
	lease.Password, _ = secret.Data["password"].(string)
	lease.Expires = started.Add(lease.ttl)
	if lease.ID == "" || lease.Username == "" || lease.Password == "" || lease.ttl <= 0 {
		v.giveBack(lease)
		return Lease{}, &Error{Kind: Unavailable, Op: opIssue, Err: errMalformed}
	}
	if err := v.ledger.remember(role, lease, started); err != nil {
		v.revoker.Revoke(lease)
		return Lease{}, &Error{Kind: Unavailable, Op: opIssue, Err: err}
	}
	return v.capped(lease), nil
}

// read is a GET of a credential.
func (v *Vault) read(ctx context.Context, l *login, path string) (*api.Secret, error) {
	secret, err := v.call(ctx, opIssue, l, func(client *api.Client) (*api.Secret, error) {
		return client.Logical().ReadWithContext(ctx, path)
	})
	if err == nil && secret == nil { // what the library makes of a 404: nothing is mounted there
		err = &Error{Kind: Refused, Op: opIssue, Err: errors.New("nothing there")}
	}
	return secret, err
}

// capped ends a lease no later than a token that is known to end.
func (v *Vault) capped(lease Lease) Lease {
	v.mu.Lock()
	defer v.mu.Unlock()
	l := lease.parent
	if l == nil || l.renewable || l.expires.IsZero() || l.expires.After(lease.Expires) {
		return lease
	}
	lease.Expires, lease.MaxExpires = l.expires, l.expires
	return lease
}

// Renew asks for as much time as the lease had at first (POST sys/leases/renew) and returns it with its new end, which may be
// earlier than asked; MaxExpires is set once it is. Errors are *Error; the old lease and its end remain valid then, unless it is
// Refused, when the lease may be gone.
func (v *Vault) Renew(ctx context.Context, lease Lease) (Lease, error) {
	const op = "renew lease"
	if !lease.Renewable {
		return Lease{}, &Error{Kind: Refused, Op: op, Err: errors.New("the lease is not renewable")}
	}
	l, err := v.login(op)
	if err != nil {
		return Lease{}, err
	}
	started := time.Now()
	secret, err := v.call(ctx, op, l, func(client *api.Client) (*api.Secret, error) {
		return client.Logical().WriteWithContext(ctx, "sys/leases/renew", map[string]any{
			"lease_id": lease.ID, "increment": int(lease.ttl / time.Second),
		})
	})
	if err != nil {
		return Lease{}, err
	}
	if secret == nil || secret.LeaseID != lease.ID || seconds(secret.LeaseDuration) == 0 {
		return Lease{}, &Error{Kind: Unavailable, Op: op, Err: errMalformed}
	}
	granted := seconds(secret.LeaseDuration)
	lease.Expires = started.Add(granted)
	lease.Renewable = secret.Renewable
	if granted < lease.ttl-capSlack {
		lease.MaxExpires = lease.Expires
	}
	return v.capped(lease), nil
}

// Revoke has Vault run the revocation statements and waits for their end (sync). If they fail, as DROP ROLE does for a role that
// owns something, Vault is asked to queue the revocation, and the error is ErrQueued. A lease that is already gone is success.
// Sessions hand their lease to the Revoker instead, which keeps trying.
func (v *Vault) Revoke(ctx context.Context, lease Lease) error {
	const op = "revoke lease"
	l, err := v.login(op)
	if err != nil {
		return err
	}
	if mount, serial, ok := certificateOf(lease.ID); ok {
		return v.revokeCertificate(ctx, l, mount, serial)
	}
	err = v.revoke(ctx, op, l, lease, true)
	failure, ok := errors.AsType[*Error](err)
	if !ok || failure.Status != 500 && failure.Status != 400 {
		return err
	}
	if queueErr := v.revoke(ctx, op, l, lease, false); queueErr != nil {
		return err
	}
	return &Error{Kind: Unavailable, Op: op, Status: failure.Status, Err: errors.Join(ErrQueued, failure.Err)}
}

// revoke sends the lease id in the body: in the path, as the library's Sys().Revoke… has it, it would be in every network error.
func (v *Vault) revoke(ctx context.Context, op string, l *login, lease Lease, sync bool) error {
	_, err := v.call(ctx, op, l, func(client *api.Client) (*api.Secret, error) {
		return client.Logical().WriteWithContext(ctx, "sys/leases/revoke", map[string]any{"lease_id": lease.ID, "sync": sync})
	})
	return err
}

// seconds is 0 for what is no time: negative, or more than ten years, far from where a time.Duration overflows.
func seconds(n int) time.Duration {
	if n < 0 || n > 10*365*24*3600 {
		return 0
	}
	return time.Duration(n) * time.Second
}
