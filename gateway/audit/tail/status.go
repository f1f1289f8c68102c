package tail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"time"
)

// Class is a kind of failure.
type Class string

// The kinds of failures.
const (
	ClassNetwork Class = "network" // the receiver cannot be reached, or the connection broke
	ClassTLS     Class = "tls"     // one side does not trust the other
	ClassTimeout Class = "timeout"
	ClassBusy    Class = "busy"    // the receiver says that it cannot take anything now
	ClassRefused Class = "refused" // the receiver says that it will not
	ClassLog     Class = "log"     // the log's files cannot be read
	ClassCursor  Class = "cursor"  // the cursor cannot be kept: records are delivered, and after a restart again
)

// Classes returns all of them.
func Classes() []Class {
	return []Class{ClassNetwork, ClassTLS, ClassTimeout, ClassBusy, ClassRefused, ClassLog, ClassCursor}
}

// Status is how a receiver follows.
type Status struct {
	Name       string
	Delivered  uint64           // events, since the start; those that were sent again are counted again
	Lost       uint64           // events that the receiver will not get
	Failures   map[Class]uint64 // since the start
	Class      Class            // of the failure that lasts; "": none does
	Err        error
	Taken      int64         // events of the log that the receiver has taken, from the log's beginning
	Behind     int64         // events that it has not taken yet
	BehindTime time.Duration // how old the first of them is

	read       int64     // events of the log, as far as they were read
	waitsSince time.Time // when the first line of the batch that waits was written, or it was seen that lines are not found; zero: none waits
}

// tolerated is how far behind a receiver may be before that is said: a few batches, a few attempts.
const tolerated = time.Minute

// Status returns how the receiver follows, now.
func (t *Tail) Status() Status {
	head := t.head.Load()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.status
	s.Failures = maps.Clone(s.Failures)
	s.Behind = max(0, head-s.Taken, s.read-s.Taken)
	if !s.waitsSince.IsZero() {
		s.BehindTime = max(0, time.Since(s.waitsSince))
	}
	return s
}

// Problem is what is wrong: the receiver fails, or is far behind; nil: nothing.
func (s *Status) Problem() error {
	late := s.BehindTime > tolerated
	switch behind := fmt.Sprintf("%d events and %s behind", s.Behind, s.BehindTime.Round(time.Second)); {
	case s.Err != nil:
		return fmt.Errorf("%s: %w (%s)", s.Class, s.Err, behind)
	case late:
		return errors.New(behind)
	}
	return nil
}

// answer is what a receiver that was reached has said instead of taking the records.
type answer struct {
	class Class
	said  string
	after time.Duration // when to come again; 0: it does not say
}

func (a *answer) Error() string { return "the receiver answers " + a.said }

// answered makes an error of an HTTP status.
func answered(status int, text string, after time.Duration) error {
	a := &answer{ClassRefused, text, after}
	if status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= http.StatusInternalServerError {
		a.class = ClassBusy
	}
	return a
}

// rejected says that a receiver has taken the records but for some, which it will never take.
type rejected struct {
	records int64
	said    string
}

func (r *rejected) Error() string { return "the receiver answers " + r.said }

// errTooLarge says that the records are more than the receiver takes at once.
var errTooLarge = errors.New("it is more than the receiver takes")

// failure is an error whose kind is known.
type failure struct {
	class Class
	error
}

func (f *failure) Unwrap() error { return f.error }

// classOf says what kind of failure an error is.
func classOf(err error) Class {
	var known *failure
	var said *answer
	var network net.Error
	var authority *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var host x509.HostnameError
	switch {
	case errors.As(err, &known):
		return known.class
	case errors.As(err, &said):
		return said.class
	case errors.As(err, &authority), errors.As(err, &record), errors.As(err, &alert), errors.As(err, &host):
		return ClassTLS
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return ClassTimeout
	}
	return ClassNetwork
}
