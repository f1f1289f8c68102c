package catalog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz/statement"
)

// start runs a Catalog for the length of a test. What the configuration leaves open is set for tests that look often.
func start(t testing.TB, s *server, database string, config Config) *Catalog {
	t.Helper()
	if config.Open == nil {
		config.Open = s.open(database)
	}
	if config.Analyze == nil {
		config.Analyze = startPool(t).Analyze
	}
	if config.Poll == 0 {
		config.Poll = 10 * time.Millisecond
	}
	if config.MaxAge == 0 {
		config.MaxAge = time.Minute
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	c.share = 1 // tests are in a hurry
	background(t, c.Run)
	return c
}

func current(t testing.TB, c *Catalog) *Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	snapshot, err := c.Current(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func has(snapshot *Snapshot, table string) bool {
	return snapshot.Relations[statement.Name{Schema: "public", Name: table}] != nil
}

// polled waits until whatever had committed before has been looked at.
func polled(t *testing.T, c *Catalog) {
	t.Helper()
	called := time.Now()
	eventually(t, 30*time.Second, func() error {
		if status := c.Status(); !status.Confirmed.After(called) {
			return fmt.Errorf("%+v", status)
		}
		return nil
	})
}

func TestNewRefuses(t *testing.T) {
	open := func(context.Context) (*Session, error) { return nil, errors.New("never") }
	analyze := func(context.Context, string) (*statement.Sheet, error) { return nil, errors.New("never") }
	for name, config := range map[string]Config{
		"nothing":                       {},
		"no sessions":                   {Analyze: analyze},
		"no analyser":                   {Open: open},
		"a negative poll":               {Open: open, Analyze: analyze, Poll: -1},
		"an age of less than two polls": {Open: open, Analyze: analyze, Poll: 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := New(config); err == nil {
				t.Errorf("got %+v", c.config.Load())
			}
		})
	}
	if _, err := New(Config{Open: open, Analyze: analyze}); err != nil {
		t.Error(err)
	}
}

// TestCurrentWithoutRun: there is nothing, so nothing is returned, for as long as the caller waits.
func TestCurrentWithoutRun(t *testing.T) {
	c, err := New(Config{Open: onServer(t).open("postgres"), Analyze: startPool(t).Analyze})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if s, err := c.Current(ctx); s != nil || !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, %v", s, err)
	}
	if err := c.Ready(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("ready: %v", err)
	}
}

// TestRollbackIsNotSeen: neither before it nor after.
func TestRollbackIsNotSeen(t *testing.T) {
	onServers(t, func(t *testing.T, s *server) {
		database := s.database(t, "CREATE TABLE t (id int)")
		c := start(t, s, database, Config{})
		first := current(t, c)
		conn := s.connect(t, database)
		defer conn.Close(context.Background())
		for _, step := range []string{"BEGIN; CREATE TABLE u (id int); ALTER TABLE t ADD COLUMN x int", "ROLLBACK"} {
			if _, err := conn.Exec(t.Context(), step); err != nil {
				t.Fatal(err)
			}
			polled(t, c)
			if now := current(t, c); now != first {
				t.Errorf("after %s: generation %d, u is there: %v", step, now.Generation, has(now, "u"))
			}
		}
	})
}

