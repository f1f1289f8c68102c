package credentials

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// maxSecretFile is longer than any token; Vault's batch tokens are some hundred bytes.
const maxSecretFile = 16 << 10

// login is one token and what hangs on it. Vault.mu guards what changes.
type login struct {
	client *api.Client
	token  string
	own    bool // we obtained it, and may revoke it

	full      time.Duration // its time to live at login
	expires   time.Time     // zero: never
	renewAt   time.Time     // zero: never
	renewable bool

	lost context.Context // ends when the token has; nothing else is in it
	lose context.CancelFunc
}

func (l *login) expired(now time.Time) bool { return !l.expires.IsZero() && !now.Before(l.expires) }

// logIn obtains a token and has Vault describe it. That also proves that the token may look itself up; otherwise a later 403 could
// not be told from the token's end.
func (v *Vault) logIn(ctx context.Context) (*login, error) {
	const op = "log in"
	token, err := v.obtain(ctx)
	if err != nil {
		return nil, classify(op, err, "")
	}
	client, err := v.client(token)
	if err != nil {
		return nil, classify(op, err, token)
	}
	l := &login{client: client, token: token, own: v.cfg.method() != nil}
	l.lost, l.lose = context.WithCancel(context.Background())
	started := time.Now()
	secret, err := client.Auth().Token().LookupSelfWithContext(ctx)
	if err != nil {
		return nil, classify("look up own token", err, token)
	}
	if err := l.describe(started, secret); err != nil {
		return nil, classify("look up own token", err, token)
	}
	l.full = l.expires.Sub(started)
	return l, nil
}

// readSecret reads a file that holds one word.
func readSecret(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open secret file: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err != nil {
		return "", fmt.Errorf("read secret file: %w", err)
	}
	word := strings.TrimSpace(string(text))
	if word == "" || len(text) > maxSecretFile || strings.ContainsAny(word, " \t\r\n\x00") {
		return "", fmt.Errorf("read secret file %s: it does not hold exactly one word", path)
	}
	return word, nil
}

// describe takes a token's time to live from the answer to lookup-self or renew-self.
func (l *login) describe(started time.Time, secret *api.Secret) error {
	ttl, err := secret.TokenTTL()
	if err != nil || secret == nil || ttl < 0 {
		return errMalformed
	}
	renewable, err := secret.TokenIsRenewable()
	if err != nil {
		return errMalformed
	}
	l.renewable = renewable && ttl > 0
	if ttl == 0 { // a root token
		l.expires, l.renewAt = time.Time{}, time.Time{}
		return nil
	}
	l.expires = started.Add(ttl)
	l.renewAt = started.Add(jitter(ttl * 2 / 3))
	return nil
}

// ended asks Vault whether it still knows the login's token.
func (v *Vault) ended(ctx context.Context, l *login) bool {
	_, err := l.client.Auth().Token().LookupSelfWithContext(ctx)
	response, ok := errors.AsType[*api.ResponseError](err)
	return ok && response.StatusCode == http.StatusForbidden
}

// drop forgets a login whose token has ended, and tells whoever holds its leases.
func (v *Vault) drop(l *login) {
	v.mu.Lock()
	v.retired = slices.DeleteFunc(v.retired, func(other *login) bool { return other == l })
	if v.current == l {
		v.current = nil
		v.announce()
		v.hurry()
	}
	v.mu.Unlock()
	l.lose()
}

// dropExpired drops a login at the end of its token, whether or not another could be obtained.
func (v *Vault) dropExpired(l *login) {
	v.mu.Lock()
	over := l.expired(time.Now())
	v.mu.Unlock()
	if over {
		v.drop(l)
	}
}

// adopt makes l the current login, unless that has the same token: then the old one stays, whose leases are still good. Leases of
// a login that is replaced go on until its token ends.
func (v *Vault) adopt(l *login) *login {
	v.setFault(nil)
	v.mu.Lock()
	defer v.mu.Unlock()
	old := v.current
	switch {
	case old == nil:
	case old.token == l.token:
		return old
	default:
		v.retired = append(v.retired, old)
	}
	v.current = l
	v.announce()
	return l
}

// announce wakes who waits for another login. Vault.mu is held.
func (v *Vault) announce() {
	close(v.changed)
	v.changed = make(chan struct{})
}
