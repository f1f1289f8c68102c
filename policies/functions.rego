# Which functions may be called.
package sallyport.functions

reasons contains sprintf("function %s is not granted", [function.name]) if {
	some statement in input.statement.statements
	some function in statement.functions
	not permitted(function)
}

permitted(function) if {
	function.schema in {"", "pg_catalog"}
	function.name in {"count", "sum", "min", "max", "avg", "now", "lower", "upper", "coalesce", "version"}
}
