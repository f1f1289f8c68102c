package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sallyport/sallyport/e2e/stack"
)

const sallyportName = "Sallyport"

// readers is the role in Vault that the default policy gives the service account.
const readers = "app-readonly"

// gateway is Sallyport as the demo runs it: the default policy judges every
// statement, the audit log takes every statement before it is forwarded.
type gateway struct {
	*stack.Gateway
	vault   *stack.Vault
	audited int64 // bytes of the audit log that were looked at
}

func (b *bench) startSallyport(ctx context.Context) (*target, error) {
	dir := b.path("sallyport")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	version, err := sallyportVersion(ctx, b.root)
	if err != nil {
		return nil, err
	}
	started, err := b.services.StartGateway(ctx, stack.GatewayOptions{Dir: dir})
	if err != nil {
		return nil, err
	}
	return &target{
		name: sallyportName, version: version,
		roles: "v-%", // Vault's names
		env:   connection(started.Port, stack.Service, started.ServicePassword, started.CAFile),
		proxy: &gateway{Gateway: started, vault: b.services.Vault},
	}, nil
}

func (g *gateway) pid() int    { return g.PID() }
func (g *gateway) stop() error { return g.Stop() }

// settle waits for the revocations, which are work for PostgreSQL and Vault,
// and verifies that every transaction's statement was allowed and audited.
func (g *gateway) settle(ctx context.Context, transactions int) error {
	err := poll(ctx, func(ctx context.Context) error {
		leases, err := g.vault.Leases(ctx, readers)
		if err == nil && leases > 0 {
			err = fmt.Errorf("%d leases are left", leases)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for revocations: %w", err)
	}
	judged, err := g.statements()
	if err != nil {
		return fmt.Errorf("read audit log: %w", err)
	}
	if judged < transactions {
		return fmt.Errorf("%d transactions, but only %d statements in the audit log", transactions, judged)
	}
	return nil
}

// statements counts those that were allowed since it was asked last.
func (g *gateway) statements() (int, error) {
	f, err := os.Open(g.Audit)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err := f.Seek(g.audited, io.SeekStart); err != nil {
		return 0, err
	}
	n, read, err := allowedStatements(f)
	g.audited += read
	return n, err
}

// maxAuditLine is far above a line about a statement of pgbench's.
const maxAuditLine = 1 << 20

// allowedStatements counts them in lines of the audit log, and the bytes of it.
func allowedStatements(log io.Reader) (n int, read int64, err error) {
	lines := bufio.NewReaderSize(log, maxAuditLine)
	for {
		line, err := lines.ReadSlice('\n')
		read += int64(len(line))
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return n, read, nil
		}
		if err != nil {
			return n, read, err // half a line is one too
		}
		if bytes.Contains(line, []byte(`"type":"statement"`)) && bytes.Contains(line, []byte(`"decision":"allow"`)) {
			n++
		}
	}
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
