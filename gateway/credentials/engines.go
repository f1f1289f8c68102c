package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hashicorp/vault/api"
)

// StaticRoles gives sessions the credentials of Vault's static database roles
// (https://developer.hashicorp.com/vault/docs/secrets/databases#static-roles): database users that are there already, whose passwords
// Vault changes from time to time. All sessions of a role share one. A password that Vault changes ends no session, and one that was read
// may be the old one already: who is refused with it reads again.
type StaticRoles struct {
	vault *Vault
	unleased
}

// StaticRoles are those of the database secrets engine.
func (v *Vault) StaticRoles() *StaticRoles { return &StaticRoles{v, unleased{SourceVaultStatic}} }

// Take reads the role's user and password (GET <mount>/static-creds/<role>). The lease has no id and no end.
func (s *StaticRoles) Take(ctx context.Context, role string) (Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.Issue(ctx, role)
}

// Issue is Take without its patience.
func (s *StaticRoles) Issue(ctx context.Context, role string) (Lease, error) {
	if !segment.MatchString(role) {
		return Lease{}, s.refused("that is no role name")
	}
	path := s.vault.cfg.Mount + "/static-creds/" + role
	return s.vault.get(ctx, path, func(ctx context.Context, l *login) (Lease, error) {
		secret, err := s.vault.read(ctx, l, path)
		if err != nil {
			return Lease{}, err
		}
		return s.lease(secret.Data)
	})
}

// KV gives sessions a user and a password that lie in the key/value engine, version 2
// (https://developer.hashicorp.com/vault/docs/secrets/kv/kv-v2), under the keys "username" and "password". All sessions of a role share
// them, and nobody but who has put them there changes them.
type KV struct {
	vault *Vault
	mount string
	unleased
}

// KV is the key/value engine that is mounted there.
func (v *Vault) KV(mount string) *KV { return &KV{v, mount, unleased{SourceVaultKV}} }

// Take reads the newest version of what lies at the path (GET <mount>/data/<path>). The lease has no id and no end.
func (k *KV) Take(ctx context.Context, path string) (Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return k.Issue(ctx, path)
}

// Issue is Take without its patience.
func (k *KV) Issue(ctx context.Context, path string) (Lease, error) {
	if !ValidPath(path) || !ValidPath(k.mount) {
		return Lease{}, k.refused("that is no path")
	}
	path = k.mount + "/data/" + path
	return k.vault.get(ctx, path, func(ctx context.Context, l *login) (Lease, error) {
		secret, err := k.vault.read(ctx, l, path)
		if err != nil {
			return Lease{}, err
		}
		return k.newest(secret)
	})
}

// newest is the credential in an answer. A version that was deleted has metadata and no data.
func (k *KV) newest(secret *api.Secret) (Lease, error) {
	data, _ := secret.Data["data"].(map[string]any)
	metadata, _ := secret.Data["metadata"].(map[string]any)
	number, _ := metadata["version"].(json.Number)
	version, err := number.Int64()
	if err != nil {
		return Lease{}, k.refused("what lies there has no version: the engine is not key/value, version 2")
	}
	lease, err := k.lease(data)
	lease.Version = int(version)
	return lease, err
}

// unleased is what sources have in common whose credentials nobody issues, renews or revokes.
type unleased struct{ source Source }

// Renew is never needed.
func (u unleased) Renew(context.Context, Lease) (Lease, error) {
	return Lease{}, &Error{Source: u.source, Kind: Refused, Op: "renew lease", Err: fmt.Errorf("a credential of %s has no lease", u.source)}
}

// Revoker is nil: there is nothing to revoke.
func (u unleased) Revoker() *Revoker { return nil }

// lease is the credential in an answer's data.
func (u unleased) lease(data map[string]any) (Lease, error) {
	lease := Lease{Source: u.source}
	lease.Username, _ = data["username"].(string)
	lease.Password, _ = data["password"].(string)
	if lease.Username == "" || lease.Password == "" {
		return Lease{}, u.refused("there are no username and password in it")
	}
	return lease, nil
}

func (u unleased) refused(why string) error {
	return &Error{Source: u.source, Kind: Refused, Op: opIssue, Err: errors.New(why)}
}
