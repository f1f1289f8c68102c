# Which commands may run at all, and in which form.
package sallyport.commands

import data.sallyport.access
import data.sallyport.names

reasons contains sprintf("%s is not permitted", [command]) if {
	some statement in input.statement.statements
	some command in array.concat([statement.command], statement.commands)
	not command in always
	not permitted(command, statement)
}

permitted(command, statement) if {
	some relation in statement.relations
	some access in relation.access
	access in writes[command]
}

permitted(command, statement) if {
	count(statement.channels) > 0
	command in {"LISTEN", "NOTIFY"}
}

# What reads, and what moves the client's own transaction, settings, names and cursors. What these name is judged elsewhere.
#
# Not here: PREPARE TRANSACTION and its kin (it outlives the session), CALL and DO (they show nothing of what they do), LOCK, VACUUM and
# other maintenance, and everything that defines or grants.
always := {
	"SELECT", "VALUES", "TABLE", "COPY", "EXPLAIN",
	"BEGIN", "START TRANSACTION", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "ROLLBACK TO", "SET TRANSACTION",
	"SET CONSTRAINTS",
	"SET", "RESET", "SHOW",
	"PREPARE", "EXECUTE", "DEALLOCATE", "DECLARE", "FETCH", "MOVE", "CLOSE",
	# Forgets what this session has. DISCARD ALL, like RESET ALL, goes back to the settings the gateway gave the session at its start,
	# so neither undoes what the gateway has pinned; connection pools send both.
	"DISCARD", "DISCARD ALL", "DISCARD PLANS", "DISCARD SEQUENCES", "DISCARD TEMP",
	"UNLISTEN",
}

# A write must be seen to write: a command without a relation it writes to has facts that do not fit together. Whether that relation
# may be written is for relations.rego.
writes := {
	"INSERT": {"insert"},
	"UPDATE": {"update"},
	"DELETE": {"delete"},
	"MERGE": {"insert", "update", "delete"},
	"TRUNCATE": {"truncate"},
}

reasons contains sprintf("%s is not permitted: the text does not show what it does", [opaque]) if {
	some statement in input.statement.statements
	some opaque in statement.opaque
}

reasons contains "COPY is permitted from and to the client only" if {
	some statement in input.statement.statements
	statement.copy.endpoint != "client"
}

reasons contains "roles may not be set, granted or otherwise named" if {
	some statement in input.statement.statements
	count(statement.roles) > 0
}

# Against slips, and mappers that write WHERE 1=1 for no condition: a WHERE that is true, or says nothing of a row, is none. It does not stop
# who means it: WHERE id > 0 passes.
reasons contains sprintf("UPDATE or DELETE of %s needs a WHERE that says which rows", [names.written(relation)]) if {
	some statement in input.statement.statements
	some relation in statement.unfiltered
	not access.database.unfiltered
}

# A channel reaches every session of the database.
reasons contains sprintf("%s on %s is not granted to %s", [upper(channel.action), described(channel, statement), input.identity.user]) if {
	some statement in input.statement.statements
	some channel in statement.channels
	not heard(channel)
}

# pg_notify names a channel by a literal, which no reason shows.
described(channel, statement) := sprintf("channel %s", [channel.name]) if count(statement.functions) == 0

described(_, statement) := "a channel" if count(statement.functions) > 0

heard(channel) if channel.action == "unlisten"

heard(channel) if channel.action in access.database.channels[channel.name]
