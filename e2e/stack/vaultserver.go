package stack

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/vault/api"

	"github.com/sallyport/sallyport/certs"
)

// Vault is a development server: unsealed, in memory, on 127.0.0.1.
type Vault struct {
	Address string
	CAFile  string // who issued its certificate; "": it speaks plain HTTP
	Token   string // root
	Client  *api.Client

	root      string // the repository's
	plugins   string // where they lie; "": they are built in
	unsealKey string // "": nobody can seal it and open it again
	process   *process
}

// startVault runs the vault found in PATH, or else the one of this repository.
func startVault(ctx context.Context, root, dir string, port int) (*Vault, error) {
	v := &Vault{Address: "http://" + address(port), root: root}
	tokenFile := filepath.Join(dir, "vault.root-token")
	c := command{name: "Vault", dir: dir, log: filepath.Join(dir, "vault.log")}
	if path, lookErr := exec.LookPath("vault"); lookErr == nil {
		v.Token = rand.Text()
		c.path, c.args = path, []string{"server", "-dev", "-dev-no-store-token", "-dev-listen-address=" + address(port)}
		c.env = []string{"VAULT_DEV_ROOT_TOKEN_ID=" + v.Token, "HOME=" + dir}
	} else {
		path, err := binary(root, "vaultdev")
		if err != nil {
			return nil, err
		}
		c.path = path
		c.args = []string{"-listen", address(port), "-token-file", tokenFile}
	}
	if err := v.start(ctx, c, tokenFile); err != nil {
		return nil, err
	}
	return v, nil
}

// SecureVault starts another Vault, which speaks TLS and asks its clients for a certificate. It issues credentials for the same backend.
func (s *Services) SecureVault(ctx context.Context, dir string) (*Vault, error) {
	path, err := binary(s.root, "vaultdev")
	if err != nil {
		return nil, err
	}
	chosen, err := port(0)
	if err != nil {
		return nil, err
	}
	local := certs.Request{CommonName: "vault", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true}
	if err := s.authority.WriteFiles(dir, "vault", local); err != nil {
		return nil, fmt.Errorf("issue Vault's certificate: %w", err)
	}
	v := &Vault{Address: "https://" + address(chosen), CAFile: s.CAFile, root: s.root, plugins: filepath.Dir(path)}
	tokenFile, keyFile := filepath.Join(dir, "vault.root-token"), filepath.Join(dir, "vault.unseal-key")
	c := command{name: "Vault", dir: dir, log: filepath.Join(dir, "vault.log"), path: path, args: []string{
		"-listen", address(chosen), "-token-file", tokenFile, "-unseal-key-file", keyFile, "-plugins", v.plugins,
		"-certificate", filepath.Join(dir, "vault.crt"), "-key", filepath.Join(dir, "vault.key"),
	}}
	if err := v.start(ctx, c, tokenFile); err != nil {
		return nil, err
	}
	v.unsealKey, err = v.readSecret(ctx, keyFile)
	if err = errors.Join(err, v.configure(ctx, s.Postgres, credentialTTL)); err != nil {
		return nil, errors.Join(fmt.Errorf("configure Vault: %w", err), v.Stop())
	}
	return v, nil
}

// start starts the server and waits for it. The root token may come from a file.
func (v *Vault) start(ctx context.Context, c command, tokenFile string) (err error) {
	if v.process, err = start(c); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.Stop())
		}
	}()
	config := api.DefaultConfig()
	config.Address = v.Address
	if v.CAFile != "" {
		if err := config.ConfigureTLS(&api.TLSConfig{CACert: v.CAFile}); err != nil {
			return fmt.Errorf("configure Vault client: %w", err)
		}
	}
	if v.Client, err = api.NewClient(config); err != nil {
		return fmt.Errorf("make Vault client: %w", err)
	}
	err = v.process.ready(ctx, func(ctx context.Context) error {
		_, err := v.Client.Sys().HealthWithContext(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if v.Token == "" {
		if v.Token, err = v.readSecret(ctx, tokenFile); err != nil {
			return err
		}
	}
	v.Client.SetToken(v.Token)
	return nil
}

// readSecret takes what opens the server out of the file it was handed over in.
func (v *Vault) readSecret(ctx context.Context, path string) (string, error) {
	var data []byte
	err := v.process.ready(ctx, func(context.Context) (err error) {
		data, err = os.ReadFile(path)
		return err
	})
	return string(bytes.TrimSpace(data)), err
}

// PID is the server's.
func (v *Vault) PID() int { return v.process.pid() }

// Stop ends the server; leases are not revoked.
func (v *Vault) Stop() error { return v.process.stop(syscall.SIGTERM, killAfter) }

// Suspend stops the server's process without ending it: connections hang, as
// they do when a machine is lost. Resume wakes it.
func (v *Vault) Suspend() error { return v.process.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume undoes [Vault.Suspend].
func (v *Vault) Resume() error { return v.process.cmd.Process.Signal(syscall.SIGCONT) }

// Seal has a [Services.SecureVault] answer nothing but that it is sealed. Unseal opens it again.
func (v *Vault) Seal(ctx context.Context) error { return v.Client.Sys().SealWithContext(ctx) }

// Unseal undoes [Vault.Seal].
func (v *Vault) Unseal(ctx context.Context) error {
	_, err := v.Client.Sys().UnsealWithContext(ctx, v.unsealKey)
	return err
}

// MountPKI mounts the PKI engine of a [Services.SecureVault].
func (v *Vault) MountPKI(ctx context.Context, mount string) error {
	const plugin = "vaultpki"
	program, err := os.ReadFile(filepath.Join(v.plugins, plugin))
	if err != nil {
		return fmt.Errorf("find the PKI engine: %w (run make bin/%s)", err, plugin)
	}
	sum := sha256.Sum256(program)
	err = v.Client.Sys().RegisterPluginWithContext(ctx, &api.RegisterPluginInput{
		Name: plugin, Type: api.PluginTypeSecrets, Command: plugin, SHA256: hex.EncodeToString(sum[:]),
	})
	if err != nil {
		return fmt.Errorf("register the PKI engine: %w", err)
	}
	if err := v.Client.Sys().MountWithContext(ctx, mount, &api.MountInput{Type: plugin}); err != nil {
		return fmt.Errorf("mount the PKI engine: %w", err)
	}
	return nil
}