// TestChangedDuringReading: a reading that began before Changed was called is not good enough, and one more is.
func TestChangedDuringReading(t *testing.T) {
	s, pool := onServer(t), startPool(t)
	database := s.database(t, "CREATE TABLE t (id int); CREATE VIEW v AS SELECT id FROM t")
	reading, resume := make(chan struct{}), make(chan struct{})
	analyze := func(ctx context.Context, text string) (*statement.Sheet, error) {
		reading <- struct{}{} // the transaction has begun
		<-resume
		return pool.Analyze(ctx, text)
	}
	c := start(t, s, database, Config{Analyze: analyze, Poll: time.Hour, MaxAge: 3 * time.Hour})
	<-reading
	s.exec(t, database, "CREATE TABLE late (id int)")
	for range 100 {
		c.Changed()
	}
	waiting := make(chan *Snapshot)
	go func() {
		snapshot, err := c.Current(context.Background())
		if err != nil {
			t.Error(err)
		}
		waiting <- snapshot
	}()
	close(resume)
	if got := <-waiting; !has(got, "late") || got.Generation != 2 {
		t.Errorf("generation %d, late is there: %v", got.Generation, has(got, "late"))
	}
	if status := c.Status(); status.Read != 2 || status.Unchanged != 0 || status.Failed != 0 {
		t.Errorf("%+v", status)
	}
	// Nobody polls for an hour, and the next call is answered all the same.
	s.exec(t, database, "CREATE TABLE later (id int)")
	c.Changed()
	if got := current(t, c); !has(got, "later") {
		t.Error("later is not there")
	}
	// What has changed nothing is confirmed without a new generation.
	before := current(t, c)
	c.Changed()
	if got := current(t, c); got != before || c.Status().Unchanged != 1 {
		t.Errorf("generation %d, then %d; %+v", before.Generation, got.Generation, c.Status())
	}
}

// TestCurrentWaitsForChanged: not longer than it is allowed to, and with an error then.
func TestCurrentWaitsForChanged(t *testing.T) {
	s, pool := onServer(t), startPool(t)
	database := s.database(t, "CREATE TABLE t (id int); CREATE VIEW v AS SELECT id FROM t")
	var hold atomic.Pointer[chan struct{}]
	analyze := func(ctx context.Context, text string) (*statement.Sheet, error) {
		if held := hold.Load(); held != nil {
			<-*held
		}
		return pool.Analyze(ctx, text)
	}
	c := start(t, s, database, Config{Analyze: analyze, Poll: time.Hour, MaxAge: 3 * time.Hour})
	current(t, c)
	held := make(chan struct{})
	hold.Store(&held)
	s.exec(t, database, "CREATE VIEW w AS SELECT id + 1 AS id FROM t")
	c.Changed()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got, err := c.Current(ctx); got != nil || !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, %v", got, err)
	}
	if err := c.Ready(); err != nil {
		t.Errorf("ready: %v; a change that is being read is nothing wrong", err)
	}
	close(held)
	if got := current(t, c); !has(got, "w") {
		t.Error("w is not there")
	}
}

// breakable is a source of sessions that can be made to fail.
type breakable struct {
	open   func(context.Context) (*Session, error)
	broken atomic.Bool
	opened atomic.Int32
}

var errBroken = errors.New("no session today")

func (b *breakable) Open(ctx context.Context) (*Session, error) {
	if b.broken.Load() {
		return nil, errBroken
	}
	b.opened.Add(1)
	return b.open(ctx)
}

