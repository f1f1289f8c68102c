package catalog

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// DefaultPoll is how often the database is asked whether anything has changed.
	DefaultPoll = time.Second
	// DefaultMaxAge leaves time to open a session anew, also when Vault or PostgreSQL have to be tried several times, and is how long at
	// most a change that was made past the gateway goes unnoticed.
	DefaultMaxAge = 10 * time.Second
	// MinPolls is how many polls there must be within MaxAge: a single one that is late must not deny everything.
	MinPolls = 2
)

// ErrUnavailable says that what the names in a database mean is not known now. Whoever has to decide about names denies.
var ErrUnavailable = errors.New("the catalog is not known")

// Config says what a Catalog reads, and how often.
type Config struct {
	Open    func(ctx context.Context) (*Session, error) // a new session with the database
	Analyze Analyze
	Poll    time.Duration // 0: DefaultPoll
	MaxAge  time.Duration // of what is decided by; 0: DefaultMaxAge
	Logger  *slog.Logger  // nil: silent
}

func (c Config) checked() (*Config, error) {
	if c.Poll == 0 {
		c.Poll = DefaultPoll
	}
	if c.MaxAge == 0 {
		c.MaxAge = DefaultMaxAge
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Open == nil || c.Analyze == nil:
		return nil, errors.New("configure catalog: nothing to read with")
	case c.Poll < 0 || c.MaxAge < MinPolls*c.Poll:
		return nil, fmt.Errorf("configure catalog: the greatest age, %s, is less than %d polls of %s", c.MaxAge, MinPolls, c.Poll)
	}
	return &c, nil
}

// Catalog knows the newest Snapshot of one database. Its methods may be called from many goroutines; nothing happens before Run does.
type Catalog struct {
	config  atomic.Pointer[Config]
	seed    string        // of the digests
	share   time.Duration // restShare
	current atomic.Pointer[state]
	changes atomic.Uint64 // calls of Changed
	asks    atomic.Uint64 // calls of Fresh
	poke    chan struct{} // one place: look now
	asked   chan struct{} // one place: look as soon as askShare allows
	replace chan struct{} // one place: the configuration is another

	mu       sync.Mutex
	progress chan struct{} // closed and replaced when current is, or when reading has failed
	counts   Status        // what is counted, and Err
}

// state is a snapshot and what is known about it. It is immutable.
type state struct {
	snapshot    *Snapshot
	definitions definitions
	confirmed   time.Time // everything that had committed by then is in the snapshot
	changes     uint64    // … and so is what these calls of Changed were about
	asks        uint64    // … and what had committed before these calls of Fresh
	unsettled   bool      // some definitions could not be read: try again even if nothing has changed
}

// New checks the configuration.
func New(config Config) (*Catalog, error) {
	checked, err := config.checked()
	if err != nil {
		return nil, err
	}
	var seed [8]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("choose the digest's seed: %w", err)
	}
	c := &Catalog{
		seed:  strconv.FormatInt(int64(binary.NativeEndian.Uint64(seed[:])), 10), // #nosec G115 -- any 64 bits will do
		share: restShare, poke: make(chan struct{}, 1), asked: make(chan struct{}, 1), replace: make(chan struct{}, 1), progress: make(chan struct{}),
	}
	c.config.Store(checked)
	return c, nil
}

// Reconfigure changes how the same database is read. The session is replaced by one that the new configuration opens; the snapshot stays.
func (c *Catalog) Reconfigure(config Config) error {
	checked, err := config.checked()
	if err != nil {
		return err
	}
	c.config.Store(checked)
	signal(c.replace)
	return nil
}

// Current returns the newest snapshot. It has everything that had committed before the last call of Changed; for that, and for the very
// first snapshot, it waits as long as ctx allows. What others than the gateway's sessions changed is in it if it had committed MaxAge ago;
// usually it is after a poll and a reading. The error is ErrUnavailable and the reason.
func (c *Catalog) Current(ctx context.Context) (*Snapshot, error) {
	if s, ok := c.Now(time.Now()); ok {
		return s, nil
	}
	return c.await(ctx, 0)
}

