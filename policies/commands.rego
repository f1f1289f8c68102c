# Which commands may run at all.
package sallyport.commands

reasons contains sprintf("%s is not permitted", [command]) if {
	some statement in input.statement.statements
	some command in array.concat([statement.command], statement.commands)
	not command in permitted
}

permitted := {
	"SELECT", "VALUES", "TABLE",
	"INSERT", "UPDATE", "DELETE", "MERGE",
	"BEGIN", "START TRANSACTION", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "ROLLBACK TO", "SET TRANSACTION",
	"SET", "RESET", "SHOW", "DISCARD",
	"PREPARE", "EXECUTE", "DEALLOCATE", "DECLARE", "FETCH", "MOVE", "CLOSE",
	"EXPLAIN", "COPY", "UNLISTEN",
}