func terminate(t *testing.T, s *server) {
	t.Helper()
	s.exec(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '"+reader+"'")
}

// TestUnreadable: what the session is not to blame for does not make it be opened again and again.
func TestUnreadable(t *testing.T) {
	s := onServer(t)
	database := s.database(t, "CREATE TABLE t (id int); CREATE VIEW v AS SELECT id FROM t")
	source := &breakable{open: s.open(database)}
	var broken atomic.Bool
	broken.Store(true)
	pool := startPool(t)
	analyze := func(ctx context.Context, text string) (*statement.Sheet, error) {
		if broken.Load() {
			return nil, statement.ErrUnavailable
		}
		return pool.Analyze(ctx, text)
	}
	c := start(t, s, database, Config{Open: source.Open, Analyze: analyze})
	eventually(t, 30*time.Second, func() error {
		if status := c.Status(); status.Failed < 3 || !errors.Is(status.Err, statement.ErrUnavailable) {
			return fmt.Errorf("%+v", status)
		}
		return nil
	})
	broken.Store(false)
	if got := current(t, c); !has(got, "v") || source.opened.Load() != 1 {
		t.Errorf("v is there: %v, sessions: %d", has(got, "v"), source.opened.Load())
	}
}

// TestUnderstoodOnce: what was understood before a reading failed is not analysed again by the next one.
func TestUnderstoodOnce(t *testing.T) {
	s, pool := onServer(t), startPool(t)
	database := s.database(t, "CREATE TABLE t (id int); CREATE VIEW a AS SELECT id FROM t; CREATE VIEW b AS SELECT id + 1 AS id FROM t; CREATE VIEW c AS SELECT id + 2 AS id FROM t")
	var asked sync.Map
	analyze := func(ctx context.Context, text string) (*statement.Sheet, error) {
		times, _ := asked.LoadOrStore(text, new(atomic.Int32))
		if times.(*atomic.Int32).Add(1) == 1 {
			return nil, statement.ErrUnavailable
		}
		return pool.Analyze(ctx, text)
	}
	c := start(t, s, database, Config{Analyze: analyze, Poll: time.Hour, MaxAge: 3 * time.Hour})
	current(t, c)
	if status := c.Status(); status.Failed != 3 || status.Read != 1 {
		t.Errorf("%+v", status)
	}
	asked.Range(func(text, times any) bool {
		if times := times.(*atomic.Int32).Load(); times != 2 {
			t.Errorf("%d times: %s", times, text)
		}
		return true
	})
}

// TestLockedIsReadAgain: a definition that could not be read is asked for again, though nothing has changed since.
func TestLockedIsReadAgain(t *testing.T) {
	s := onServer(t)
	database := s.database(t, "CREATE TABLE t (id int); CREATE VIEW v AS SELECT id FROM t")
	holder := s.connect(t, database)
	defer holder.Close(context.Background())
	if _, err := holder.Exec(t.Context(), "BEGIN; LOCK TABLE t"); err != nil {
		t.Fatal(err)
	}
	c := start(t, s, database, Config{})
	view := statement.Name{Schema: "public", Name: "v"}
	if v := current(t, c).Relations[view]; v.Opaque != "what it reads is locked" || c.Status().Opaque != 1 {
		t.Errorf("%+v", v)
	}
	if _, err := holder.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() error {
		if v := current(t, c).Relations[view]; v.Definition == nil {
			return errors.New(v.Opaque)
		}
		return nil
	})
	if status := c.Status(); status.Opaque != 0 {
		t.Errorf("%+v", status)
	}
}

// TestConcurrently: many ask while definitions change. Whoever made a change sees it.
func TestConcurrently(t *testing.T) {
	s := onServer(t)
	database := s.database(t, "")
	c := start(t, s, database, Config{})
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			conn := s.connect(t, database)
			defer conn.Close(context.Background())
			for i := range 5 {
				table := fmt.Sprintf("t_%d_%d", worker, i)
				if _, err := conn.Exec(t.Context(), "CREATE TABLE "+table+" (id int)"); err != nil {
					t.Error(err)
					return
				}
				c.Changed()
				got, err := c.Current(t.Context())
				if err != nil || !has(got, table) {
					t.Errorf("%s is not there; %v", table, err)
				}
			}
		})
		all.Go(func() {
			var last uint64
			for range 2000 {
				got, err := c.Current(t.Context())
				if err != nil || got.Generation < last {
					t.Errorf("generation %d after %d; %v", got.Generation, last, err)
					return
				}
				last = got.Generation
			}
		})
	}
	all.Wait()
}

// TestCurrentAllocatesNothing: it is asked for every statement.
func TestCurrentAllocatesNothing(t *testing.T) {
	c := start(t, onServer(t), "postgres", Config{Poll: time.Hour, MaxAge: 3 * time.Hour})
	current(t, c)
	ctx := t.Context()
	if allocations := testing.AllocsPerRun(1000, func() { _, _ = c.Current(ctx) }); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func BenchmarkCurrent(b *testing.B) {
	c := start(b, onServer(b), "postgres", Config{Poll: time.Hour, MaxAge: 3 * time.Hour})
	current(b, c)
	ctx := b.Context()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Current(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
}
