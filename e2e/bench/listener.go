package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/e2e/stack"
)

// listener is a session that listens, and another one, straight at PostgreSQL,
// that notifies it and waits until it has heard.
type listener struct{}

// deaf is how long a notification may take at most.
const deaf = 10 * time.Second

// run notifies until d is over. What is measured is the time from the NOTIFY
// to the notification.
func (listener) run(ctx context.Context, b *bench, t *target, _ int, d time.Duration) (measurement, error) {
	heard := make(chan time.Time, 1)
	listening, err := t.logins[reader].connect(ctx, func(c *pgconn.Config) {
		c.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) { heard <- time.Now() }
	})
	if err != nil {
		return measurement{}, err
	}
	defer listening.Close(ctx)
	if err := listening.Exec(ctx, "LISTEN "+channel).Close(); err != nil {
		return measurement{}, fmt.Errorf("listen: %w", err)
	}
	notifying, err := pgconn.Connect(ctx, b.services.Postgres.DSN(stack.App))
	if err != nil {
		return measurement{}, err
	}
	defer notifying.Close(ctx)
	waiting, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- listenOn(waiting, listening) }()
	m, err := notify(ctx, notifying, heard, newMeter(t.proxy.pid()), d)
	cancel()
	<-ended // because of us, or of what notify has missed
	m.statements = 1
	return m, err
}

// listenOn takes notifications until ctx ends.
func listenOn(ctx context.Context, conn *pgconn.PgConn) error {
	for {
		if err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}

// notify sends one after the other. The first second is for warming up.
func notify(ctx context.Context, conn *pgconn.PgConn, heard <-chan time.Time, meter *meter, d time.Duration) (measurement, error) {
	began := time.Now()
	var counted time.Time
	var took []time.Duration
	for time.Since(began) < d {
		sent := time.Now()
		if err := conn.Exec(ctx, "NOTIFY "+channel).Close(); err != nil {
			return measurement{}, fmt.Errorf("notify: %w", err)
		}
		select {
		case at := <-heard:
			took = append(took, at.Sub(sent))
		case <-time.After(deaf):
			return measurement{}, fmt.Errorf("notify: nothing was heard for %v", deaf)
		case <-ctx.Done():
			return measurement{}, context.Cause(ctx)
		}
		if counted.IsZero() && time.Since(began) > time.Second {
			took, counted = took[:0], time.Now()
			if err := meter.mark(counted, 0); err != nil {
				return measurement{}, err
			}
		}
	}
	span := time.Since(counted)
	m := measurement{Count: len(took), Rate: float64(len(took)) / span.Seconds()}
	if err := meter.mark(counted.Add(span), m.Rate); err != nil {
		return measurement{}, err
	}
	var sum time.Duration
	for _, t := range took {
		sum += t
	}
	if len(took) > 0 {
		m.Average = microseconds(sum) / float64(len(took))
	}
	slices.Sort(took)
	return m.latencies(took).watched(meter), nil
}
