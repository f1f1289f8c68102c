package credentials

import (
	"fmt"
	"log/slog"
	"time"
)

// ledger keeps the journal of a source of credentials, if there is one.
type ledger struct {
	journal *journal // nil: none is kept
	left    []Entry  // what an earlier gateway has left open
	log     *slog.Logger
}

func (l *ledger) openJournal(path string) (err error) {
	if path == "" {
		return nil
	}
	if l.journal, l.left, err = openJournal(path); err == nil && l.journal.torn > 0 {
		l.log.Warn("lease journal ended in a line that was not finished", "file", path, "bytes", l.journal.torn)
	}
	return err
}

// remember has the lease in the journal before its credential is used.
func (l *ledger) remember(role string, lease Lease, issued time.Time) error {
	if l.journal == nil {
		return nil
	}
	err := l.journal.opened(Entry{ID: lease.ID, Role: role, Username: lease.Username, Issued: issued.UTC(), Expires: lease.Expires.UTC()})
	if err != nil {
		return fmt.Errorf("%w: %w", errJournal, err)
	}
	return nil
}

// settled is told by the Revoker. A journal that cannot be written makes the next gateway revoke once more, which does no harm; what is
// issued from now on notices.
func (l *ledger) settled(lease Lease) {
	if l.journal == nil {
		return
	}
	if err := l.journal.ended(lease.IDHash()); err != nil {
		l.log.Error("lease journal cannot be written", "error", err)
	}
}

// sweep revokes what an earlier gateway has left: it was killed, or stopped before everything was revoked. Nobody knows how often
// these leases were renewed, and when last: they are pursued for as long as they may still hold.
func (l *ledger) sweep(revoker *Revoker) {
	if len(l.left) > 0 {
		l.log.Warn("leases of an earlier run are revoked", "leases", len(l.left))
	}
	now := time.Now()
	for _, e := range l.left {
		ttl := max(e.Expires.Sub(e.Issued), unknownEnd) // what each renewal gives
		revoker.Revoke(Lease{ID: e.ID, Username: e.Username, Expires: now.Add(ttl)})
	}
	l.left = nil
}

func (l *ledger) closeJournal() error {
	if l.journal == nil {
		return nil
	}
	return l.journal.close()
}
