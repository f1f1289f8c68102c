package catalog

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// TestStale: while the database cannot be asked the last snapshot serves until it is too old, and nothing after that.
func TestStale(t *testing.T) {
	s := onServer(t)
	database := s.database(t, "CREATE TABLE t (id int)")
	source := &breakable{open: s.open(database)}
	c := start(t, s, database, Config{Open: source.Open, MaxAge: 2 * time.Second})
	first := current(t, c)
	source.broken.Store(true)
	terminate(t, s)
	eventually(t, 10*time.Second, func() error {
		if err := c.Status().Err; !errors.Is(err, errBroken) {
			return fmt.Errorf("status: %w", err)
		}
		return nil
	})
	if time.Since(c.Status().Confirmed) < time.Second {
		if got, err := c.Current(t.Context()); got != first || err != nil {
			t.Errorf("while the snapshot is young: %v, %v", got, err)
		}
	}
	eventually(t, 10*time.Second, func() error {
		if _, err := c.Current(t.Context()); !errors.Is(err, ErrUnavailable) || !errors.Is(err, errBroken) {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
	if err := c.Ready(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("ready: %v", err)
	}
	source.broken.Store(false)
	s.exec(t, database, "CREATE TABLE u (id int)")
	eventually(t, 30*time.Second, func() error {
		got, err := c.Current(t.Context())
		if err == nil && !has(got, "u") {
			err = errors.New("u is not there")
		}
		return err
	})
	if status := c.Status(); status.Err != nil || status.Failed == 0 {
		t.Errorf("%+v", status)
	}
}

// TestSessionLost: a session that somebody ends is opened again.
func TestSessionLost(t *testing.T) {
	onServers(t, func(t *testing.T, s *server) {
		database := s.database(t, "CREATE TABLE t (id int)")
		source := &breakable{open: s.open(database)}
		c := start(t, s, database, Config{Open: source.Open})
		current(t, c)
		terminate(t, s)
		s.exec(t, database, "CREATE TABLE u (id int)")
		eventually(t, 30*time.Second, func() error {
			if !has(current(t, c), "u") {
				return errors.New("u is not there")
			}
			return nil
		})
		if opened := source.opened.Load(); opened != 2 {
			t.Errorf("%d sessions were opened", opened)
		}
	})
}

// TestServerRestarts: the one that ends in the middle of everything is found again.
func TestServerRestarts(t *testing.T) {
	s := onServer(t)
	database := s.database(t, "CREATE TABLE t (id int)")
	c := start(t, s, database, Config{})
	first := current(t, c)
	s.halt()
	eventually(t, 10*time.Second, func() error {
		if c.Status().Err == nil {
			return errors.New("nothing is wrong")
		}
		return nil
	})
	s.start(t)
	eventually(t, 30*time.Second, func() error {
		if got := current(t, c); got.Generation == first.Generation {
			return c.Status().Err
		}
		return nil
	})
}

// TestSessionReplaced: at its keeper's wish, and when the configuration is another; neither is a failure.
func TestSessionReplaced(t *testing.T) {
	s := onServer(t)
	database := s.database(t, "CREATE TABLE t (id int)")
	source := &breakable{open: s.open(database)}
	end, kept, closed := make(chan struct{}), atomic.Int32{}, atomic.Int32{}
	config := Config{Poll: 10 * time.Millisecond, MaxAge: time.Minute, Analyze: startPool(t).Analyze}
	config.Open = func(ctx context.Context) (*Session, error) {
		session, err := source.Open(ctx)
		if err != nil {
			return nil, err
		}
		ends := session.Close
		session.Close = func(idle bool) {
			ends(idle)
			closed.Add(1)
		}
		session.Keep = func(ctx context.Context) error {
			kept.Add(1)
			defer kept.Add(-1)
			select {
			case <-end:
				return ErrReplace
			case <-ctx.Done():
				return nil
			}
		}
		return session, nil
	}
	c := start(t, s, database, config)
	first := current(t, c)
	end <- struct{}{}
	next := func(opened int32, after *Snapshot) *Snapshot {
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			if source.opened.Load() != opened || closed.Load() != opened-1 || kept.Load() != 1 || current(t, c).Generation == after.Generation {
				return fmt.Errorf("opened %d, closed %d, kept %d", source.opened.Load(), closed.Load(), kept.Load())
			}
			return nil
		})
		return current(t, c)
	}
	second := next(2, first)
	if err := c.Reconfigure(Config{}); err == nil {
		t.Error("a configuration without anything was taken")
	}
	if err := c.Reconfigure(config); err != nil {
		t.Fatal(err)
	}
	next(3, second)
	if status := c.Status(); status.Failed != 0 {
		t.Errorf("%+v", status)
	}
}

// TestReplacedAtOnce: sessions that do not last are not opened as fast as can be.
func TestReplacedAtOnce(t *testing.T) {
	s := onServer(t)
	source := &breakable{open: s.open("postgres")}
	start(t, s, "postgres", Config{Open: func(ctx context.Context) (*Session, error) {
		session, err := source.Open(ctx)
		if err == nil {
			session.Keep = func(context.Context) error { return ErrReplace }
		}
		return session, err
	}})
	began := time.Now()
	eventually(t, 30*time.Second, func() error {
		if opened := source.opened.Load(); opened < 4 {
			return fmt.Errorf("%d sessions were opened", opened)
		}
		return nil
	})
	if took := time.Since(began); took < 2*firstRetry {
		t.Errorf("four sessions were opened within %v", took)
	}
}
