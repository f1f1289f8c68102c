// Package backend opens one TLS-verified, authenticated session to PostgreSQL with a given credential, and cancels what one is doing.
//
// [Open] goes through five stages, and an [Error] names the one it failed in:
//
//	dial          a TCP connection with keepalive and a limit on unacknowledged data
//	tls           SSLRequest; a verified TLS connection, or none
//	startup       a StartupMessage made of nothing but the caller's arguments, for protocol 3.0
//	authenticate  what the backend may ask for, SCRAM-SHA-256 unless it is configured otherwise; everything else is refused
//	parameters    ParameterStatus, BackendKeyData, ReadyForQuery; what they must and must not say
//
// The messages are pgproto3's, SCRAM is xdg-go/scram's. The sequence is our own, not pgconn's, because a relay goes on where Open
// stops: pgconn reads ahead into a buffer that cannot be taken over, keeps the parameters in a map, has no lower bound for SCRAM
// iterations, and its configuration is made of the environment, ~/.pgpass and service files. Nothing of those is read here.
//
// Whoever calls Open owns the connection of the returned [Session] and closes it. An Open that fails has closed what it dialled.
package backend
