// Package audit writes what happened: one JSON object a line, one line an event, in the order the gateway accepted them.
//
// A statement is two leaves: a Statement before anything of it is forwarded, an Outcome with the same id when its answer is complete.
// A write can fail. Then the caller denies the statement, or ends the session whose outcome could not be written; see Log.
//
// # The fields
//
// Every event has the same three and begins with them, but a statement and an outcome, which end with their time. Keys always come in the
// order of these tables. "?" marks a key that is left out when it has no value. Times are UTC with six decimals (RFC 3339), durations
// integers of microseconds, lists never null.
//
//	time        when it happened
//	type        which event it is
//	session     the session's id; "" when there is none
//
// session_start: a StartupMessage was read, over TLS
//
//	claimed_user, database        what it says; nothing is proved yet
//	client_address                the peer's, or what the PROXY header of a trusted one says
//	application_name?
//	stated_reason?                sallyport.reason
//	requested_role?               sallyport.role
//	tls_version?, tls_cipher?
//	protocol_version?             "3.0"
//	replication?                  what kind of replication session was asked for
//
// connect: the client proved who it is, and policy decided
//
//	user, method                  the account, and the method of the rule, such as "scram-sha-256" or "oidc"
//	issuer?, subject?             from the token or the certificate
//	certificate?                  the name in the client certificate, where one was demanded
//	name?, groups                 from the token
//	expires?                      of the token or the certificate, whichever ends first
//	claimed?                      true: nothing was proved; in pass-through a client that is refused has no chance to
//	stated_reason?, requested_role?
//	allow, reasons                the decision
//	policy_revision               what decided
//	role?, vault_role?            the role policy gave, the Vault role (or group, or account) it maps to
//	route?                        the database's route that policy gave
//	observe?                      true: everything is recorded, nothing denied
//	obligations?                  what the session is obliged to: "max_rows=100", "read_only"
//	enforcement?                  "observe": in this database statements that only policy denies are let through
//	search_path?                  what unqualified names are resolved by; with a backend session only
//	backend_host?, backend_address?, backend_database?, backend_role?, backend_pid?
//	credential?                   what opened the backend session: "vault", "minted", "static" (shared, no lease), "client" (its own, no lease),
//	                              "vault-static" and "vault-kv" (shared, no lease), or "vault-pki" (a certificate)
//	credential_version?           of what lies in Vault's key/value engine
//	lease?, lease_expires?        hash of the credential's lease id, its end
//
// statement: a statement is to be forwarded, or was denied. First come type and session, then what many of a session have in common
//
//	user, method, issuer?, subject?, name?
//	groups?                       the first 16; the session's connect event, or the last grant_change with groups, has more
//	database, client_address
//	backend_host?, backend_role, lease?    as in connect
//	protocol                      query, parse, bind, execute, function_call
//	statement_name?, portal?
//	decision                      allow, deny, observe
//	reasons                       what policy said
//	sqlstate?                     what the client hears when it was denied
//	policy_revision
//	obligations?                  what policy obliges this statement to, beside the session: "max_rows=100", "warn=…"
//	commands                      every command in the text, the nested ones too
//	relations                     "schema.name access,access (column,column)"
//	fingerprint?                  of the statement's shape
//	incomplete?                   the facts that policy was asked about do not say everything
//	resolved?                     they are about what names mean, by the catalog, and not by the text alone
//	observe?
//	normalized?                   the text with its constants replaced by $n; see The texts
//	normalized_digest?            none where that would be the text itself, or a password was taken out of the text
//	normalized_truncated?, normalized_aside?
//	text?                         without passwords (see Redact), at most Config.MaxTextBytes; see The texts
//	text_digest?                  SHA-256 of the whole text without passwords; none for a function_call. In a text that is beside the log
//	                              what is no UTF-8 was replaced by U+FFFD before
//	text_truncated?
//	text_aside?                   the whole text is in the file beside this one
//	text_redacted?
//	id                            "<session>.<n>", the id of the decision too; the client sees it in the hint of a denial
//	parameters?                   of a Bind, as policy obliges the session (bind_values): of each type, bytes or null, and hash, or value and
//	                              format? ("hex"), truncated?; redacted? for what looks like a secret. At most 256, of 1 KiB, 16 KiB together
//	parameters_omitted?           so many more
//	parameters_withheld?          the text speaks of a secret
//	time
//
// outcome: how it ended; likewise
//
//	status                        completed, error, denied, skipped, prepared, bound, suspended, cancelled, capped, unknown
//	command?                      the command tags
//	sqlstate?
//	rows, bytes                   to the client, or copied from it
//	id
//	duration_us                   from the message that asked for it to its last answer; the sum of the next three
//	judge_us                      what the gateway took to decide
//	wait_us                       what it made the statement wait: for its turn, for what came before it, for this log
//	backend_us                    from when it was forwarded on
//	time
//
// cancel: a cancel request with the right key
//
//	client_address, forwarded, error?
//
// login_refused: a client was told why it may not come in, whatever the reason; right before its session_end. What policy refused has a
// connect with allow: false before that. Count sessions by session_start or session_end, and failed logins by this.
//
//	claimed_user, database, client_address
//	method?                       of the rule that matched; not of a login that did not come to that
//	reason                        one word: authentication, throttled, policy_denied, unknown_database …
//	sqlstate                      what the client heard
//
// session_end: one for every session_start
//
//	claimed_user, client_address
//	method?                       of the rule that matched; not of a login that did not come to that
//	reason                        one word
//	sqlstate?                     what the client heard last
//	duration_us, statements, rows, bytes_in, bytes_out
//	revocation                    none, revoked, pending
//
// revocation: what became of a pending one
//
//	lease?, state                 revoked, failed (it is tried again)
//	error?                        the kind of failure
//
// policy_change, configuration_change
//
//	policy_revision, previous_revision?, error?
//	action, version?, file?       start, reload, stop; userlist: that file was read again because it has changed
//	digest?, previous_digest?     SHA-256 of the configuration's file, and of that of the one in force before
//	policy_revision?              at the start
//	pending?                      keys that have changed, and that only a restart puts in force
//	key?, previous_key?           audit_key: who signs the checkpoints behind the next one, and who has signed up to it
//	error?                        why it was refused
//
// operator_action: through the control API. What changes something has one with result begun before it is done, without which it is not
// done, and one with the same id after it
//
//	id
//	action                        end, refuse, lift
//	operator?                     who it is, for people: the token's user claim or name, the name in the certificate
//	operator_method               oidc, cert, token: the shared one, of whose holder nothing is known
//	operator_issuer?, operator_subject?
//	client_address                the operator's
//	user?, issuer?, subject?      whom it is done to
//	expires?                      of a refusal
//	stated_reason?                the operator's
//	result                        begun, done, not_found, failed; forbidden: somebody who may not, nothing was begun
//	ended_sessions?               their ids
//
// grant_change: policy has changed, and with it what a running session is granted, or its identity is in other groups; before its next statement
//
//	user, method, issuer?, subject?
//	groups?                       those that the identity is in now, when they are others than before
//	allow, reasons, policy_revision
//	role?, observe?, obligations? as in connect
//	ended?                        true: the session ends
//
// log_repair: the line before it is torn, events could not be written, or a gateway that was killed left events without a checkpoint
//
//	cause                         open: found when the file was opened; write: a write failed before; wait: the file took
//	                              nothing in time; removed: the file was, and was written again
//	lost                          events that were refused
//	unsealed?                     so many events before it had no checkpoint when the file was opened
//
// # The texts
//
// A file has a text once: in the line of the first statement with it. Later lines have the text_digest alone. The same holds for
// normalized and normalized_digest, and for both together: what is one's text may be another's normalized form. A text may come again
// before the file ends, as after a failure, but where a digest stands without a text, that is in a line before. So every file can be read
// by itself, from its beginning. But what was in the journal when a file took nothing more, or the gateway was killed, and then came into the
// next file, may have its text in the file before. A named pipe has no beginning, and has every text in every line.
//
// Of a text that is longer than Config.MaxTextBytes the line has the beginning. Up to Config.MaxWholeBytes it is whole in the file beside
// the log, which has the log's name and ".texts" and is rotated, compressed and removed with it; it is there before the statement is
// forwarded. Its lines are of the type text:
//
//	time, session                 when it came first, and of whom
//	text_digest, text
//
// They are no events, nor leaves of the tree: their digests are in events, and prove them.
//
// All else is in every line, also what the lines before it have said of the session and of the same text: whoever gets one line, a SIEM or
// somebody with grep, knows who did what to which relations. Lines that refer to such a line before would be half as long, and need joins
// in everything that reads lines elsewhere. They would save little: what many lines of a session begin with is encoded once, and its whole
// blocks are hashed once (proof.Prefix), which is why what differs from line to line comes last. A line with a text that comes again costs
// two blocks of SHA-256 then, instead of thirteen, and is otherwise copied.
//
// # The proof
//
// Two types of lines are no events, and the only ones that are no leaves of the tree; package proof says what that is. A torn line is
// a leaf.
//
// tree: the first line of a file
//
//	schema                        the version of what is in the file: "1.1"; see The version
//	size                          events before this file
//	hashes                        the roots of the tree's complete subtrees, the largest first: base64 of all together
//
// checkpoint: every second in which there were events, after 1024 of them, and at the end of a file
//
//	size                          events before it, from the log's beginning
//	leaves                        the hashes of those since the checkpoint before (the last 1024): base64 of all together
//	note                          origin, size and root, signed: see https://c2sp.org/tlog-checkpoint; without a key it ends before
//	                              the signature, and its origin is "unsigned"
//
// # The version
//
// The first line of a file has its schema, major.minor. With a minor version types of lines, fields, and words in fields such as status and
// reason are added: readers pass over what they do not know. The order of keys may change too, which is nothing to who reads JSON. With a
// major one something is gone, has another name or another meaning, or is proved otherwise. All of a file is of one major version: a
// gateway does not go on with a file of another one, and the commands that read logs refuse those that are later than they are themselves.
// Of the minor versions that a file is of, its first line says the first.
//
// 1.0 had time, type, session and id first in statements and outcomes too.
//
// # Elsewhere
//
// Package tail reads the files as they are written and sends every line to other machines, package deliver the checkpoints alone. Nobody
// who appends waits for them. A line's place among the leaves, with its hash, is its id there. The texts beside the log stay where they are.
//
// Strings other than text are cut at 1024 bytes, shown by "…"; lists at 256 entries, shown by "+n more".
package audit
