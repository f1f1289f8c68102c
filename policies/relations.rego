# Which relations may be used, and how.
package sallyport.relations

import data.sallyport.access

reasons contains sprintf("%s on table %s.%s is not granted to %s", [verb, schema, relation.name, input.identity.user]) if {
	some statement in input.statement.statements
	some relation in statement.relations
	some schema in schemas(relation)
	some verb in relation.access
	not granted(schema, relation.name, verb)
}

schemas(name) := {name.schema} if name.schema != ""

schemas(name) := {schema | some schema in input.session.search_path; schema != "pg_temp"} if name.schema == ""

granted(schema, name, verb) if {
	relations := access.database.schemas[schema].relations
	verb in object.get(relations, name, object.get(relations, "*", []))
}
