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
	profiler *profiler // nil: no profile is taken
}

// options are what the command line asks for besides the plan.
type options struct {
	targets []string // their keys
	profile string   // file for the gateway's profile; "": none is taken
	kind    string   // of the profile
}

// resultsFile is where everything that was measured goes, in the repository.
const resultsFile = "bench/results.json"

// compare runs a plan and writes its results.
func compare(ctx context.Context, p plan, o options, out, progress io.Writer) (err error) {
	machine := describeMachine()
	b, err := assemble(ctx, o, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	measurements, err := b.measure(ctx, p, progress)
	if err != nil {
		return err
	}
	if b.profiler != nil {
		fmt.Fprintf(progress, "The gateway's profile is in %s.\n", o.profile)
		return b.profiler.merge(o.profile) // a gateway that is profiled is slower: its numbers are not kept
	}
	var idle []idleness
	if p.Idle > 0 {
		if idle, err = b.idle(ctx, p.Idle, progress); err != nil {
			return err
		}
	}
	r, err := newReport(machine, p, b.targets, measurements, idle)
	if err != nil {
		return err
	}
	if r.Client, err = b.clientVersion(ctx); err != nil {
		return err
	}
	r.markdown(out)
	return r.write(filepath.Join(b.root, resultsFile))
}

// assemble starts what is compared.
func assemble(ctx context.Context, o options, progress io.Writer) (_ *bench, err error) {
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
	if o.profile != "" {
		b.profiler = &profiler{kind: o.kind, dir: b.dir}
	}
	services := b.path("services")
	if err := os.Mkdir(services, 0o700); err != nil {
		return nil, err
	}
	if b.services, err = stack.Start(ctx, stack.Config{Root: b.root, Dir: services, MaxConnections: maxConnections + spareConnections}); err != nil {
		return nil, err
	}
	b.client = client{path: b.program("pgbench"), dir: b.dir}
	if err := b.fill(ctx); err != nil {
		return nil, err
	}
	if err := b.startTargets(ctx, o.targets); err != nil {
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
				if !w.includes(t.name) {
					continue
				}
				m, err := b.run(ctx, w, p.Duration, t)
				if err != nil {
					return nil, fmt.Errorf("%s through %s: %w", w.Name, t.name, err)
				}
				m.Round = round + 1
				all = append(all, m)
				fmt.Fprintf(progress, "%d/%d  %-32s %-17s %8.0f/s  %6.1f µs CPU\n", m.Round, p.Rounds, w.Name, t.name, m.Rate, m.cpu())
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
