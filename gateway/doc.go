// Package gateway is Sallyport's server: it accepts PostgreSQL clients and runs their sessions, each from its first byte to its last.
//
// # A session
//
// A session is one client, one identity, one backend session and its lease; nothing of it is shared or used again. Its phases follow each
// other in session.phases, each with a deadline; what one phase found out is handed to the next as an argument.
//
//	client                          session                               backend, Vault, policy
//	  │  SSLRequest, TLS, Startup     │
//	  ├──────────────────────────────►│ proxy.go, admit.go, startup.go
//	  │  SCRAM, or a token            │
//	  │◄─────────────────────────────►│ authenticate.go ── authn.Identity
//	  │                               │ authorize.go ────────────────────► policy: may it connect, as what
//	  │                               │ open.go ─────────────────────────► Vault or another issuer: a credential; backend: a session with it
//	  │  AuthenticationOk … Ready     │ greet.go
//	  │◄──────────────────────────────┤
//	  │                               │ relay.go
//	  │  Query, Parse, Bind …         │   judge.go      ─────────────────► forwards what policy allows
//	  │  rows, errors, Ready          │   reporter.go   ◄───────────────── answers
//	  │                               │ settle.go    ────────────────────► cancels what runs, hears the backend out
//	  │  FATAL                        │   reporter.go
//	  │◄──────────────────────────────┤
//	  │                               │ finish.go ───────────────────────► Terminate, end awaited; lease revoked; end event
//
// A client that passes its own PostgreSQL credential through is proved by the backend (authenticate_passthrough.go): policy is asked about
// who it says it is, then the backend session is opened with what the client answers. There is no lease.
//
// Where the backend session is opened is up to policy, which may give a route, and to backend/hosts: a host that is up and is what the
// database wants. Before that place.go waits for one of the places that the database has for sessions.
//
// # The relay
//
// Two goroutines: the session's own is the reporter's, the judge's is started and joined in relay.run. The judge is the only writer to
// the backend, the reporter the only writer to the client. Between them stands the order queue (queue.go): every message that will be
// answered or skipped enters it before it is forwarded, and leaves it as its answer comes. Who else wants to end the session (an operator,
// an expiry, a shutdown) posts that with relay.end, which wakes both by deadlines.
//
// A message that is denied is replaced by one that must fail (denial.go): the backend then does what it does after any error, and the
// reporter puts the denial in the place of that error. Gateway, client and backend cannot disagree about the transaction.
//
// A statement that reaches a cap is cut off (caps.go): nothing more of it is delivered, the backend is asked to cancel it, and its error
// is replaced likewise. The same goes for one whose time is up (deadline.go). How such a cancel hits nothing else is in interrupt.go.
//
// A second policy, if there is one, is told by the judge what the first has decided (shadow.go): into a bounded queue, worked off by one
// goroutine that the caller of New runs. In a database whose policy is on trial lenient.go lets through what only policy denies.
//
// A text that nobody has sent before is judged in two halves at once: the statement worker finds out how it is called while policy is asked
// about its facts (foresee.go).
//
// What a statement or portal name means is known by names.go: committed when the backend has said so, pending within a pipeline,
// settling between a Sync and its ReadyForQuery.
//
// Each of the two spends its life within one call of syscall.RawConn.Read (wire.Socket), so what they do while they hold a message they
// do in its callback. The descriptor stays open until they leave it: deadlines wake whoever waits there for the network, and Close tells
// the other side at once.
//
// # Ending a session
//
// Whoever ends it, and for whatever reason, this is the order (settle.go). The judge stops: what it has judged and not written yet is skipped.
// What runs is cancelled, a copy from the client fails, and that again until the backend owes no answer; its answers are the outcomes in the
// audit log. What was complete before the cancel came is passed on, the cancel's own error is not: the client hears FATAL in its place. Then
// the backend session is closed and its end awaited, the lease revoked, the end recorded. Each step is bounded: a backend that does not
// answer, a client that does not read and an audit log that hangs hold up the next one for a few seconds.
//
// A cancel request is sent only while the backend session is open, which waits for one that is on its way (interrupt.go).
//
// # Ending it from outside
//
// An operator ends a session in whatever phase it is by its context (revocation.go); so does whoever refuses its identity. Who is refused is
// asked for after the proof, once the session is among those that can be ended: a refusal finds the session, or the session the refusal.
// A new policy ends it, or gives it other limits, by the judge's own question before the next statement (regrant.go); so do other groups of
// its identity, whose issuer goes on being asked, and ends the session itself when it takes the identity back (standing.go).
// A login that would be none by the configuration as it is now has its session ended at once (reconsider.go).
//
// # Who closes what
//
// The connection that Serve accepts belongs to its session from then on, and so do the backend's connection and the lease; finish.go
// closes and revokes them, whatever happened. Listeners belong to Serve. The parts in Config belong to the caller, who runs them
// longer than the server.
package gateway
