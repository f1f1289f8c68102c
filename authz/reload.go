package authz

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// readTimeout bounds what an origin may take to say what it holds. A directory takes milliseconds, a bundle has to be fetched.
const readTimeout = 15 * time.Second

// Reload asks the origin again and, if it holds another policy that is valid, puts that in use: calls that have begun end by the old
// one. If it is not valid, or cannot be had, the old one stays, and the error is returned and kept in Status until a reload succeeds.
func (e *Engine) Reload() error { return e.reload(context.Background()) }

func (e *Engine) reload(ctx context.Context) error {
	e.reloading.Lock()
	defer e.reloading.Unlock()
	reading, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	source, err := e.origin.read(reading)
	if ctx.Err() != nil { // the end of Run is no failure of the origin
		return ctx.Err()
	}
	if errors.Is(err, errUnchanged) {
		e.restore()
		return nil
	}
	if err != nil {
		return e.reject(fmt.Errorf("reload policy: read policy: %w", err))
	}
	if source.revision == e.Policy().Revision() {
		e.keep(source)
		e.restore()
		return nil
	}
	policy, err := e.make(source)
	if err != nil {
		return e.reject(fmt.Errorf("reload policy: %w", err))
	}
	e.adopt(policy)
	e.keep(source)
	e.cfg.Logger.Info("policy loaded", "revision", policy.revision, "cacheable", policy.cacheable)
	e.announce()
	return nil
}

// keep tells the origin what is in use. What it cannot put away is in use all the same, until a restart asks for it.
func (e *Engine) keep(s source) {
	if err := e.origin.kept(s); err != nil {
		e.cfg.Logger.Error("policy could not be put away for a restart", "revision", s.revision, "error", err)
	}
}

// adopt puts a policy in use. What the one before it has decided is forgotten: sessions that have not asked since keep that policy, but
// need not keep its decisions.
func (e *Engine) adopt(p *Policy) {
	if old := e.policy.Swap(p); old != nil {
		old.decisions.Close()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	e.status = Status{Revision: p.revision, LoadedAt: now, CheckedAt: now, Files: p.files}
}

// restore forgets a failure: the origin holds what is in use.
func (e *Engine) restore() {
	e.mu.Lock()
	e.status.CheckedAt = time.Now()
	failed := e.status.Err != nil
	e.status.Err, e.status.FailedAt = nil, time.Time{}
	e.mu.Unlock()
	if failed {
		e.announce()
	}
}

// reject records a failure. The same one again, as every poll finds it, is not news.
func (e *Engine) reject(err error) error {
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
	return err
}

func (e *Engine) announce() {
	if e.cfg.OnReload != nil {
		e.cfg.OnReload(e.Status())
	}
}

// Run reloads the policy whenever there may be a newer one, until ctx ends; it returns nil then.
func (e *Engine) Run(ctx context.Context) error {
	return e.origin.follow(ctx, func() { _ = e.reload(ctx) }) // a failure is in the status and the log already
}
