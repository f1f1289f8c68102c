package statement

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/authz/recent"
)

// Defaults of Config.
const (
	DefaultWorkers     = 2
	DefaultTimeout     = time.Second // the largest text that passes the limits takes a tenth of it on an idle machine
	DefaultMemoryBytes = 512 << 20   // twice what 1 MiB of text took
	DefaultCacheBytes  = 64 << 20    // some 10 000 texts, and as many shapes
)

// Config says how a Pool runs. Zero fields mean the defaults.
type Config struct {
	Command     []string      // argv of a worker; default: this program with "statement-worker". It must end in WorkerMain.
	Workers     int           // processes
	Timeout     time.Duration // for one text, and for getting a worker
	MemoryBytes int64         // a worker's memory
	CacheBytes  int64         // memory for the sheets of texts and shapes seen before
	Limits      Limits        // what a text may be; MaxTextBytes below comes first

	MaxTextBytes int // longer texts are refused with 54000
	Logger       *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if len(c.Command) == 0 {
		path := ownBinary
		if path == "" {
			own, err := os.Executable()
			if err != nil {
				return c, fmt.Errorf("find the worker's program: %w", err)
			}
			path = own
		}
		c.Command = []string{path, "statement-worker"}
	}
	if c.Workers == 0 {
		c.Workers = DefaultWorkers
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = DefaultMemoryBytes
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = DefaultCacheBytes
	}
	if c.Workers < 0 || c.Timeout < 0 || c.MemoryBytes < 0 || c.CacheBytes < 0 || c.MaxTextBytes < 0 {
		return c, errors.New("statement pool: negative limit")
	}
	if c.MaxTextBytes > 0 {
		c.Limits.MaxTextBytes = c.MaxTextBytes
	}
	c.Limits = c.Limits.withDefaults()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Pool turns texts into sheets by worker processes, and remembers the sheets.
type Pool struct {
	config Config
	texts  *recent.Cache[string, *Sheet] // by exact text
	shapes *recent.Cache[string, *Sheet] // by shape
	sheets *interned
	poison poison
	jobs   chan *job
	ended  chan struct{} // closed when Run has ended
	live   atomic.Int32
	stats  stats

	started sync.Once
	ready   chan struct{} // closed when the first worker is ready

	mu      sync.Mutex
	pending map[string]*job // the texts being analysed, for those who ask for one a second time
}

// job is one text on its way through a worker.
type job struct {
	text  string
	half  chan struct{} // closed when facts is set; not at all, if there are none
	facts *Sheet        // without names
	done  chan struct{} // closed when sheet and err are set
	sheet *Sheet
	err   error
}

// read is told the facts before there are names for them.
func (j *job) read(facts *Sheet) {
	j.facts = facts
	close(j.half)
}

// Stats count what a pool did.
type Stats struct {
	Live     int    // workers ready now
	Hits     uint64 // texts whose facts were known, by themselves or by their shape
	Analyzed uint64 // texts given to a worker
	Killed   uint64 // workers that died over a text or overran their time
	Refused  uint64 // texts refused by the limits
}

type stats struct{ hits, analyzed, killed, refused atomic.Uint64 }

// NewPool checks the configuration. No worker runs before Run.
func NewPool(config Config) (*Pool, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Pool{
		config:  config,
		texts:   recent.New[string, *Sheet](int(config.CacheBytes / 2)),
		shapes:  recent.New[string, *Sheet](int(config.CacheBytes / 2)),
		sheets:  &interned{},
		jobs:    make(chan *job),
		ended:   make(chan struct{}),
		ready:   make(chan struct{}),
		pending: map[string]*job{},
	}, nil
}

// Stats returns the counters as they are now.
func (p *Pool) Stats() Stats {
	return Stats{
		Live: int(p.live.Load()), Hits: p.stats.hits.Load(), Analyzed: p.stats.analyzed.Load(),
		Killed: p.stats.killed.Load(), Refused: p.stats.refused.Load(),
	}
}

// Ready is nil while at least one worker is ready.
func (p *Pool) Ready() error {
	if p.live.Load() == 0 {
		return ErrUnavailable
	}
	return nil
}

// Wait returns when the first worker is ready, or with the context's error. A program waits before it accepts clients.
func (p *Pool) Wait(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for a statement worker: %w", ctx.Err())
	}
}

