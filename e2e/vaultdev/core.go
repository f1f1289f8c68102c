package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/go-hclog"
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/builtin/logical/database"
	"github.com/hashicorp/vault/plugins/database/postgresql"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// secrets open a core: the root token, and the one share of its key. There is
// nothing in its memory that outlives the process.
type secrets struct {
	token string
	share []byte
}

// newCore returns an initialised, unsealed core and what opens it.
func newCore(ctx context.Context, address, plugins string, log hclog.Logger) (_ *vault.Core, s secrets, err error) {
	storage, err := inmem.NewInmem(nil, log.Named("storage"))
	if err != nil {
		return nil, s, fmt.Errorf("make storage: %w", err)
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		StorageType:        "inmem",
		Logger:             log,
		RedirectAddr:       address,
		DisableMlock:       true, // needs a capability, protects nothing in a development server
		BuiltinRegistry:    registry{},
		PluginDirectory:    plugins,
		LogicalBackends:    secretsEngines,
		CredentialBackends: authMethods,
	})
	if err != nil {
		return nil, s, fmt.Errorf("make core: %w", err)
	}
	seal := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	result, err := core.Initialize(ctx, &vault.InitParams{BarrierConfig: seal, RecoveryConfig: &vault.SealConfig{}})
	if err != nil {
		return nil, s, fmt.Errorf("initialise core: %w", err)
	}
	open, err := core.Unseal(result.SecretShares[0])
	if err == nil && !open {
		err = errors.New("one share is not enough")
	}
	if err != nil {
		return nil, s, fmt.Errorf("unseal core: %w", err)
	}
	return core, secrets{result.RootToken, result.SecretShares[0]}, nil
}

const postgresqlPlugin = "postgresql-database-plugin"

// What is compiled in. Vault's own list (helper/builtinplugins) links every database and cloud there is.
var (
	secretsEngines = map[string]logical.Factory{
		"database": database.Factory,
		"kv":       kv.Factory,
	}
	authMethods = map[string]logical.Factory{
		"approle":    approle.Factory,
		"cert":       cert.Factory,
		"jwt":        jwt.Factory,
		"kubernetes": kubernetes.Factory,
		"userpass":   userpass.Factory,
	}
)

// registry gives them to Vault as plugins.
type registry struct{}

func (registry) factories(kind consts.PluginType) map[string]logical.Factory {
	switch kind {
	case consts.PluginTypeSecrets:
		return secretsEngines
	case consts.PluginTypeCredential:
		return authMethods
	}
	return nil
}

func (r registry) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	if name == postgresqlPlugin && kind == consts.PluginTypeDatabase {
		return postgresql.New, true
	}
	factory, ok := r.factories(kind)[name]
	return func() (any, error) { return factory, nil }, ok
}

func (r registry) Contains(name string, kind consts.PluginType) bool {
	_, ok := r.Get(name, kind)
	return ok
}

func (r registry) Keys(kind consts.PluginType) []string {
	if kind == consts.PluginTypeDatabase {
		return []string{postgresqlPlugin}
	}
	return slices.Sorted(maps.Keys(r.factories(kind)))
}

func (r registry) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, kind)
}

func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
