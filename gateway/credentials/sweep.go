package credentials

import "time"

func (v *Vault) openJournal() (err error) {
	if v.cfg.JournalFile != "" {
		v.journal, v.left, err = openJournal(v.cfg.JournalFile)
	}
	return err
}

// remember has the lease in the journal before its credential is used.
func (v *Vault) remember(role string, lease Lease, issued time.Time) error {
	if v.journal == nil {
		return nil
	}
	return v.journal.opened(Entry{ID: lease.ID, Role: role, Username: lease.Username, Issued: issued.UTC(), Expires: lease.Expires.UTC()})
}

// settled is told by the Revoker. A journal that cannot be written makes the next gateway revoke once more, which does no harm; what is
// issued from now on notices.
func (v *Vault) settled(lease Lease) {
	if v.journal == nil {
		return
	}
	if err := v.journal.ended(lease.IDHash()); err != nil {
		v.log.Error("lease journal cannot be written", "error", err)
	}
}

// sweep revokes what an earlier gateway has left: it was killed, or stopped before Vault had revoked everything. Nobody knows how often
// these leases were renewed, so they are pursued as ones that do not say when they end.
func (v *Vault) sweep() {
	if len(v.left) > 0 {
		v.log.Warn("leases of an earlier run are revoked", "leases", len(v.left))
	}
	for _, e := range v.left {
		v.revoker.Revoke(Lease{ID: e.ID, Username: e.Username})
	}
	v.left = nil
}
