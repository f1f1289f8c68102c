package statement

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A worker that will not start is tried again after a wait that doubles. One that died over a text is replaced after the shortest: others
// wait for it.
const (
	minBackoff = 20 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// Run starts the workers and keeps them running until the context ends; then it stops them and returns nil. It is called once.
func (p *Pool) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range p.config.Workers {
		workers.Go(func() { p.supervise(ctx) })
	}
	workers.Wait()
	close(p.ended)
	return nil
}

// supervise keeps one worker running.
func (p *Pool) supervise(ctx context.Context) {
	backoff := time.Duration(0)
	for ctx.Err() == nil {
		if !sleep(ctx, backoff) {
			return
		}
		if p.runWorker(ctx) {
			backoff = minBackoff
		} else {
			backoff = min(max(2*backoff, minBackoff), maxBackoff)
		}
	}
}

// runWorker runs one process until it has to go. It reports whether the process was ever ready.
func (p *Pool) runWorker(ctx context.Context) bool {
	process, err := startProcess(ctx, p.config.Command, p.config.MemoryBytes)
	if err != nil {
		if ctx.Err() == nil {
			p.config.Logger.Error("statement worker did not start", "error", err)
		}
		return false
	}
	p.live.Add(1)
	p.started.Do(func() { close(p.ready) })
	err = p.serve(ctx, process)
	p.live.Add(-1)
	process.stop()
	if err != nil && !errors.Is(err, errReplace) {
		p.config.Logger.Warn("statement worker replaced", "error", err)
	}
	return true
}

var errEnded = errors.New("worker ended while it was idle")

// serve gives jobs to a worker until the context ends (nil) or the worker cannot go on.
func (p *Pool) serve(ctx context.Context, worker *process) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-worker.done:
			return errEnded
		case j := <-p.jobs:
			if err := p.do(j, worker); err != nil {
				return err
			}
		}
	}
}

// do takes a job through a worker. The error says that the worker is not to be used again.
func (p *Pool) do(j *job, worker *process) error {
	p.stats.analyzed.Add(1)
	sheet, size, err := worker.analyze(j.text, p.config.Timeout, p.sheets, j.read)
	var (
		syntax *SyntaxError
		limit  *LimitError
	)
	switch {
	case errors.As(err, &syntax) || errors.As(err, &limit):
		p.finish(j, nil, err)
		return nil
	case sheet != nil:
		p.finish(j, p.learn(j.text, sheet, size), nil)
		return err
	case errors.Is(err, errBeforeText):
		go p.hand(j) // to another worker; it ends within Timeout
		return err
	}
	p.stats.killed.Add(1)
	p.poison.add(j.text)
	p.finish(j, nil, errDeadly())
	return err
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
