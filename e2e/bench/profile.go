package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
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
func (p *profiler) merge(ctx context.Context, path string) error {
	if len(p.taken) == 0 {
		return errors.New("merge profiles: there are none, the gateway did not take part")
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"tool", "pprof", "-proto"}, p.taken...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	merged, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("merge profiles: %w\n%s", err, said.Bytes())
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("merge profiles: %w", err)
	}
	return os.WriteFile(path, merged, 0o644)
}
