package gateway

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/backend/hosts"
)

// TestCancelsOfACrowd: however many sessions end at once, their host is asked by a few of them at a time, and all are asked for.
func TestCancelsOfACrowd(t *testing.T) {
	const sessions, most = 40, 4
	crowd := &hosts.Places{}
	crowd.Bound(most)
	var now, highest atomic.Int32
	all := make([]*bench, sessions)
	for i := range all {
		var b *bench
		b = start(t, func(r *relay) {
			r.crowd = crowd
			r.cancel = func(context.Context) error {
				for n := now.Add(1); ; {
					before := highest.Load()
					if n <= before || highest.CompareAndSwap(before, n) {
						break
					}
				}
				time.Sleep(10 * time.Millisecond) // what PostgreSQL takes for one
				b.backend.cancel()
				now.Add(-1)
				return nil
			}
		})
		b.send(query("endless 0"))
		b.waitUntilRuns("endless 0")
		all[i] = b
	}
	var ended sync.WaitGroup
	for _, b := range all {
		b.relay.end(fail(ReasonKilled, nil))
		ended.Go(func() {
			if got := strings.Join(b.rest(), " "); got != "FATAL 57P01" {
				t.Errorf("got %s", got)
			}
			if got := strings.Join(b.log.lines(), " "); got != "query endless 0 = allow → cancelled 57014" {
				t.Errorf("trail: %s", got)
			}
		})
	}
	ended.Wait()
	for _, b := range all {
		b.cause()
	}
	if n := highest.Load(); n > most || n < 2 {
		t.Errorf("%d cancels at a time, want %d", n, most)
	}
	if status := crowd.Status(); status.Open != 0 || status.Waiting != 0 {
		t.Errorf("left: %+v", status)
	}
}

// TestCancelThatIsNotNeeded: a statement that ends by itself while others' cancels are on their way does not wait for them.
func TestCancelThatIsNotNeeded(t *testing.T) {
	crowd := &hosts.Places{}
	crowd.Bound(1)
	crowd.Take()
	var cancels atomic.Int32
	b := start(t, func(r *relay) {
		r.crowd = crowd
		r.cancel = func(context.Context) error { cancels.Add(1); return nil }
	})
	b.send(query("wait"))
	b.waitUntilRuns("wait")
	began := time.Now()
	b.relay.end(fail(ReasonKilled, nil))
	until(t, "the cancel waits", func() bool { return crowd.Status().Waiting == 1 })
	close(b.backend.release)
	if got := strings.Join(b.rest(), " "); got != "WAIT 1 ZI FATAL 57P01" {
		t.Errorf("got %s", got)
	}
	b.cause()
	if took := time.Since(began); took > settleTime/2 {
		t.Errorf("the end took %v", took)
	}
	crowd.Leave()
	if n := cancels.Load(); n != 0 {
		t.Errorf("cancelled %d times", n)
	}
}
