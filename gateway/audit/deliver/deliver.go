// Package deliver sends the checkpoints of an audit log to other machines, where whoever changes the log cannot reach them.
//
// A checkpoint speaks for all before it. So only the newest one waits: a receiver that is slow, or away for an hour, misses some and
// loses nothing but the exactness of when the log was last seen to be whole.
package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/audit"
)

const (
	// sendTimeout is how long a receiver may take for one checkpoint.
	sendTimeout = 5 * time.Second
	// A receiver that fails is tried again after retryFirst, then after twice as long each time, up to retryLast.
	retryFirst = time.Second
	retryLast  = 30 * time.Second
)

// receiver takes one checkpoint. It must give up when ctx ends.
type receiver interface {
	send(ctx context.Context, c audit.Checkpoint) error
}

// Config configures a Sender.
type Config struct {
	// Name is what the receiver is called in logs and metrics: "syslog", "http", "put".
	Name string
	// Observe, which may be nil, is told how each attempt ended.
	Observe func(name string, err error)
	// Logger hears when a receiver fails first, and when it takes checkpoints again; nil is silence.
	Logger *slog.Logger
}

// Sender sends checkpoints to one receiver. Somebody has to run it.
type Sender struct {
	cfg Config
	to  receiver

	mu      sync.Mutex
	next    *audit.Checkpoint // that waits; nil: none
	arrived chan struct{}     // holds a token when there is one
	err     error             // of the last attempt
	sent    int64             // events of the last checkpoint that was taken
}

func newSender(cfg Config, to receiver) *Sender {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, error) {}
	}
	return &Sender{cfg: cfg, to: to, arrived: make(chan struct{}, 1)}
}

// Send has a checkpoint sent, in place of one that still waits. It never waits itself.
func (s *Sender) Send(c audit.Checkpoint) {
	s.mu.Lock()
	s.next = &c
	s.mu.Unlock()
	select {
	case s.arrived <- struct{}{}:
	default: // one is there
	}
}

// Run sends until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.arrived:
		}
		for retry := retryFirst; !s.Flush(ctx); retry = min(2*retry, retryLast) {
			timer := time.NewTimer(retry)
			select {
			case <-ctx.Done():
				timer.Stop()
				return nil
			case <-timer.C:
			}
		}
	}
}

// Flush sends what waits, once, and says whether nothing waits any more. At the end of a gateway it sends the last checkpoint, which
// is made when nothing runs any more.
func (s *Sender) Flush(ctx context.Context) bool {
	s.mu.Lock()
	c := s.next
	s.mu.Unlock()
	if c == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	err := s.to.send(ctx, *c)
	s.cfg.Observe(s.cfg.Name, err)
	return s.settle(c, err)
}

// settle notes how an attempt ended.
func (s *Sender) settle(c *audit.Checkpoint, err error) (done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil && s.err == nil:
		s.cfg.Logger.Warn("checkpoint was not delivered", "receiver", s.cfg.Name, "error", err)
	case err == nil && s.err != nil:
		s.cfg.Logger.Info("checkpoints are delivered again", "receiver", s.cfg.Name)
	}
	if s.err = err; err != nil {
		return false
	}
	s.sent = c.Events
	if s.next == c {
		s.next = nil
	}
	return s.next == nil
}

// Err is why the last attempt failed; nil: it did not.
func (s *Sender) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", s.cfg.Name, s.err)
}

var errAddress = errors.New("is no address of a receiver")
