# Which relations may be used, and how.
package sallyport.relations

import data.sallyport.access
import data.sallyport.catalogs
import data.sallyport.names

reasons contains reason if {
	some statement in input.statement.statements
	some relation in statement.relations
	some schema in names.schemas(relation)
	some verb in verbs(relation)
	not allowed(schema, relation, verb)
	reason := sprintf("%s is not granted to %s", [described(verb, names.qualified(schema, relation.name)), input.identity.user])
}

reasons contains sprintf("table %s is in no schema of the search path", [relation.name]) if {
	some statement in input.statement.statements
	some relation in statement.relations
	count(names.schemas(relation)) == 0
}

# A temporary table takes the place of others of its name.
reasons contains sprintf("temporary table %s is not permitted", [relation.name]) if {
	some statement in input.statement.statements
	some relation in statement.relations
	relation.temporary
}

# A relation that is only named is read as far as we know.
verbs(relation) := relation.access if count(relation.access) > 0

verbs(relation) := ["select"] if count(relation.access) == 0

described("select", table) := sprintf("table %s", [table])

described(verb, table) := sprintf("%s on table %s", [upper(verb), table]) if verb != "select"

allowed(schema, relation, verb) if verb in granted(schema, relation.name)

allowed(schema, relation, "select") if relation.name in catalogs.relations[schema]

allowed(schema, relation, "select") if {
	columns := catalogs.columns[schema][relation.name]
	not relation.all_unsure
	every column in relation.columns {
		column in columns
	}
}

# What data grants on a relation: what is said about its name, or else what is said about "*".
granted(schema, name) := verbs if {
	grants := access.database.schemas[schema].relations
	verbs := object.get(grants, name, object.get(grants, "*", []))
}

# A table's name is a type's name too, and a literal of it can be taken apart: who may use the schema's tables may use its types, but
# for those of tables that are withheld.
reasons contains sprintf("type %s is not granted to %s", [names.written(type), input.identity.user]) if {
	some statement in input.statement.statements
	some type in statement.types
	not typed(type)
}

typed(type) if type.name in catalogs.types[type.schema]

typed(type) if {
	schemas := names.schemas(type)
	count(schemas) > 0
	every schema in schemas {
		count(granted(schema, type.name)) > 0
	}
}
