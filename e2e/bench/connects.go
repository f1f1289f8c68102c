package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// connects is clients that log in and leave, over and over: TLS, the proof of
// who they are, and all that a session needs until it is ready.
type connects struct {
	pause time.Duration // between two logins of a client; 0: none
	least int           // logins of each client, however long that takes
}

// run logs in until d is over, or longer if there were too few by then. What is measured is the time from the first
// byte to ReadyForQuery. The first second is for warming up.
func (c connects) run(ctx context.Context, _ *bench, t *target, clients int, d time.Duration) (measurement, error) {
	began, meter := time.Now(), newMeter(t.proxy.pid())
	warm, end := began.Add(time.Second), began.Add(d)
	took, errs := make([][]time.Duration, clients), make([]error, clients)
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() { took[i], errs[i] = c.client(ctx, t, warm, end) })
	}
	time.Sleep(time.Until(warm))
	markErr := meter.mark(warm, 0)
	running.Wait()
	for _, err := range append(errs, markErr) {
		if err != nil {
			return measurement{}, err
		}
	}
	all, now := slices.Concat(took...), time.Now()
	m := measurement{Count: len(all), Rate: float64(len(all)) / now.Sub(warm).Seconds()}
	if err := meter.mark(now, m.Rate); err != nil {
		return measurement{}, err
	}
	var sum time.Duration
	for _, one := range all {
		sum += one
	}
	m.Average = microseconds(sum) / float64(max(1, len(all)))
	slices.Sort(all)
	return m.latencies(all).watched(meter), nil
}

// client is one of them. It says how long those of its logins took that began when all was warm.
func (c connects) client(ctx context.Context, t *target, warm, end time.Time) (took []time.Duration, err error) {
	for time.Now().Before(end) || len(took) < c.least {
		began := time.Now()
		conn, err := t.logins[reader].connect(ctx)
		if err != nil {
			return nil, fmt.Errorf("log in: %w", err)
		}
		if elapsed := time.Since(began); began.After(warm) {
			took = append(took, elapsed)
		}
		if err := conn.Close(ctx); err != nil {
			return nil, fmt.Errorf("leave: %w", err)
		}
		time.Sleep(c.pause)
	}
	return took, nil
}
