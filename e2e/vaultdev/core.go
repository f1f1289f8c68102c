package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/builtin/logical/database"
	"github.com/hashicorp/vault/plugins/database/postgresql"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// newCore returns an initialised, unsealed core and its root token. One key
// share opens it: there is nothing in its memory that outlives the process.
func newCore(ctx context.Context, address string, log hclog.Logger) (*vault.Core, string, error) {
	storage, err := inmem.NewInmem(nil, log.Named("storage"))
	if err != nil {
		return nil, "", fmt.Errorf("make storage: %w", err)
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:        storage,
		StorageType:     "inmem",
		Logger:          log,
		RedirectAddr:    address,
		DisableMlock:    true, // needs a capability, protects nothing in a development server
		BuiltinRegistry: registry{},
		LogicalBackends: map[string]logical.Factory{"database": database.Factory},
		CredentialBackends: map[string]logical.Factory{
			"approle":  approle.Factory,
			"userpass": userpass.Factory,
		},
	})
	if err != nil {
		return nil, "", fmt.Errorf("make core: %w", err)
	}
	seal := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	result, err := core.Initialize(ctx, &vault.InitParams{BarrierConfig: seal, RecoveryConfig: &vault.SealConfig{}})
	if err != nil {
		return nil, "", fmt.Errorf("initialise core: %w", err)
	}
	open, err := core.Unseal(result.SecretShares[0])
	if err == nil && !open {
		err = errors.New("one share is not enough")
	}
	if err != nil {
		return nil, "", fmt.Errorf("unseal core: %w", err)
	}
	return core, result.RootToken, nil
}

// registry is the list of plugins compiled in. Vault's own (helper/builtinplugins)
// links every database and cloud there is.
type registry struct{}

func (registry) lookup(name string, kind consts.PluginType) (func() (any, error), bool) {
	backend := func(factory logical.Factory) func() (any, error) {
		return func() (any, error) { return factory, nil }
	}
	switch {
	case name == "postgresql-database-plugin" && kind == consts.PluginTypeDatabase:
		return postgresql.New, true
	case name == "database" && kind == consts.PluginTypeSecrets:
		return backend(database.Factory), true
	case name == "approle" && kind == consts.PluginTypeCredential:
		return backend(approle.Factory), true
	case name == "userpass" && kind == consts.PluginTypeCredential:
		return backend(userpass.Factory), true
	}
	return nil, false
}

func (r registry) Contains(name string, kind consts.PluginType) bool {
	_, ok := r.lookup(name, kind)
	return ok
}

func (r registry) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	return r.lookup(name, kind)
}

func (registry) Keys(kind consts.PluginType) []string {
	switch kind {
	case consts.PluginTypeDatabase:
		return []string{"postgresql-database-plugin"}
	case consts.PluginTypeSecrets:
		return []string{"database"}
	case consts.PluginTypeCredential:
		return []string{"approle", "userpass"}
	}
	return nil
}

func (r registry) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, kind)
}

func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
