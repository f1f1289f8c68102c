package gateway

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/wire"
)

func mustPush(t *testing.T, q *queue, kind wire.Type) entry {
	t.Helper()
	e, skipped, err := q.push(entry{kind: kind})
	if err != nil || skipped {
		t.Fatalf("push %q: skipped %t, %v", kind, skipped, err)
	}
	return e
}

func TestQueueSkipsToTheNextSync(t *testing.T) {
	q := newQueue()
	for _, kind := range "PBEQS" {
		mustPush(t, q, wire.Type(kind))
	}
	mustPush(t, q, wire.Parse)
	var skipped []byte
	q.skip(func(e entry) { skipped = append(skipped, e.kind) })
	if string(skipped) != "PBEQ" {
		t.Errorf("skipped %q, want PBEQ", skipped)
	}
	if e, ok := q.head(); !ok || e.kind != wire.Sync {
		t.Errorf("head is %q, want the Sync", e.kind)
	}
}

func TestQueueSkipsWhatIsPushedLater(t *testing.T) {
	q := newQueue()
	mustPush(t, q, wire.Parse)
	q.skip(func(entry) {})
	for _, kind := range []wire.Type{wire.Bind, wire.Query, wire.Execute} {
		if _, skipped, _ := q.push(entry{kind: kind}); !skipped {
			t.Errorf("%q is queued behind an error", kind)
		}
	}
	mustPush(t, q, wire.Sync)
	mustPush(t, q, wire.Parse)
}

func TestQueueNumbersReadyForQuery(t *testing.T) {
	q := newQueue()
	if e := mustPush(t, q, wire.Query); e.ready != 1 {
		t.Errorf("first Query is number %d", e.ready)
	}
	if e := mustPush(t, q, wire.Parse); e.ready != 0 {
		t.Errorf("a Parse is owed ReadyForQuery %d", e.ready)
	}
	if e := mustPush(t, q, wire.Sync); e.ready != 2 {
		t.Errorf("the Sync is number %d", e.ready)
	}
	q.ready(wire.InTransaction)
	q.pop()
	q.ready(wire.Idle)
	if q.nextReady() != 3 || q.readySeen.Load() != 2 || q.lastIdle() != 2 {
		t.Errorf("ReadyForQuery %d is next, %d came last, %d was idle", q.nextReady(), q.readySeen.Load(), q.lastIdle())
	}
}

func TestQueueHoldsASyncWhileCopying(t *testing.T) {
	tests := map[string]struct {
		after func(q *queue)
		over  bool
		want  int
	}{
		"the copy fails":              {func(q *queue) { q.skip(func(entry) {}) }, false, 1},
		"a second one, then it fails": {func(q *queue) { q.holdSync(); q.skip(func(entry) {}) }, false, 2},
		"data follows, then it ends":  {func(q *queue) { q.copied(); q.skip(func(entry) {}) }, false, 0},
		"the copy goes on":            {func(*queue) {}, false, 0},
		"something else follows":      {func(*queue) {}, true, 1},
		"data, then something else":   {func(q *queue) { q.copied() }, true, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			q := newQueue()
			mustPush(t, q, wire.Execute)
			if q.holdSync() {
				t.Fatal("holds a Sync although nothing copies")
			}
			q.setCopying(true)
			if !q.holdSync() {
				t.Fatal("does not hold the Sync")
			}
			tt.after(q)
			if got := q.takeHeldSyncs(tt.over); got != tt.want {
				t.Errorf("%d Syncs are due, want %d", got, tt.want)
			}
			if q.takeHeldSyncs(true) > 0 && tt.want > 0 {
				t.Error("a Sync is due twice")
			}
		})
	}
}

func TestQueueWaitersHearTheEnd(t *testing.T) {
	q := newQueue()
	var waiting sync.WaitGroup
	errs := make(chan error, 3)
	for range maxOutstanding {
		mustPush(t, q, wire.Parse)
	}
	if _, _, err := q.push(entry{kind: wire.Parse}); !errors.Is(err, errFull) {
		t.Fatalf("got %v from a full queue, want errFull", err)
	}
	waiting.Go(func() { errs <- q.waitRoom() })
	waiting.Go(func() { _, err := q.waitReady(1); errs <- err })
	waiting.Go(func() { errs <- q.waitCopyOrDone(maxOutstanding) })
	q.end()
	waiting.Wait()
	for range 3 {
		if err := <-errs; !errors.Is(err, errEnded) {
			t.Errorf("got %v, want errEnded", err)
		}
	}
}

func TestQueueGrowsInOrder(t *testing.T) {
	q := newQueue()
	for i := range 100 {
		mustPush(t, q, wire.Parse)
		if i%3 == 0 {
			q.pop()
		}
	}
	last := uint64(0)
	q.drain(func(e entry) {
		if last != 0 && e.position != last+1 {
			t.Errorf("entry %d follows %d", e.position, last)
		}
		last = e.position
	})
	if last != 100 {
		t.Errorf("last entry is %d, want 100", last)
	}
}

// TestQueueHandsOverWithoutItsLock: what is taken back or left may have a deadline whose cancel asks whether the backend is busy.
func TestQueueHandsOverWithoutItsLock(t *testing.T) {
	for name, take := range map[string]func(q *queue, each func(entry)){
		"retract": func(q *queue, each func(entry)) { q.retract(0, each) },
		"drain":   func(q *queue, each func(entry)) { q.drain(each) },
	} {
		t.Run(name, func(t *testing.T) {
			q := newQueue()
			mustPush(t, q, wire.Parse)
			mustPush(t, q, wire.Bind)
			asked := make(chan bool, 2)
			go take(q, func(entry) {
				busy, _ := q.busy()
				asked <- busy
			})
			for range 2 {
				select {
				case busy := <-asked:
					if busy {
						t.Error("the queue still has it")
					}
				case <-time.After(10 * time.Second):
					t.Fatal("it is handed over with the lock held")
				}
			}
		})
	}
}
