package gateway

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/backend"
)

// TestSettleOfACancelThatHangs: whoever has asked for a cancel that the backend does not take, the session's end waits for it no longer than
// for the backend's answer.
func TestSettleOfACancelThatHangs(t *testing.T) {
	const slack = time.Second
	for name, test := range map[string]struct {
		change func(r *relay)
		first  string
		cancel bool // the client's own
	}{
		"the end's":    {nil, "wait", false},
		"the client's": {nil, "wait", true},
		"a deadline's": {timedStatements(time.Millisecond, "WAIT"), "wait", false},
		"a cap's":      {capped, "endless 4", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan struct{})
			var first sync.Once
			b := start(t, func(r *relay) {
				if test.change != nil {
					test.change(r)
				}
				r.cancel = func(ctx context.Context) error {
					first.Do(func() { close(asked) })
					<-ctx.Done()
					return &backend.Error{Stage: backend.StageCancel, Err: ctx.Err()}
				}
			})
			b.send(query(test.first))
			b.waitUntilRuns(test.first)
			if test.cancel {
				go func() {
					ctx, cancel := context.WithTimeout(context.Background(), cancelTime)
					defer cancel()
					_, _ = b.relay.cancelRunning(ctx, cancelInDoubt())
				}()
			}
			if test.cancel || test.change != nil {
				<-asked
			}
			began := time.Now()
			b.relay.end(fail(ReasonKilled, nil))
			if got := strings.Join(b.rest(), " "); !strings.HasSuffix(got, "FATAL 57P01") {
				t.Errorf("got %s", got)
			}
			b.cause()
			if took := time.Since(began); took > settleTime+slack {
				t.Errorf("the end took %v", took)
			}
			close(b.backend.release)
			b.backend.cancel()
		})
	}
}
