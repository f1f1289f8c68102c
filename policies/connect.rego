# May this identity have this connection, and on what terms.
package sallyport.connect

import data.sallyport.access

decision := object.union_n([{"allow": true, "reasons": [], "role": access.role}, obligations, place]) if count(reasons) == 0

else := {"allow": false, "reasons": reasons}

# What holds for the whole session. access.problems has seen to it that the values are what they should be.
obligations := object.filter(access.terms, {
	"observe",
	"read_only",
	"max_session_seconds",
	"idle_timeout_seconds",
	"statement_timeout_ms",
	"max_rows",
	"max_bytes",
	"max_rows_per_hour",
	"max_bytes_per_hour",
	"bind_values",
	"max_sessions",
	"max_statements_per_second",
})

# Where the session is opened: at a route of the database's, if data says so.
place := object.filter(access.database, {"route"})

reasons contains sprintf("%s has no access", [input.identity.user]) if {
	count(access.roles) == 0
	not method_refused
}

reasons contains sprintf("%s may not authenticate by %s", [input.identity.user, input.identity.method]) if method_refused

method_refused if {
	access.account
	count(access.roles) == 0
}

reasons contains sprintf("the groups of %s give more than one role", [input.identity.user]) if {
	count(access.roles) > 1
	access.requested == ""
}

reasons contains sprintf("role %s may not be requested by %s", [access.requested, input.identity.user]) if {
	access.requested != ""
	count(access.roles) > 0
	not access.requested in access.requestable
}

reasons contains sprintf("role %s takes a reason: PGOPTIONS='-c sallyport.reason=INC-42'", [access.role]) if {
	access.terms.require_reason
	input.session.reason == ""
}

reasons contains sprintf("role %s is not defined", [access.role]) if {
	access.role != ""
	not access.terms
}

reasons contains sprintf("database %s is not granted to %s", [input.session.database, input.identity.user]) if {
	access.terms
	not access.database
}

# A replication session speaks a second language that nobody judges.
reasons contains "replication is not granted" if {
	input.session.replication != ""
	not access.terms.observe
}
