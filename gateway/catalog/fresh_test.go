package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz/statement"
)

// fresh asks for what has committed by now.
func fresh(t testing.TB, c *Catalog) *Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	snapshot, err := c.Fresh(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

// TestFresh: what is defined past the gateway is known to whoever asks for it, though the next poll be an hour away. Nobody else waits.
func TestFresh(t *testing.T) {
	onServers(t, func(t *testing.T, s *server) {
		database := s.database(t, "CREATE TABLE t (id int)")
		c := start(t, s, database, Config{Poll: time.Hour, MaxAge: 3 * time.Hour})
		first := current(t, c)
		for i := range 5 {
			table := fmt.Sprintf("late_%d", i)
			s.exec(t, database, "CREATE TABLE "+table+" (id int)")
			if now, ok := c.Now(time.Now()); !ok || has(now, table) {
				t.Errorf("before it is asked for: known %t, %s is there %t", ok, table, has(now, table))
			}
			if !has(fresh(t, c), table) {
				t.Errorf("%s is not there", table)
			}
		}
		if now := fresh(t, c); now.Generation != first.Generation+5 {
			t.Errorf("generation %d; asking alone must not have all of it read", now.Generation)
		}
	})
}

// TestFreshIsBounded: many who ask are answered together, and one who asks again and again waits.
func TestFreshIsBounded(t *testing.T) {
	s := onServer(t)
	database := s.database(t, "CREATE TABLE t (id int)")
	c := start(t, s, database, Config{Poll: time.Hour, MaxAge: 3 * time.Hour})
	current(t, c)
	before, began := c.Status(), time.Now()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for range 10 {
				fresh(t, c)
			}
		})
	}
	all.Wait()
	looks, most := c.Status().Unchanged-before.Unchanged, uint64(time.Since(began)/askRest)+2
	if looks > most || looks < 10 {
		t.Errorf("500 asked for %d looks, want 10 to %d", looks, most)
	}
}

// TestFreshAfterAReading: that it took long to read what has changed holds up nobody who asks after it.
func TestFreshAfterAReading(t *testing.T) {
	s := onServer(t)
	database := s.database(t, "CREATE TABLE t (id int)")
	analyze := startPool(t).Analyze
	slow := func(ctx context.Context, text string) (*statement.Sheet, error) {
		if strings.Contains(text, "'slow'") {
			time.Sleep(time.Second)
		}
		return analyze(ctx, text)
	}
	c := start(t, s, database, Config{Poll: time.Hour, MaxAge: 3 * time.Hour, Analyze: slow})
	current(t, c)
	s.exec(t, database, "CREATE VIEW v AS SELECT 'slow' AS how FROM t")
	if !has(fresh(t, c), "v") {
		t.Error("v is not there")
	}
	began := time.Now()
	if fresh(t, c); time.Since(began) > 2*time.Second {
		t.Errorf("it took %s, as if the reading were to be made up for", time.Since(began))
	}
}

// TestFreshWithoutRun: nobody is told what nobody has looked at.
func TestFreshWithoutRun(t *testing.T) {
	open := func(context.Context) (*Session, error) { return nil, errors.New("never") }
	c, err := New(Config{Open: open, Analyze: startPool(t).Analyze})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if s, err := c.Fresh(ctx); s != nil || !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, %v", s, err)
	}
}
