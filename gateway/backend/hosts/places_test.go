package hosts

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

// queueUp has somebody enter, and is told when.
func queueUp(ctx context.Context, p *Places) <-chan error {
	entered := make(chan error, 1)
	go func() { entered <- p.Enter(ctx) }()
	synctest.Wait()
	return entered
}

func waits(t *testing.T, entered <-chan error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-entered:
		t.Errorf("does not wait: %v", err)
	default:
	}
}

func enters(t *testing.T, entered <-chan error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-entered:
		if err != nil {
			t.Error(err)
		}
	default:
		t.Error("waits")
	}
}

func wantStatus(t *testing.T, p *Places, open, waiting int) {
	t.Helper()
	if got := p.Status(); got.Open != open || got.Waiting != waiting {
		t.Errorf("%d are in and %d wait, want %d and %d", got.Open, got.Waiting, open, waiting)
	}
}

// TestFirstComeFirstServed: and nobody passes those who wait.
func TestFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Places
		p.Bound(1)
		if !p.Take() {
			t.Fatal("no place")
		}
		first, second := queueUp(t.Context(), &p), queueUp(t.Context(), &p)
		if p.Take() {
			t.Error("somebody passes those who wait")
		}
		wantStatus(t, &p, 1, 2)
		p.Leave()
		enters(t, first)
		waits(t, second)
		p.Leave()
		enters(t, second)
		p.Leave()
		wantStatus(t, &p, 0, 0)
	})
}

// TestWhoGoesAwayLeavesTheQueue: those behind move up, and the cause is told.
func TestWhoGoesAwayLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Places
		p.Bound(1)
		p.Take()
		cause := errors.New("went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		first, second := queueUp(ctx, &p), queueUp(t.Context(), &p)
		cancel(cause)
		if err := <-first; !errors.Is(err, cause) {
			t.Errorf("got %v", err)
		}
		wantStatus(t, &p, 1, 1)
		p.Leave()
		enters(t, second)
		wantStatus(t, &p, 1, 0)
	})
}

// TestBoundMoves: a higher bound lets in who waits, a lower one throws out nobody, and none lets in all.
func TestBoundMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Places
		for range 3 {
			p.Take() // without a bound they count all the same
		}
		p.Bound(2)
		first, second := queueUp(t.Context(), &p), queueUp(t.Context(), &p)
		p.Leave()
		waits(t, first)
		p.Bound(3)
		enters(t, first)
		waits(t, second)
		p.Bound(0)
		enters(t, second)
		wantStatus(t, &p, 4, 0)
	})
}

// TestNoPlaceIsLost: whoever comes, goes away and leaves at whatever moment, in the end all places are free.
func TestNoPlaceIsLost(t *testing.T) {
	var p Places
	p.Bound(3)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			if i%3 == 0 {
				go cancel()
			}
			defer cancel()
			if p.Enter(ctx) == nil {
				if in := p.Status().Open; in > 3 {
					t.Errorf("%d are in", in)
				}
				p.Leave()
			}
		})
	}
	all.Wait()
	wantStatus(t, &p, 0, 0)
}
