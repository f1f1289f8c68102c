package tail

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lookEvery is how often the log is looked at for more.
	lookEvery = 500 * time.Millisecond
	// sendTimeout is how long a receiver may take for a batch.
	sendTimeout = 30 * time.Second
	// A receiver that fails is tried again after about retryFirst, then after twice as long each time, up to retryLast. Never is it
	// given up.
	retryFirst = time.Second
	retryLast  = time.Minute
	// maxRetryAfter bounds what a receiver may ask for.
	maxRetryAfter = 10 * time.Minute
	// storeEvery is how often a cursor is kept at most: an fsync. What was taken since is sent again after a crash.
	storeEvery = time.Second
)

// receiver takes records. When send returns nil all of them are taken, and its answer says so; otherwise all are sent again. It must give up
// when ctx ends. It is used by one goroutine at a time.
type receiver interface {
	send(ctx context.Context, records []Record) error
	close()
}

// Config configures a Tail.
type Config struct {
	// Name is what the receiver is called in logs, metrics, and the name of its cursor: "syslog".
	Name string
	// Log is the path of the log's file. Old ones are beside it.
	Log string
	// OCSF sends events of OCSF instead of lines, of those lines that there are such events for; see package ocsf. They prove nothing.
	OCSF bool
	// Logger hears when a receiver fails first, when it takes records again, and what is lost; nil is silence.
	Logger *slog.Logger
}

// Tail has a receiver follow the log. Somebody has to Open and then Run it.
type Tail struct {
	cfg       Config
	to        receiver
	directory *Directory

	follower *follower
	waiting  *batch // read and not taken yet; nil: none
	taken    place
	stored   time.Time
	dirty    bool // taken is not kept yet
	retry    time.Duration

	head atomic.Int64 // how many events the log has

	mu     sync.Mutex
	status Status
}

func newTail(cfg Config, to receiver) *Tail {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Logger = cfg.Logger.With("receiver", cfg.Name)
	return &Tail{cfg: cfg, to: to, status: Status{Name: cfg.Name, Failures: make(map[Class]uint64)}}
}

// Open reads the cursor. One that cannot be read is begun anew: everything that is there is sent again.
func (t *Tail) Open(d *Directory) {
	from, err := d.load(t.cfg.Name)
	if err != nil {
		t.cfg.Logger.Error("cursor cannot be read; everything is sent again", "error", err)
	}
	t.directory, t.taken = d, from
	t.follower = newFollower(t.cfg.Log, from, t.cfg.Logger)
	t.status.Taken = from.tree.Size()
}

