// Command vaultpki is the PKI secrets engine of HashiCorp Vault, as a plugin
// of the development Vault: the tests of Sallyport mount it there.
//
// It is a module of its own, apart from e2e/vaultdev, because the release of
// Vault's SDK that its core compiles with lacks what this engine needs, and
// the other way about. Like the core it is never linked into Sallyport.
//
// Vault starts it, and talks to it over a socket of its own.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/builtin/logical/pki"
	"github.com/hashicorp/vault/sdk/plugin"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	meta := &api.PluginAPIClientMeta{}
	if err := meta.FlagSet().Parse(args); err != nil {
		return 2
	}
	err := plugin.ServeMultiplex(&plugin.ServeOpts{
		BackendFactoryFunc: pki.Factory,
		TLSProviderFunc:    api.VaultPluginTLSProvider(meta.GetTLSConfig()),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "vaultpki:", err)
		return 1
	}
	return 0
}
