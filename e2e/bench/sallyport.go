package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/e2e/stack"
)

const (
	sallyportName  = "Sallyport"
	unauditedName  = "Sallyport, no log"
	unauditedWhere = "its audit log is " + os.DevNull
)

// gateway is Sallyport as the demo runs it, the built program with the default
// policy, the catalog and a Vault: every statement is judged, and is in the
// audit log before it is forwarded.
type gateway struct {
	*stack.Gateway
	operator

	log   *auditLog // nil: it is not kept
	heard int       // statements allowed, by the metrics
}

func startAudited(ctx context.Context, b *bench) (*target, error) {
	return b.startSallyport(ctx, true)
}

func startUnaudited(ctx context.Context, b *bench) (*target, error) {
	t, err := b.startSallyport(ctx, false)
	if err == nil {
		t.version += ", " + unauditedWhere
	}
	return t, err
}

func (b *bench) startSallyport(ctx context.Context, audited bool, edit ...func(*stack.GatewayConfig)) (*target, error) {
	dir, err := b.newDir("sallyport")
	if err != nil {
		return nil, err
	}
	version, err := sallyportVersion(ctx, b.root)
	if err != nil {
		return nil, err
	}
	tokens, err := b.services.Login(ctx, stack.Engineer)
	if err != nil {
		return nil, err
	}
	started, err := b.services.StartGateway(ctx, stack.GatewayOptions{
		Dir: dir, EditPolicies: grantChannel,
		Edit: func(c *stack.GatewayConfig) {
			if !audited {
				c.Audit.File = os.DevNull
			}
			c.Limits, c.Admin.Profiles = map[string]int{"connections": maxConnections}, true
			c.Vault.Ahead = ahead
			for _, f := range edit {
				f(c)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	g := &gateway{Gateway: started, operator: operator{started.AdminURL, started.AdminToken}}
	if audited {
		g.log = &auditLog{path: started.Audit}
	}
	logins := [accounts]login{
		reader: {user: stack.Service, password: started.ServicePassword},
		writer: {user: stack.Engineer, password: tokens.ID},
	}
	for a := range logins {
		logins[a].port, logins[a].caFile = started.Port, started.CAFile
	}
	return &target{version: version, roles: "v-%", proxy: g, logins: logins}, nil // the names that Vault gives
}

// ahead is the gateway's own default, which the tests do without.
const ahead = 2

// channel is what is listened on.
const channel = "bench"

// grantChannel lets those who read listen, which the default policy does for
// no channel; it is the one change to it.
func grantChannel(directory string) error {
	path := filepath.Join(directory, "data.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var data map[string]any
	if err := yaml.Unmarshal(text, &data); err != nil {
		return err
	}
	app := data
	for _, key := range []string{"access", "roles", "readonly", "databases", stack.App} {
		if app, _ = app[key].(map[string]any); app == nil {
			return fmt.Errorf("%s has no %s of the role readonly's", path, key)
		}
	}
	app["channels"] = map[string]any{channel: []string{"listen"}}
	if text, err = yaml.Marshal(data); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

func (g *gateway) pid() int    { return g.PID() }
func (g *gateway) stop() error { return g.Stop() }

// settle waits for the revocations, which are work for PostgreSQL and Vault,
// and verifies that every transaction's statement was allowed and audited.
func (g *gateway) settle(ctx context.Context, transactions int) error {
	var now metrics
	err := poll(ctx, func(ctx context.Context) (err error) {
		if now, err = g.metrics(ctx); err == nil && now.sessions+now.pending > 0 {
			err = fmt.Errorf("%d sessions and %d revocations are left", now.sessions, now.pending)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for the end of sessions: %w", err)
	}
	judged := now.allowed - g.heard
	g.heard = now.allowed
	if judged < transactions {
		return fmt.Errorf("%d transactions, but only %d statements were judged", transactions, judged)
	}
	if g.log == nil {
		return nil
	}
	audited, err := g.log.statements()
	if err != nil {
		return err
	}
	if audited < transactions {
		return fmt.Errorf("%d transactions, but only %d statements in the audit log", transactions, audited)
	}
	return nil
}

// sallyportVersion is what the program says, and the commit of the checkout it
// was built in: a build need not be stamped with it.
func sallyportVersion(ctx context.Context, root string) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(root, "bin", "sallyport"), "version").Output()
	if err != nil {
		return "", fmt.Errorf("ask sallyport for its version: %w; make bin/sallyport builds it", err)
	}
	describe := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12")
	describe.Dir = root
	if commit, err := describe.Output(); err == nil {
		return firstLine(out) + ", commit " + firstLine(commit), nil
	}
	return firstLine(out), nil // not a checkout
}