// Run follows the log until ctx ends.
func (t *Tail) Run(ctx context.Context) error {
	for {
		wait, _ := t.step(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// Finish sends what is there, keeps the cursor, and closes everything. It is called after Run and when the log is closed; what it does
// not bring away before ctx ends, or a failure, is sent at the next start.
func (t *Tail) Finish(ctx context.Context) {
	for ctx.Err() == nil {
		if _, more := t.step(ctx); !more {
			break
		}
	}
	t.keep(true)
	t.follower.close()
	t.to.close()
}

// step reads a batch if none waits, and sends it. It says how long to wait before the next step, and whether that has something to do
// at once.
func (t *Tail) step(ctx context.Context) (wait time.Duration, more bool) {
	if t.waiting == nil {
		read, err := t.follower.read()
		t.read(read)
		if err != nil && len(read.records) == 0 {
			return t.failed(&failure{ClassLog, err}), false
		}
		if len(read.records) == 0 {
			t.keep(false)
			return lookEvery, false
		}
		t.waiting = read
	}
	err := t.send(ctx, t.waiting)
	if ctx.Err() != nil && err != nil {
		return 0, false
	}
	if err != nil {
		return t.failed(err), false
	}
	t.took()
	return 0, true
}

// send sends a batch, in parts when it is too large for the receiver. A line that is too large alone is given up, and counted: who can
// write a statement must not be able to hold up all that follow. What was taken of the batch is not sent again.
func (t *Tail) send(ctx context.Context, b *batch) error {
	for at := len(b.records); len(b.records) > 0; at = min(at, len(b.records)) {
		err := t.attempt(ctx, b.records[:at])
		var refused *rejected
		switch {
		case errors.As(err, &refused):
			t.lose(refused.records)
			t.cfg.Logger.Error("receiver has refused records", "lost_events", refused.records, "error", err)
		case errors.Is(err, errTooLarge) && at > 1:
			at /= 2
			continue
		case errors.Is(err, errTooLarge):
			t.lose(1)
			t.cfg.Logger.Error("record is too large for the receiver", "record", b.records[0].ID(), "bytes", len(b.records[0].Line), "error", err)
		case err != nil:
			return err
		}
		b.records = b.records[at:]
	}
	return nil
}

func (t *Tail) attempt(ctx context.Context, records []Record) error {
	if t.cfg.OCSF {
		if records = asOCSF(records); len(records) == 0 {
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return t.to.send(ctx, records)
}

// took notes that the batch was taken.
func (t *Tail) took() {
	b := t.waiting
	t.waiting, t.taken, t.dirty, t.retry = nil, b.end, true, 0
	t.mu.Lock()
	if t.status.Class != "" && t.status.Class != ClassCursor {
		t.cfg.Logger.Info("audit log is delivered again")
		t.status.Class, t.status.Err = "", nil
	}
	t.status.Delivered += uint64(b.events) // #nosec -- a count is not negative
	t.status.Taken, t.status.waitsSince = b.end.tree.Size(), time.Time{}
	t.mu.Unlock()
	t.keep(false)
}

// failed notes a failure, and says how long to wait.
func (t *Tail) failed(err error) time.Duration {
	t.keep(true) // while there is nothing else to do
	class := classOf(err)
	t.mu.Lock()
	if t.status.Class != class {
		t.cfg.Logger.Warn("audit log is not delivered", "class", string(class), "error", err)
	}
	t.status.Failures[class]++
	t.status.Class, t.status.Err = class, err
	t.mu.Unlock()
	t.retry = min(max(2*t.retry, retryFirst), retryLast)
	wait := t.retry/2 + rand.N(t.retry) // #nosec -- so that many gateways do not come at the same time
	var asked *answer
	if errors.As(err, &asked) {
		wait = max(wait, min(asked.after, maxRetryAfter))
	}
	return wait
}

// keep keeps the cursor when it is time to.
func (t *Tail) keep(now bool) {
	if !t.dirty || !now && time.Since(t.stored) < storeEvery {
		return
	}
	t.stored = time.Now()
	err := t.directory.store(t.cfg.Name, &t.taken)
	t.dirty = err != nil
	t.mu.Lock()
	defer t.mu.Unlock()
	switch was := t.status.Class; {
	case err != nil:
		if was != ClassCursor {
			t.cfg.Logger.Error("cursor cannot be kept; after a restart records are sent again", "error", err)
		}
		t.status.Failures[ClassCursor]++
		t.status.Class, t.status.Err = ClassCursor, err
	case was == ClassCursor:
		t.status.Class, t.status.Err = "", nil
	}
}

// read notes what was read.
func (t *Tail) read(b *batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status.Lost += uint64(t.follower.lost) // #nosec -- a count is not negative
	t.follower.lost = 0
	t.status.read = max(t.status.read, t.follower.at.tree.Size())
	if len(b.records) > 0 {
		t.status.waitsSince = b.oldest()
		return
	}
	if t.status.Class == ClassLog {
		t.status.Class, t.status.Err = "", nil
	}
	switch missed := t.head.Load() > t.follower.at.tree.Size(); {
	case !missed:
		t.status.waitsSince = time.Time{}
	case t.status.waitsSince.IsZero(): // the log has more than is found in its files
		t.status.waitsSince = time.Now()
	}
}

func (t *Tail) lose(records int64) {
	t.mu.Lock()
	t.status.Lost += uint64(records) // #nosec -- a count is not negative
	t.mu.Unlock()
}

// Head says how many events the log has. It does not wait.
func (t *Tail) Head(events int64) { t.head.Store(events) }
