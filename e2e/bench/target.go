package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// target is one way to PostgreSQL.
type target struct {
	name    string
	version string
	logins  [accounts]login
	roles   string // LIKE pattern of the roles that its sessions have in PostgreSQL
	proxy   proxy
	// again starts another one like it.
	again func(context.Context, *bench) (*target, error)
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

// starter starts a target; its key is what the command line calls it.
type starter struct {
	key, name string
	start     func(context.Context, *bench) (*target, error)
}

const (
	directKey    = "direct"
	pgbouncerKey = "pgbouncer"
	sallyportKey = "sallyport"
	unauditedKey = "devnull"
)

func targetKeys() []string { return []string{directKey, pgbouncerKey, sallyportKey, unauditedKey} }

// starters are those of the keys, in the order of the tables. What they
// compare with comes first.
func starters(ctx context.Context, keys []string) ([]starter, error) {
	for _, key := range keys {
		if !slices.Contains(targetKeys(), key) {
			return nil, fmt.Errorf("there is no target %q, only %s", key, strings.Join(targetKeys(), ", "))
		}
	}
	all := []starter{{directKey, directName, startDirect}}
	if slices.Contains(keys, pgbouncerKey) {
		found, err := findPgBouncers(ctx, debianPgBouncer)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			all = append(all, starter{pgbouncerKey, p.name, p.start})
		}
	}
	all = append(all, starter{sallyportKey, sallyportName, startAudited}, starter{unauditedKey, unauditedName, startUnaudited})
	return slices.DeleteFunc(all, func(s starter) bool { return !slices.Contains(keys, s.key) }), nil
}

// startTargets starts those of the keys.
func (b *bench) startTargets(ctx context.Context, keys []string) error {
	all, err := starters(ctx, keys)
	if err != nil {
		return err
	}
	for _, s := range all {
		t, err := s.start(ctx, b)
		if err != nil {
			return fmt.Errorf("start %s: %w", s.name, err)
		}
		t.name, t.again = s.name, s.start
		b.targets = append(b.targets, t)
	}
	return nil
}

const directName = "direct TLS"

// nothing is the proxy of who has none.
type nothing struct{}

func (nothing) pid() int                          { return 0 }
func (nothing) settle(context.Context, int) error { return nil }
func (nothing) stop() error                       { return nil }

func startDirect(ctx context.Context, b *bench) (*target, error) {
	const prefix = "bench_direct"
	logins, err := b.createLogins(ctx, prefix, login{
		port: b.services.Postgres.Port, caFile: b.services.CAFile, certificate: b.services.ClientCertificate, key: b.services.ClientKey,
	})
	if err != nil {
		return nil, err
	}
	version, err := b.query(ctx, "SELECT 'PostgreSQL ' || current_setting('server_version')")
	if err != nil {
		return nil, err
	}
	return &target{version: version, roles: prefix + "%", proxy: nothing{}, logins: logins}, nil
}

const (
	// settleTimeout bounds the wait for what a run leaves behind, on a busy machine.
	// A thousand sessions end in half a minute where nothing else goes on.
	settleTimeout = 3 * time.Minute
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

// newDir makes a directory for one part.
func (b *bench) newDir(name string) (string, error) { return os.MkdirTemp(b.dir, name+"-") }