// Analyze returns the facts of a text. Texts with the same facts, such as those that differ only in literals, give the same *Sheet while
// it is remembered: a sheet is shared and must not be changed.
//
// The error is a *SyntaxError, a *LimitError (also when a worker died of the text), ErrUnavailable, or the context's. A text that fails
// is not remembered, but for one that a worker died of.
func (p *Pool) Analyze(ctx context.Context, text string) (*Sheet, error) {
	return p.AnalyzeAhead(ctx, text, nil)
}

// AnalyzeAhead is Analyze, and calls ahead once the facts of a text that was not known are there, but neither fingerprint nor normalized
// text: these take a worker as long again as the facts took PostgreSQL's parser. What is returned later has the same Saying, unless texts of its
// shape were known by then.
func (p *Pool) AnalyzeAhead(ctx context.Context, text string, ahead func(facts *Sheet)) (*Sheet, error) {
	if sheet := p.known(text, &Memory{}); sheet != nil {
		return sheet, nil
	}
	if err := p.admit(text); err != nil {
		p.stats.refused.Add(1)
		return nil, err
	}
	j, mine := p.join(text)
	if mine {
		select {
		case p.jobs <- j: // a worker is waiting
		default:
			go p.hand(j) // ends within Timeout; not the caller's own, since others may wait for the same text
		}
	}
	if ahead != nil {
		j.tell(ctx, ahead)
	}
	return j.wait(ctx)
}

// tell waits for the facts, and says them ahead if there are any.
func (j *job) tell(ctx context.Context, ahead func(facts *Sheet)) {
	select {
	case <-j.half:
	case <-j.done:
	case <-ctx.Done():
	}
	select {
	case <-j.half:
		ahead(j.facts)
	default:
	}
}

// wait returns what has become of a job. If that is known it counts, however late it is: ahead may have taken the time.
func (j *job) wait(ctx context.Context) (*Sheet, error) {
	select {
	case <-j.done:
		return j.sheet, j.err
	default:
	}
	select {
	case <-j.done:
		return j.sheet, j.err
	case <-ctx.Done():
		return nil, fmt.Errorf("analyze statement: %w", ctx.Err())
	}
}

func (p *Pool) admit(text string) error {
	if err := p.config.Limits.Check(text); err != nil {
		return err
	}
	if p.poison.has(text) {
		return errDeadly()
	}
	return nil
}

// errDeadly is what a text is refused with that a worker died of.
func errDeadly() error {
	return &LimitError{SQLSTATE: stateTooComplex, Message: "statement too complex to be analysed"}
}

// join returns the job for a text, and whether the caller made it and has to hand it in.
func (p *Pool) join(text string) (*job, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j := p.pending[text]; j != nil {
		return j, false
	}
	j := &job{text: text, half: make(chan struct{}), done: make(chan struct{})}
	p.pending[text] = j
	return j, true
}

// hand gives a job to a worker. If none takes it in time it fails.
func (p *Pool) hand(j *job) {
	timer := time.NewTimer(p.config.Timeout)
	defer timer.Stop()
	select {
	case p.jobs <- j:
	case <-timer.C:
		p.finish(j, nil, ErrUnavailable)
	case <-p.ended:
		p.finish(j, nil, ErrUnavailable)
	}
}

// finish ends a job. One that is not pending any more is done.
func (p *Pool) finish(j *job, sheet *Sheet, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	j.sheet, j.err = sheet, err
	close(j.done)
	delete(p.pending, j.text)
}