// Fresh is Current with everything in it that had committed before the call, whoever changed it. It waits for that as long as ctx allows,
// and for nothing else: what others ask of the Catalog meanwhile is answered as before. Many calls while one poll is under way cause one
// more, and those of a database take a fourth of the time of the session that it is polled over at the most.
func (c *Catalog) Fresh(ctx context.Context) (*Snapshot, error) {
	number := c.asks.Add(1)
	signal(c.asked)
	return c.await(ctx, number)
}

// Now is Current where there is nothing to wait for, for those who have read the clock already. It allocates nothing.
func (c *Catalog) Now(now time.Time) (*Snapshot, bool) {
	s := c.current.Load()
	if s == nil || s.changes < c.changes.Load() || now.Sub(s.confirmed) > c.config.Load().MaxAge {
		return nil, false
	}
	return s.snapshot, true
}

// Latest returns the newest snapshot, however old it is and whatever has changed since; nil before there is one. No decision rests on it.
func (c *Catalog) Latest() *Snapshot {
	if s := c.current.Load(); s != nil {
		return s.snapshot
	}
	return nil
}

// await is Current when there is something to wait for, or nothing to be had. asks is the call of Fresh that it is for.
func (c *Catalog) await(ctx context.Context, asks uint64) (*Snapshot, error) {
	changes := c.changes.Load() // calls that come while we wait are somebody else's concern
	for {
		c.mu.Lock()
		progress, fault := c.progress, c.counts.Err
		c.mu.Unlock()
		s := c.current.Load() // after progress was taken: whatever comes next closes that
		if s != nil {
			switch age := time.Since(s.confirmed); {
			case age > c.config.Load().MaxAge:
				return nil, fmt.Errorf("%w: it was last read %s ago: %w", ErrUnavailable, age.Round(time.Millisecond), orUnknown(fault))
			case s.changes >= changes && s.asks >= asks:
				return s.snapshot, nil
			}
		}
		select {
		case <-progress:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w yet: %w: %w", ErrUnavailable, ctx.Err(), orUnknown(fault))
		}
	}
}

var errNoFault = errors.New("reading it takes longer")

func orUnknown(fault error) error {
	if fault == nil {
		return errNoFault
	}
	return fault
}

// Changed says that definitions have changed, in a transaction that has ended: what Current returns from now on was read, or found to be
// unchanged, by a transaction that began after this call. Many calls while one reading is under way cause one more.
func (c *Catalog) Changed() {
	c.changes.Add(1)
	signal(c.poke)
}

// signal fills a channel's one place.
func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// Status is how a Catalog is doing.
type Status struct {
	Generation uint64    // of the newest snapshot; 0: there is none
	ReadAt     time.Time // when it was read
	Confirmed  time.Time // when it was last known to be what the database has
	Relations  int       // in it, PostgreSQL's own among them
	Opaque     int       // views in it whose definitions are not understood
	Read       uint64    // snapshots read
	Unchanged  uint64    // polls that found nothing changed
	Failed     uint64    // attempts that failed
	Err        error     // why the last attempt failed; nil: it did not
}

// Status returns the state as it is now.
func (c *Catalog) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	status := c.counts
	if s := c.current.Load(); s != nil {
		status.Generation, status.ReadAt, status.Confirmed = s.snapshot.Generation, s.snapshot.ReadAt, s.confirmed
		status.Relations = len(s.snapshot.Relations)
	}
	return status
}

// Ready returns nil if Current would return a snapshot, not counting changes that are being read.
func (c *Catalog) Ready() error {
	status := c.Status()
	switch age := time.Since(status.Confirmed); {
	case status.Generation == 0:
		return fmt.Errorf("%w yet: %w", ErrUnavailable, orUnknown(status.Err))
	case age > c.config.Load().MaxAge:
		return fmt.Errorf("%w: it was last read %s ago: %w", ErrUnavailable, age.Round(time.Second), orUnknown(status.Err))
	}
	return nil
}
