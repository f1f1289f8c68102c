package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/e2e/stack"
)

// bench is everything that runs.
type bench struct {
	root     string // of the repository
	dir      string // removed with everything in it
	services *stack.Services
	client   client
	targets  []*target
}

// compare runs a plan and writes its results.
func compare(ctx context.Context, p plan, targets []string, out, progress io.Writer) (err error) {
	machine := describeMachine()
	b, err := assemble(ctx, targets, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	measurements, err := b.measure(ctx, p, progress)
	if err != nil {
		return err
	}
	r := newReport(machine, p, b.targets, measurements)
	if r.Client, err = b.clientVersion(ctx); err != nil {
		return err
	}
	r.markdown(out)
	return r.write(filepath.Join(b.root, "bench", "results.json"))
}

// assemble starts what is compared.
func assemble(ctx context.Context, targets []string, progress io.Writer) (_ *bench, err error) {
	fmt.Fprintln(progress, "Starting PostgreSQL, Vault, an OpenID provider and the proxies …")
	b := &bench{}
	if b.root, err = stack.Root(); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "sallyport-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.stop())
		}
	}()
	// Others pass through, to files that are theirs; nothing of ours is readable to them.
	if err := os.Chmod(b.dir, 0o711); err != nil {
		return nil, err
	}
	if err := pinSuite(b.path("openssl.cnf")); err != nil {
		return nil, fmt.Errorf("pin the cipher suite: %w", err)
	}
	services := b.path("services")
	if err := os.Mkdir(services, 0o700); err != nil {
		return nil, err
	}
	if b.services, err = stack.Start(ctx, stack.Config{Root: b.root, Dir: services}); err != nil {
		return nil, err
	}
	b.client = client{path: b.program("pgbench"), dir: b.dir}
	if err := b.fill(ctx); err != nil {
		return nil, err
	}
	if err := b.startTargets(ctx, targets); err != nil {
		return nil, err
	}
	for _, t := range b.targets {
		if err := b.verifySuite(ctx, t); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return b, nil
}

// measure runs the workloads through the targets in turn, the rounds over.
func (b *bench) measure(ctx context.Context, p plan, progress io.Writer) ([]measurement, error) {
	var all []measurement
	for round := range p.Rounds {
		for _, w := range p.Workloads {
			for _, t := range order(b.targets, round) {
				m, err := b.client.measure(ctx, w, p.Duration, t)
				if err != nil {
					return nil, fmt.Errorf("%s through %s: %w", w.Name, t.name, err)
				}
				m.Round = round + 1
				all = append(all, m)
				fmt.Fprintf(progress, "%d/%d  %-16s %-12s %8.0f tps  %6.1f µs CPU\n", m.Round, p.Rounds, w.Name, t.name, m.TPS, m.cpu())
			}
		}
	}
	return all, nil
}

// stop ends everything, the proxies first, and removes what they left.
func (b *bench) stop() error {
	var errs []error
	for _, t := range b.targets {
		errs = append(errs, t.proxy.stop())
	}
	if b.services != nil {
		errs = append(errs, b.services.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}
