package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/e2e/stack"
)

// The ports, where they are free. Only the gateway's has to be.
const (
	gatewayPort  = 6432
	postgresPort = 5433
	vaultPort    = 8200
	openIDPort   = 5556
	adminPort    = 9187
)

// up runs the demo until ctx ends.
func up(ctx context.Context, root, dir string, out io.Writer) (err error) {
	port, err := clientPort()
	if err != nil {
		return err
	}
	lock, err := acquire(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	began := time.Now()
	parts := "PostgreSQL, Vault, an OpenID provider"
	if withoutVault() {
		parts = "PostgreSQL, an OpenID provider"
	}
	fmt.Fprintf(out, "Starting %s and Sallyport …\n", parts)
	d, err := assemble(ctx, root, dir, port)
	if err != nil {
		return err // the logs stay, to be looked at
	}
	// The file's appearance says that everything is up.
	if err := writeEnv(filepath.Join(dir, envFile), d.variables()); err != nil {
		return errors.Join(err, d.stop())
	}
	fmt.Fprintf(out, "Up after %.1f s.\n\n", time.Since(began).Seconds())
	d.describe(out)
	select {
	case <-ctx.Done():
	case <-d.gateway.Done():
		// Somebody may have wanted this, to see what happens.
		fmt.Fprintf(out, "\nThe gateway has ended. The rest goes on until Ctrl-C. To start it again:\n  %s\n", d.restartCommand())
		<-ctx.Done()
	}
	fmt.Fprintln(out, "\nStopping …")
	if err := d.stop(); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// clientPort is DEMO_PORT or the default. A port that was asked for is not replaced by another.
func clientPort() (int, error) {
	asked := os.Getenv("DEMO_PORT")
	if asked == "" {
		return gatewayPort, nil
	}
	port, err := strconv.ParseUint(asked, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("DEMO_PORT=%s is not a port", asked)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", asked))
	if err != nil {
		return 0, fmt.Errorf("use DEMO_PORT=%s: %w", asked, err)
	}
	return int(port), listener.Close()
}

// withoutVault says whether the gateway is to make the roles of its sessions itself.
func withoutVault() bool { return os.Getenv("VAULT") == "off" }

// issueAhead has credentials lie ready, as they do by default.
func issueAhead(c *stack.GatewayConfig) {
	for _, database := range c.Databases {
		if database.Minted != nil {
			database.Minted.Ahead = 2
		}
	}
	if !withoutVault() {
		c.Vault.Ahead = 2
	}
}

// demo is what is running.
type demo struct {
	dir      string
	services *stack.Services
	gateway  *stack.Gateway
	tokens   map[string]string // by account
	operator string            // the operator's token, for the control API
}

func assemble(ctx context.Context, root, dir string, port int) (_ *demo, err error) {
	d := &demo{dir: dir, tokens: make(map[string]string)}
	d.services, err = stack.Start(ctx, stack.Config{
		Root: root, Dir: dir, PostgresPort: postgresPort, VaultPort: vaultPort, OpenIDPort: openIDPort,
		WithoutVault: withoutVault(),
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.stop())
		}
	}()
	d.gateway, err = d.services.StartGateway(ctx, stack.GatewayOptions{
		Dir: dir, Port: port, AdminPort: adminPort, Edit: issueAhead,
	})
	if err != nil {
		return nil, err
	}
	for _, account := range []string{stack.Analyst, stack.Engineer, stack.DBA, stack.OAuth} {
		tokens, err := d.services.Login(ctx, account)
		if err != nil {
			return nil, err
		}
		d.tokens[account] = tokens.ID
	}
	d.operator, err = d.services.OperatorToken(ctx, stack.Operator)
	return d, err
}

// stop ends the gateway first: it revokes what its sessions hold.
func (d *demo) stop() error {
	var err error
	if d.gateway != nil {
		err = d.gateway.Stop()
	}
	return errors.Join(err, d.services.Stop())
}
