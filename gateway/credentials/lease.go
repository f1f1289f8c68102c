package credentials

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/xdg-go/scram"
)

// leaseHashBytes of SHA-256 tell leases apart; a lease id ends in 24 random characters, so the hash gives nothing away.
const leaseHashBytes = 16

// Source is where a credential comes from.
type Source string

// The sources.
const (
	SourceVault  Source = "vault"
	SourceMinted Source = "minted" // the gateway makes a role itself, see Minted
	SourceStatic Source = "static" // a database user that sessions share, see Static

	SourceVaultStatic Source = "vault-static" // a database user that sessions share, whose password Vault changes; see StaticRoles
	SourceVaultKV     Source = "vault-kv"     // a database user that sessions share, see KV
	SourceVaultPKI    Source = "vault-pki"    // a certificate for a database user, see PKI
)

// OfVault says whether Vault is asked.
func (s Source) OfVault() bool {
	return s == SourceVault || s == SourceVaultStatic || s == SourceVaultKV || s == SourceVaultPKI
}

// Lease is a credential and the time for which it holds. However it is printed, logged or marshalled, neither the password nor the
// lease id appears, as long as it is not an unexported field of something else: fmt calls no methods there.
type Lease struct {
	Source     Source
	ID         string // "": there is nothing to revoke
	Username   string
	Password   string    // "" when there is a certificate
	Version    int       // of a KV secret; 0: it has none
	Expires    time.Time // counted from before the request, so never later than the real end; zero: it has none
	Renewable  bool
	MaxExpires time.Time // renewals reach no further; zero: not known yet

	Certificate *tls.Certificate // what the backend is shown in place of a password; nil: nothing
	Stocked     bool             // it was issued ahead: whoever took it did not wait for its issue
	Keys        *scram.Client    // has derived the password's keys; nil: they are not known before the backend says the salt

	ttl    time.Duration // what was granted at first, and is asked for at each renewal
	parent *login        // the login whose end is the lease's; nil in a Lease not made here
}

// IDHash names the lease in logs and in the audit log: 32 hexadecimal digits of the SHA-256 of its id.
func (l Lease) IDHash() string {
	sum := sha256.Sum256([]byte(l.ID))
	return hex.EncodeToString(sum[:leaseHashBytes])
}

// Lost is closed when the gateway token that the lease belongs to has ended: Vault has dropped the role, or is about to, and the
// session must end. A nil channel is never closed.
func (l Lease) Lost() <-chan struct{} {
	if l.parent == nil {
		return nil
	}
	return l.parent.lost.Done()
}

// OnLost has f called, in a goroutine of its own, when Lost is closed, unless stop is called before. It is for those who wait for days: no
// goroutine waits meanwhile.
func (l Lease) OnLost(f func()) (stop func() bool) {
	if l.parent == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(l.parent.lost, f)
}

// String shows what may be shown.
func (l Lease) String() string {
	return fmt.Sprintf("lease %s of %q until %s", l.IDHash(), l.Username, l.Expires.UTC().Format(time.RFC3339))
}

// GoString is String: %#v shows no more than %v.
func (l Lease) GoString() string { return l.String() }

// Format is String under every verb: %d and %x would otherwise walk the fields. (fmt does not ask for %p and a misplaced %w; vet
// reports both.)
func (l Lease) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, l.String()) }

// LogValue is what slog shows.
func (l Lease) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("hash", l.IDHash()), slog.String("username", l.Username), slog.Time("expires", l.Expires))
}

// MarshalJSON is what encoding/json shows. A Lease cannot be read back from it.
func (l Lease) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Hash     string    `json:"hash"`
		Username string    `json:"username"`
		Expires  time.Time `json:"expires"`
	}{l.IDHash(), l.Username, l.Expires})
}

// MarshalText is String, for encoders that look for it.
func (l Lease) MarshalText() ([]byte, error) { return []byte(l.String()), nil }
