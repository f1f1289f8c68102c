// Package refusals keeps who is not let in until an operator lifts that: a list that survives a restart.
//
// It fails closed. A list that cannot be read is an error, and nothing starts without it; a refusal that cannot be written is in force
// all the same while the process lives; one that cannot be taken out of the file stays in force.
package refusals

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	// MaxRefusals bounds the list: it is for people who were found out, not for keeping accounts.
	MaxRefusals = 10_000
	// maxNameBytes bounds a user, an issuer, a subject and an operator; none that is longer logs in.
	maxNameBytes = 2048
	// maxReasonBytes bounds a reason.
	maxReasonBytes = 512
	// lastYear is the last that RFC 3339 can write.
	lastYear = 9999
)

// Who is whoever goes by an account's name, or whomever an issuer calls by a subject, whatever account that is let into. Either User is
// set, or Issuer and Subject.
type Who struct {
	User    string `json:"user,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject,omitempty"`
}

// Validate says what is wrong with it.
func (w Who) Validate() error {
	for _, name := range []string{w.User, w.Issuer, w.Subject} {
		if len(name) > maxNameBytes || !printable(name) {
			return errors.New("a name is too long, or does not print")
		}
	}
	switch {
	case w.User == "" && w.Issuer == "" && w.Subject == "":
		return errors.New("nobody is named: give user, or issuer and subject")
	case w.User != "" && (w.Issuer != "" || w.Subject != ""):
		return errors.New("give user, or issuer and subject, not both")
	case (w.Issuer == "") != (w.Subject == ""):
		return errors.New("issuer and subject go together")
	}
	return nil
}

// Matches says whether somebody who has logged in is meant.
func (w Who) Matches(user, issuer, subject string) bool {
	if w.User != "" {
		return w.User == user
	}
	return w.Issuer != "" && w.Issuer == issuer && w.Subject == subject
}

// Refusal is one entry of the list.
type Refusal struct {
	Who
	Reason  string    `json:"reason"` // the operator's, for operators: the client does not hear it
	By      string    `json:"by"`     // the operator
	Since   time.Time `json:"since"`
	Expires time.Time `json:"expires,omitzero"` // zero: until it is lifted
}

// Validate says what is wrong with it.
func (r Refusal) Validate() error {
	if len(r.Reason) > maxReasonBytes || len(r.By) > maxNameBytes || !printable(r.Reason) || !printable(r.By) {
		return errors.New("the reason, or the operator's name, is too long or does not print")
	}
	if r.Expires.UTC().Year() > lastYear { // the file could not be written, for nobody else either
		return fmt.Errorf("expires is after the year %d", lastYear)
	}
	return r.Who.Validate()
}

func (r Refusal) expired(now time.Time) bool { return !r.Expires.IsZero() && !now.Before(r.Expires) }

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// List is the list. It is safe for concurrent use.
type List struct {
	path string
	lock *os.File

	writing sync.Mutex // one change at a time, the file's too
	mu      sync.RWMutex
	entries map[Who]Refusal
}

// Open reads the list of a file, which need not exist yet, and takes the file for this process alone. The list is to be closed.
func Open(path string) (*List, error) {
	lock, err := take(path)
	if err != nil {
		return nil, fmt.Errorf("open refusals: %w", err)
	}
	entries, err := Read(path)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	return &List{path: path, lock: lock, entries: entries}, nil
}

// Close gives the file back. The list is not to be used afterwards. A nil List has no file.
func (l *List) Close() error {
	if l == nil {
		return nil
	}
	return l.lock.Close()
}

// Find is the refusal that meets somebody who has logged in.
func (l *List) Find(user, issuer, subject string) (r Refusal, ok bool) {
	now := time.Now()
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, who := range [...]Who{{User: user}, {Issuer: issuer, Subject: subject}} {
		if r, ok = l.entries[who]; ok && !r.expired(now) {
			return r, true
		}
	}
	return Refusal{}, false
}

// All lists the refusals that are in force, the oldest first.
func (l *List) All() []Refusal {
	now := time.Now()
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make([]Refusal, 0, len(l.entries))
	for _, r := range l.entries {
		if !r.expired(now) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b Refusal) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.User, b.User), strings.Compare(a.Issuer, b.Issuer), strings.Compare(a.Subject, b.Subject))
	})
	return all
}

// ErrNotKept says that a refusal is in force, but that it may be gone after a restart.
var ErrNotKept = errors.New("in force, but not kept over a restart")

// ErrFull says that there are too many.
var ErrFull = fmt.Errorf("more than %d refusals", MaxRefusals)

// Add refuses somebody from now on. One who is refused already is so for the new reason, and until the new end. The file has it when Add
// returns nil; an ErrNotKept leaves it in force.
func (l *List) Add(r Refusal) error {
	if err := r.Validate(); err != nil {
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	l.forget(time.Now())
	if _, again := l.entries[r.Who]; !again && len(l.entries) >= MaxRefusals {
		l.mu.Unlock()
		return ErrFull
	}
	l.entries[r.Who] = r
	l.mu.Unlock()
	if err := write(l.path, l.All()); err != nil {
		return fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	return nil
}

// forget drops what has expired. The lock is held.
func (l *List) forget(now time.Time) {
	for who, r := range l.entries {
		if r.expired(now) {
			delete(l.entries, who)
		}
	}
}

// Lift ends a refusal, and says whether there was one. The file is without it when Lift returns; on an error it stays in force.
func (l *List) Lift(who Who) (found bool, err error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	all := l.All()
	rest := slices.DeleteFunc(slices.Clone(all), func(r Refusal) bool { return r.Who == who })
	if len(rest) == len(all) {
		return false, nil
	}
	if err := write(l.path, rest); err != nil {
		return true, fmt.Errorf("lift refusal: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.entries, who)
	return true, nil
}
