// Package credentials issues, renews and revokes short-lived database credentials: [Vault] with its database secrets engine
// (https://developer.hashicorp.com/vault/docs/secrets/databases), [Minted] with a role that may make roles. One session has one [Lease],
// one lease has one role. [Static] has neither: it is for databases where nothing else can be had.
//
//	Vault.Run ── logs in, keeps the gateway's own token, revokes in the background
//	   session ── Take ─ Renew … ─ Revoker().Revoke
//
// Take prefers a credential that was issued ahead to asking Vault while the session waits. With a journal, a lease is on the disk before
// its credential is used: what a gateway that is killed leaves open, the next one revokes.
//
// Leases are children of the token they were issued with: when it ends, Vault drops all their roles, while the sessions that use
// them go on as nobody (https://developer.hashicorp.com/vault/docs/concepts/lease). [Lease.Lost] tells a session so.
//
// The gateway's token needs, besides the default policy (lookup-self, renew-self): read on <mount>/creds/<role>, update on
// sys/leases/renew and on sys/leases/revoke.
//
// No error and no log line of this package contains a token, a password, a secret id or a lease id. Nothing is taken from the
// environment: no VAULT_* variable, no proxy.
package credentials
