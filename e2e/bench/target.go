package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/e2e/stack"
)

// target is one way to PostgreSQL.
type target struct {
	name    string
	version string
	env     []string // for libpq
	roles   string   // LIKE pattern of the roles that its sessions have in PostgreSQL
	proxy   proxy
}

// proxy is what stands between a client and PostgreSQL.
type proxy interface {
	// pid is its process, 0 when nothing stands there.
	pid() int
	// settle waits until nothing of the last run goes on, and verifies that
	// the proxy did for its transactions what it is there for.
	settle(ctx context.Context, transactions int) error
	// stop ends it.
	stop() error
}

// starters start the targets, in the order of the tables. What they compare
// with comes first.
func starters() []starter {
	return []starter{
		{directName, (*bench).startDirect},
		{pgbouncerName, (*bench).startPgBouncer},
		{sallyportName, (*bench).startSallyport},
	}
}

type starter struct {
	name  string
	start func(*bench, context.Context) (*target, error)
}

func targetNames() []string {
	var names []string
	for _, s := range starters() {
		names = append(names, s.name)
	}
	return names
}

// startTargets starts the named ones.
func (b *bench) startTargets(ctx context.Context, names []string) error {
	all := starters()
	for _, name := range names {
		if !slices.Contains(targetNames(), name) {
			return fmt.Errorf("there is no target %q", name)
		}
	}
	for _, s := range all {
		if !slices.Contains(names, s.name) {
			continue
		}
		t, err := s.start(b, ctx)
		if err != nil {
			return fmt.Errorf("start %s: %w", s.name, err)
		}
		b.targets = append(b.targets, t)
	}
	return nil
}

// connection is what libpq is told.
func connection(port int, user, password, caFile string, more ...string) []string {
	return append([]string{
		// The address too: localhost may be ::1 first, where nobody listens.
		"PGHOST=localhost", "PGHOSTADDR=127.0.0.1", "PGPORT=" + strconv.Itoa(port), "PGDATABASE=" + stack.App,
		"PGUSER=" + user, "PGPASSWORD=" + password, "PGSSLMODE=verify-full", "PGSSLROOTCERT=" + caFile,
		"PGGSSENCMODE=disable", "PGCONNECT_TIMEOUT=10",
	}, more...)
}

// certificate is what PostgreSQL wants to see besides a password.
func (b *bench) certificate() []string {
	return []string{"PGSSLCERT=" + b.services.ClientCertificate, "PGSSLKEY=" + b.services.ClientKey}
}

const directName = "direct TLS"

// nothing is the proxy of who has none.
type nothing struct{}

func (nothing) pid() int                          { return 0 }
func (nothing) settle(context.Context, int) error { return nil }
func (nothing) stop() error                       { return nil }

func (b *bench) startDirect(ctx context.Context) (*target, error) {
	const role = "bench_direct"
	password, err := b.createRole(ctx, role)
	if err != nil {
		return nil, err
	}
	version, err := b.query(ctx, "SELECT 'PostgreSQL ' || current_setting('server_version')")
	if err != nil {
		return nil, err
	}
	return &target{
		name: directName, version: version, roles: role, proxy: nothing{},
		env: connection(b.services.Postgres.Port, role, password, b.services.CAFile, b.certificate()...),
	}, nil
}

const (
	// settleTimeout bounds the wait for what a run leaves behind, on a busy machine.
	settleTimeout = 30 * time.Second
	// pollInterval is the pace of asking whether something is so yet.
	pollInterval = 20 * time.Millisecond
)

// poll repeats probe until it returns nil, and gives up with its last error.
func poll(ctx context.Context, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// firstLine is that of a program's output.
func firstLine(out []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }
