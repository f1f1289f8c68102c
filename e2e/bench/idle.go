package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

// idleness is what sessions take of a proxy while they do nothing.
type idleness struct {
	Target   string `json:"target"`
	Sessions int    `json:"sessions"`
	Without  int64  `json:"resident_bytes_without"`
	With     int64  `json:"resident_bytes_with"`
	Bare     int64  `json:"bare_bytes"` // for a session, see bare.go; 0 for what is not written in Go
	// Wakes are how often its threads go to sleep in a second, with the
	// sessions and without any.
	Wakes        float64 `json:"wakes_per_second_with"`
	WakesWithout float64 `json:"wakes_per_second_without"`
}

// perSession is in bytes.
func (i idleness) perSession() float64 { return float64(i.With-i.Without) / float64(i.Sessions) }

// beyond is what the proxy takes for a session besides what two TLS connections take.
func (i idleness) beyond() float64 { return i.perSession() - float64(i.Bare) }

const (
	// openAtOnce is how many log in side by side.
	openAtOnce = 8
	// openTime bounds the opening of all of them: a role is made for each.
	openTime = 10 * time.Minute
	// warmSessions are opened and closed before memory is looked at for the
	// first time: what the first sessions leave behind is not theirs.
	warmSessions = 50
	// wakesTime is how long threads are watched.
	wakesTime = 10 * time.Second
)

// idle looks at fresh proxies like those that were compared: what the
// workloads left behind is not in their memory.
func (b *bench) idle(ctx context.Context, sessions int, progress io.Writer) ([]idleness, error) {
	fmt.Fprintf(progress, "Idle: %d bare pairs of TLS connections …\n", sessions)
	bare, err := b.bareBytes(ctx, sessions)
	if err != nil {
		return nil, fmt.Errorf("measure bare connections: %w", err)
	}
	var all []idleness
	for _, t := range b.targets {
		if t.proxy.pid() == 0 || t.name == unauditedName {
			continue
		}
		fmt.Fprintf(progress, "Idle: %d sessions of %s …\n", sessions, t.name)
		i, err := b.idleOf(ctx, t, sessions)
		if err != nil {
			return nil, fmt.Errorf("%d idle sessions of %s: %w", sessions, t.name, err)
		}
		if _, ok := t.proxy.(collector); ok {
			i.Bare = bare
		}
		all = append(all, i)
	}
	return all, nil
}

// collector is a proxy with a heap.
type collector interface {
	collect(ctx context.Context) error
}

func (b *bench) idleOf(ctx context.Context, like *target, sessions int) (i idleness, err error) {
	t, err := like.again(ctx, b)
	if err != nil {
		return i, err
	}
	defer func() { err = errors.Join(err, t.proxy.stop()) }()
	i = idleness{Target: like.name, Sessions: sessions}
	warm, err := openSessions(ctx, t, warmSessions)
	if err := errors.Join(err, closeSessions(ctx, warm)); err != nil {
		return i, err
	}
	if err := t.proxy.settle(ctx, warmSessions); err != nil {
		return i, err
	}
	if i.Without, i.WakesWithout, err = atRest(ctx, t); err != nil {
		return i, err
	}
	opened, err := openSessions(ctx, t, sessions)
	defer func() { err = errors.Join(err, closeSessions(ctx, opened)) }()
	if err != nil {
		return i, err
	}
	if i.With, i.Wakes, err = atRest(ctx, t); err != nil {
		return i, err
	}
	for _, conn := range opened {
		if err := conn.Ping(ctx); err != nil {
			return i, fmt.Errorf("a session has ended: %w", err)
		}
	}
	return i, nil
}

// openSessions opens sessions that have run a statement each.
func openSessions(ctx context.Context, t *target, n int) ([]*pgconn.PgConn, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	opened := make(chan *pgconn.PgConn, n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(openAtOnce)
	for range n {
		group.Go(func() error {
			conn, err := t.logins[reader].connect(ctx)
			if err != nil {
				return err
			}
			opened <- conn
			return conn.Exec(ctx, "SELECT abalance FROM pgbench_accounts WHERE aid = 1").Close()
		})
	}
	err := group.Wait()
	close(opened)
	var all []*pgconn.PgConn
	for conn := range opened {
		all = append(all, conn)
	}
	return all, err
}

func closeSessions(ctx context.Context, all []*pgconn.PgConn) error {
	var group errgroup.Group
	group.SetLimit(openAtOnce)
	for _, conn := range all {
		group.Go(func() error { return conn.Close(ctx) })
	}
	return group.Wait()
}

// atRest says what a proxy takes once it has tidied up.
func atRest(ctx context.Context, t *target) (resident int64, wakes float64, err error) {
	if c, ok := t.proxy.(collector); ok {
		// Twice: what has a finaliser goes with the second.
		if err := errors.Join(c.collect(ctx), c.collect(ctx)); err != nil {
			return 0, 0, err
		}
	}
	if resident, err = settled(ctx, t.proxy.pid()); err != nil {
		return 0, 0, err
	}
	wakes, err = wakesOf(ctx, t.proxy.pid(), wakesTime)
	return resident, wakes, err
}

const (
	// What a heap no longer needs is given back bit by bit, in the background.
	settlePace   = 500 * time.Millisecond
	settleSteady = 24 // readings in a row that are no smaller by a hundredth
	settleMost   = 120
)

// settled is the resident size of a process once it gets no smaller.
func settled(ctx context.Context, pid int) (least int64, err error) {
	steady := 0
	for range settleMost {
		u, err := usageOf(os.DirFS("/proc"), pid)
		if err != nil {
			return 0, err
		}
		steady++
		if least == 0 || u.resident < least-least/100 {
			steady = 0
		}
		if least == 0 || u.resident < least {
			least = u.resident
		}
		if steady >= settleSteady {
			break
		}
		select {
		case <-time.After(settlePace):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return least, nil
}

// wakesOf is how often in a second the threads of a process and its
// descendants go to sleep by themselves: each time they had been woken.
func wakesOf(ctx context.Context, pid int, d time.Duration) (float64, error) {
	proc := os.DirFS("/proc")
	before, err := switchesOf(proc, pid)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	after, err := switchesOf(proc, pid)
	if err != nil {
		return 0, err
	}
	return float64(more(before, after)) / time.Since(began).Seconds(), nil
}
