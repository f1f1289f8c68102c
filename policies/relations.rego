# Which relations may be used, and how.
package sallyport.relations

import data.sallyport.access
import data.sallyport.catalogs
import data.sallyport.names

reasons contains reason if {
	relation := input.statement.statements[_].relations[_]
	not plain(relation)
	some schema in names.schemas(relation)
	some verb in verbs(relation)
	not allowed(schema, relation, verb)
	not behind(relation, verb)
	reason := sprintf("%s%s is not granted to %s", [described(verb, schema, relation.name), way(relation), input.identity.user])
}

# Most of what a text names is read, and granted where the catalog found it. That is soon seen, and not looked at any further.
plain(relation) if {
	relation.access == ["select"]
	grants := found[relation.schema]
	"select" in object.get(grants, relation.name, grants["*"])
}

# What is granted in the schemas, but for "": that is a name nobody has looked up.
found := {schema: grants.relations |
	some schema, grants in access.database.schemas
	schema != ""
}

# What stands behind a view belongs to it when the view is granted by its own name: whoever wrote that down meant what the view shows.
# A view that "*" grants shows no more than what is granted itself.
behind(relation, verb) if {
	some view in relation.through
	by_name(view, verb)
}

# Granted by its own name, not by "*". Who may change a view reads what is behind it.
by_name(relation, verb) if verb in access.database.schemas[relation.schema].relations[relation.name]

by_name(relation, "lock") if "update" in access.database.schemas[relation.schema].relations[relation.name]

by_name(relation, "select") if count(access.database.schemas[relation.schema].relations[relation.name]) > 0

way(fact) := sprintf(", by way of %s,", [concat(", ", [names.written(view) | some view in fact.through])]) if {
	count(fact.through) > 0
} else := ""

# A partition, or what inherits, is a part of its parent: who may not have the parent may have the part only if it is granted by name. A
# literal ('part'::regclass) comes into this reason only if it is the name of such a table, which the catalogs show to all.
reasons contains sprintf("table %s, which %s is part of, is not granted to %s", [names.written(ancestor), names.written(relation), input.identity.user]) if {
	relation := input.statement.statements[_].relations[_]
	some ancestor in relation.ancestors
	some verb in verbs(relation)
	not allowed(ancestor.schema, object.union(relation, {"name": ancestor.name}), verb)
	not by_name(relation, verb)
	not behind(relation, verb)
}

# And the parent shows its parts: one that is withheld by its name withholds it.
reasons contains sprintf("table %s, which is part of %s, is not granted to %s", [names.written(part), names.written(relation), input.identity.user]) if {
	relation := input.statement.statements[_].relations[_]
	some part in relation.descendants
	verbs_of_part := access.database.schemas[part.schema].relations[part.name]
	some verb in verbs(relation)
	verb != "lookup"
	not verb in verbs_of_part
	not behind(relation, verb)
}

# A rule puts other statements in the place of a write.
reasons contains sprintf("table %s has rules, and is not granted to %s by its name", [names.written(relation), input.identity.user]) if {
	relation := input.statement.statements[_].relations[_]
	relation.rules
	some verb in relation.access
	verb in {"insert", "update", "delete"}
	not by_name(relation, verb)
	not behind(relation, verb)
}

# A foreign table shows what is elsewhere, which may be a table of this very database, by another's rights: nobody here knows what.
reasons contains sprintf("foreign table %s is not granted to %s by its name", [names.written(relation), input.identity.user]) if {
	relation := input.statement.statements[_].relations[_]
	relation.kind == "foreign table"
	some verb in verbs(relation)
	verb != "lookup"
	not by_name(relation, verb)
	not behind(relation, verb)
}

reasons contains sprintf("table %s is in no schema of the search path", [relation.name]) if {
	relation := input.statement.statements[_].relations[_]
	relation.schema == ""
	count(names.schemas(relation)) == 0
}

# A temporary table takes the place of others of its name.
reasons contains sprintf("temporary table %s is not permitted", [relation.name]) if {
	relation := input.statement.statements[_].relations[_]
	relation.temporary
}

# A relation that is only named is read as far as we know.
verbs(relation) := relation.access if count(relation.access) > 0

else := ["select"]

described("select", schema, name) := sprintf("table %s", [names.qualified(schema, name)])

# These come from a literal. It is shown only if it is a name that data holds.
described(verb, schema, name) := sprintf("table %s", [names.qualified(schema, name)]) if {
	verb in {"lookup", "usage"}
	access.database.schemas[schema].relations[name]
}

described(verb, schema, name) := "a table named by a literal" if {
	verb in {"lookup", "usage"}
	not access.database.schemas[schema].relations[name]
}

described(verb, schema, name) := sprintf("%s on table %s", [upper(verb), names.qualified(schema, name)]) if {
	not verb in {"select", "lookup", "usage"}
}

allowed(schema, relation, verb) if {
	grants := access.database.schemas[schema].relations
	verb in object.get(grants, relation.name, object.get(grants, "*", [])) # granted, without a call: most are
}

# SELECT FOR UPDATE and its kin, as PostgreSQL has it.
allowed(schema, relation, "lock") if "update" in granted(schema, relation.name)

# A name that a literal gives as regclass. That the catalogs have tables is known to all.
allowed(schema, relation, "lookup") if count(granted(schema, relation.name)) > 0

allowed(schema, _, "lookup") if schema in {"pg_catalog", "information_schema"}

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

typed(type) if type.extension in access.database.extensions

typed(type) if {
	schemas := names.schemas(type)
	count(schemas) > 0
	every schema in schemas {
		every name in elements(type.name) {
			count(granted(schema, name)) > 0
		}
	}
}

# A type's name, and what it is an array of if it is PostgreSQL's own name of an array type: _secrets is secrets[].
elements(name) := {name, trim_prefix(name, "_"), trim_left(name, "_")}
