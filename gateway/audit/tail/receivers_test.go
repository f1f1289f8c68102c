package tail

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testReceiver is a receiver that can be killed.
type testReceiver interface {
	start(t *testing.T)
	kill(t *testing.T)
	lines(t *testing.T) []string // what it has kept, in the order in which it came
}

// running is a Tail that runs.
type running struct {
	*Tail
	stop  context.CancelFunc
	group sync.WaitGroup
}

func run(tl *Tail, d *Directory) *running {
	r := &running{Tail: tl}
	tl.Open(d)
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	r.group.Go(func() { _ = tl.Run(ctx) })
	return r
}

// crash ends it as a killed process ends: nothing is kept that was not kept before.
func (r *running) crash() {
	r.stop()
	r.group.Wait()
	r.follower.close()
	r.to.close()
}

func (r *running) finish(t *testing.T) {
	r.stop()
	r.group.Wait()
	r.Finish(t.Context())
}

func openDirectory(t *testing.T) *Directory {
	t.Helper()
	d, err := OpenDirectory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// once drops the lines that came again.
func once(lines []string) []string {
	seen := make(map[string]bool)
	var first []string
	for _, line := range lines {
		if !seen[line] {
			first = append(first, line)
		}
		seen[line] = true
	}
	return first
}

// through takes a log through everything that can happen between it and a receiver: every line must come, in order but for those that
// come again, byte for byte.
func through(t *testing.T, r testReceiver, follow func(log string) (*Tail, error)) {
	tr := newTrail(t)
	state := openDirectory(t)
	tail := func() *running {
		tl, err := follow(tr.path)
		if err != nil {
			t.Fatal(err)
		}
		return run(tl, state)
	}
	received := func(n int) func() bool { return func() bool { return len(once(r.lines(t))) >= n } }

	r.start(t)
	tr.append(100)
	first := tail()
	eventually(t, "the first events come", received(100))
	tr.append(3000)
	tr.rotate(false)
	tr.append(2000)
	eventually(t, "more come", received(1500))
	r.kill(t) // amid them
	tr.rotate(true)
	tr.append(1500)
	eventually(t, "it is said that nothing is taken", func() bool { s := first.Status(); return s.Class == ClassNetwork && s.Problem() != nil })
	first.crash()
	tr.append(100)
	second := tail() // while nobody is there
	r.start(t)
	eventually(t, "it goes on", received(4500))
	second.crash()
	tr.rotate(false)
	tr.append(50)
	tr.rotate(true)
	third := tail()
	tr.append(50)
	tr.close()
	whole := strings.Split(strings.TrimSuffix(tr.whole(), "\n"), "\n")
	eventually(t, "all come", received(len(whole)))
	third.finish(t)

	got := r.lines(t)
	if diff := cmp.Diff(whole, once(got)); diff != "" {
		t.Errorf("%d lines, with those that came again %d: %s", len(whole), len(got), diff[:min(len(diff), 4000)])
	}
	if s := third.Status(); s.Taken != int64(tr.n) || s.Behind != 0 || s.Lost != 0 || s.Problem() != nil {
		t.Errorf("%+v", s)
	}
	tr.verify(strings.Join(once(got), "\n") + "\n")
	if keeps, ok := r.(interface{ raw(t *testing.T) string }); ok { // in a form of its own, with what came again
		tr.against(keeps.raw(t))
	}
	t.Logf("%d lines, %d came again", len(whole), len(got)-len(whole))
	r.kill(t)
	tr.open() // for the cleanup, which closes it
}
