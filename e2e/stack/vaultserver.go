package stack

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/vault/api"
)

// Vault is a development server: unsealed, in memory, plain HTTP on 127.0.0.1.
type Vault struct {
	Address string
	Token   string // root
	Client  *api.Client

	process *process
}

// startVault runs the vault found in PATH, or else the one of this repository.
func startVault(ctx context.Context, root, dir string, port int) (_ *Vault, err error) {
	v := &Vault{Address: "http://" + address(port)}
	tokenFile := filepath.Join(dir, "vault.root-token")
	c := command{name: "Vault", dir: dir, log: filepath.Join(dir, "vault.log")}
	if path, lookErr := exec.LookPath("vault"); lookErr == nil {
		v.Token = rand.Text()
		c.path, c.args = path, []string{"server", "-dev", "-dev-no-store-token", "-dev-listen-address=" + address(port)}
		c.env = []string{"VAULT_DEV_ROOT_TOKEN_ID=" + v.Token, "HOME=" + dir}
	} else {
		if c.path, err = binary(root, "vaultdev"); err != nil {
			return nil, err
		}
		c.args = []string{"-listen", address(port), "-token-file", tokenFile}
	}
	if v.process, err = start(c); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.Stop())
		}
	}()
	if err := v.process.ready(ctx, answers(v.Address+"/v1/sys/health")); err != nil {
		return nil, err
	}
	if v.Token == "" {
		if v.Token, err = v.readToken(ctx, tokenFile); err != nil {
			return nil, err
		}
	}
	config := api.DefaultConfig()
	config.Address = v.Address
	if v.Client, err = api.NewClient(config); err != nil {
		return nil, fmt.Errorf("make Vault client: %w", err)
	}
	v.Client.SetToken(v.Token)
	return v, nil
}

// readToken takes the root token out of the file it was handed over in.
func (v *Vault) readToken(ctx context.Context, path string) (string, error) {
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
