package authz

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long the directory must be quiet before it is read: an editor or a mount writes several files one after another.
	settle = 200 * time.Millisecond
	// pollInterval finds what notification misses: network file systems, a directory that was replaced, a full event queue.
	pollInterval = 15 * time.Second
)

// Reload reads the directory again and, if it holds another policy that is valid, puts that in use: calls that have begun end by the
// old one. If it is not valid the old one stays, and the error is returned and kept in Status until a reload succeeds.
func (e *Engine) Reload() error {
	e.reloading.Lock()
	defer e.reloading.Unlock()
	current := e.Policy().Revision()
	if source, err := readSource(e.cfg.Directory); err == nil && source.revision == current {
		e.restore()
		return nil
	}
	policy, err := e.load()
	if err != nil {
		err = fmt.Errorf("reload policy: %w", err)
		e.reject(err)
		return err
	}
	e.adopt(policy)
	e.cfg.Logger.Info("policy loaded", "revision", policy.revision, "cacheable", policy.cacheable)
	e.announce()
	return nil
}

func (e *Engine) adopt(p *Policy) {
	e.policy.Store(p)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status = Status{Revision: p.revision, LoadedAt: time.Now(), Files: p.files}
}

// restore forgets a failure: the directory holds again what is in use.
func (e *Engine) restore() {
	e.mu.Lock()
	failed := e.status.Err != nil
	e.status.Err, e.status.FailedAt = nil, time.Time{}
	e.mu.Unlock()
	if failed {
		e.announce()
	}
}

// reject records a failure. The same one again, as every poll finds it, is not news.
func (e *Engine) reject(err error) {
	e.mu.Lock()
	news := e.status.Err == nil || e.status.Err.Error() != err.Error()
	if e.status.Err == nil {
		e.status.FailedAt = time.Now()
	}
	e.status.Err = err
	e.mu.Unlock()
	if news {
		e.cfg.Logger.Error("policy not loaded, the old one stays", "revision", e.Policy().Revision(), "error", err)
		e.announce()
	}
}

func (e *Engine) announce() {
	if e.cfg.OnReload != nil {
		e.cfg.OnReload(e.Status())
	}
}

// Run reloads the policy whenever its directory changes, until ctx ends; it returns nil then. Where the system gives no notification
// it polls.
func (e *Engine) Run(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		e.cfg.Logger.Warn("policy directory is polled, not watched", "error", err)
		return e.follow(ctx, func() {}, nil, nil)
	}
	defer watcher.Close()
	watch := func() {
		// The parent too: the directory itself may be a symbolic link that a deployment moves, or be replaced by a rename.
		for _, path := range []string{e.cfg.Directory, filepath.Dir(e.cfg.Directory)} {
			if err := watcher.Add(path); err != nil {
				e.cfg.Logger.Debug("policy directory not watched", "path", path, "error", err)
			}
		}
	}
	return e.follow(ctx, watch, watcher.Events, watcher.Errors)
}

// follow reloads after events, once they have stopped for a while, and at every poll. watch renews the watches: that of a directory
// which was replaced is gone with it.
func (e *Engine) follow(ctx context.Context, watch func(), events <-chan fsnotify.Event, errs <-chan error) error {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	quiet := time.NewTimer(0) // what changed between New and Run
	defer quiet.Stop()
	watch()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-events:
			if !ok {
				events = nil
			} else if event.Name == e.cfg.Directory || filepath.Dir(event.Name) == e.cfg.Directory {
				quiet.Reset(settle) // not for what else happens in the parent
			}
		case err, ok := <-errs:
			if !ok {
				errs = nil
				continue
			}
			e.cfg.Logger.Warn("policy watch", "error", err)
			quiet.Reset(settle)
		case <-poll.C:
			watch()
			e.tryReload()
		case <-quiet.C:
			watch()
			e.tryReload()
		}
	}
}

// tryReload is Reload for a loop: the failure is in the status and the log already.
func (e *Engine) tryReload() { _ = e.Reload() }
