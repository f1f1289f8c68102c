package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/pprof/profile"
)

// profiler collects the gateway's profiles of one kind.
type profiler struct {
	kind  string // as net/http/pprof calls it
	dir   string
	taken []string
}

// profileMargin is left out at the beginning of a run: logins and caches that fill.
const profileMargin = time.Second

// profiled does what it is given, and takes a profile of the gateway meanwhile where one is wanted.
func (b *bench) profiled(ctx context.Context, w workload, d time.Duration, t *target, do func() error) error {
	g, ok := t.proxy.(*gateway)
	if !ok || b.profiler == nil {
		return do()
	}
	path := filepath.Join(b.profiler.dir, fmt.Sprintf("%d.pprof", len(b.profiler.taken)))
	b.profiler.taken = append(b.profiler.taken, path)
	done := make(chan error, 1)
	go func() {
		// The logins take a while: the profile ends with the run, or soon after.
		select {
		case <-time.After(profileMargin):
			done <- g.profile(ctx, b.profiler.kind, d-profileMargin, path)
		case <-ctx.Done():
			done <- context.Cause(ctx)
		}
	}()
	err := do()
	if profileErr := <-done; profileErr != nil {
		err = errors.Join(err, fmt.Errorf("profile %s: %w", w.Name, profileErr))
	}
	return err
}

// merge makes one profile of all of them.
func (p *profiler) merge(path string) error {
	if len(p.taken) == 0 {
		return errors.New("merge profiles: there are none, the gateway did not take part")
	}
	var all []*profile.Profile
	for _, name := range p.taken {
		taken, err := readProfile(name)
		if err != nil {
			return fmt.Errorf("merge profiles: %w", err)
		}
		all = append(all, taken)
	}
	merged, err := profile.Merge(all)
	if err != nil {
		return fmt.Errorf("merge profiles: %w", err)
	}
	var out bytes.Buffer
	if err := merged.Write(&out); err != nil {
		return fmt.Errorf("merge profiles: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("merge profiles: %w", err)
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// readProfile leaves out where the program lay: the profile is committed, and what it says of functions suffices.
func readProfile(path string) (*profile.Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	taken, err := profile.Parse(f)
	if err != nil {
		return nil, err
	}
	for _, m := range taken.Mapping {
		m.File, m.BuildID = "", ""
	}
	return taken, nil
}
