# What a statement that may run must keep to: the sets below, of which the smallest number holds. Any file may add to them.
package sallyport.terms

import data.sallyport.access
import data.sallyport.names

# Mostly there is nothing, which is soon seen.
obligations := {} if {max_rows, max_bytes, statement_timeout_ms, warn} == {set()}

else := object.union(limits, warnings)

limits := {key: min(numbers) |
	some key, numbers in {"max_rows": max_rows, "max_bytes": max_bytes, "statement_timeout_ms": statement_timeout_ms}
	count(numbers) > 0
}

warnings := {key: warn |
	some key in ["warn"]
	count(warn) > 0
}

warn contains terms.warn if some terms in found

max_rows contains terms.max_rows if some terms in found

statement_timeout_ms contains terms.statement_timeout_ms if some terms in found

max_bytes contains terms.max_bytes if some terms in found

found contains terms if {
	count(said) > 0 # mostly nothing is
	some terms in matching
}

# What data says about the relations that the text names: about the name, or else about "*".
matching contains terms if {
	some statement in input.statement.statements
	some relation in statement.relations
	some schema in names.schemas(relation)
	terms := object.get(said[schema], relation.name, object.get(said[schema], "*", {}))
}

# A partition, or what inherits, keeps to what its parent does, unless something is said about it by its own name.
matching contains terms if {
	some statement in input.statement.statements
	some relation in statement.relations
	some ancestor in relation.ancestors
	not said[relation.schema][relation.name]
	terms := object.get(said[ancestor.schema], ancestor.name, object.get(said[ancestor.schema], "*", {}))
}

# And who reads the parent reads its parts.
matching contains terms if {
	some schema, named in said
	some name, terms in named
	name != "*"
	some statement in input.statement.statements
	some relation in statement.relations
	{"schema": schema, "name": name} in relation.descendants
}

said := {schema: grants.terms | some schema, grants in access.database.schemas}
