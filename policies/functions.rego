# Which functions may be called.
package sallyport.functions

import data.sallyport.access
import data.sallyport.builtins
import data.sallyport.names
import data.sallyport.relations

reasons contains sprintf("function %s%s is not granted to %s", [names.written(function), relations.way(function), input.identity.user]) if {
	some statement in input.statement.statements
	some function in statement.functions
	not permitted(function, statement)
	not behind(function)
}

# What a view calls, what a table's triggers, defaults, checks and policies run, and what a type's values run, belongs to it when it is granted
# by its own name.
behind(function) if {
	some relation in function.through
	relations.by_name(relation, "select")
}

# What a function is defined by, and the casts and checks of the values it takes, belong to it when it is granted by its name; an operator
# likewise. Those of a type's values: see above.
behind(function) if {
	some other in function.through
	other.name in access.database.schemas[other.schema].functions
}

behind(function) if {
	some other in function.through
	other.name in access.database.schemas[other.schema].operators
}

# PostgreSQL's own functions. What the catalog describes with a language is not one of them, whatever its schema.
permitted(function, _) if {
	function.name in builtins.functions
	function.schema in {"", "pg_catalog"}
	object.get(function, "language", "") == ""
}

# All of an extension's, but for what runs any text: in a view too, unless that is granted by its name.
permitted(function, _) if {
	function.extension in access.database.extensions
	not builtins.runs_text(function.name)
}

permitted(function, _) if function.name in builtins.elsewhere[function.schema]

# Functions of the application that data grants by name. Written without a schema the same name may be PostgreSQL's own as well, which
# is why sallyport.problems refuses grants of names like set_config.
permitted(function, _) if {
	schemas := names.schemas(function)
	count(schemas) > 0
	every schema in schemas {
		function.name in access.database.schemas[schema].functions
	}
}

# By set_config instead of SET, asyncpg turns the just-in-time compiler off around its introspection and Django sets its time zone when it
# connects. The settings are judged like those of SET; this only lets the call through, for these two and while the text sets nothing else.
# A call in a view is not shown by the text, and may set anything.
permitted(function, statement) if {
	function.schema in {"", "pg_catalog"}
	function.name == "set_config"
	not unseen(function)
	changed := {setting.name | some setting in statement.settings; setting.action != "show"}
	count(changed) > 0
	count(changed - {"jit", "timezone"}) == 0
}

unseen(function) if count(function.through) > 0

# (x).name is a field of x, or the call of a function name(x): the text does not say which. PostgreSQL's own functions are among the
# calls already; for those of the application the name must be known to be a field's.
reasons contains sprintf("field or function %s is not granted to %s", [attribute, input.identity.user]) if {
	some statement in input.statement.statements
	some attribute in statement.attributes
	not field(attribute)
}

field(attribute) if attribute in builtins.fields

field(attribute) if {
	attribute in builtins.functions
	not attribute in builtins.of_names
}

field(attribute) if attribute in access.database.fields

# A literal for a regclass argument is a table's name.
reasons contains sprintf("function %s is given a table that is not granted to %s", [names.written(function), input.identity.user]) if {
	some statement in input.statement.statements
	some function in statement.functions
	function.name in builtins.of_names
	function.name != "current_setting" # its literal is among the settings
	some literal in function.constants
	not harmless(literal)
}

# Not a literal, or a number: psql gives the number of a table it has from pg_class.
harmless(literal) if regex.match(`^[0-9]*$`, literal)

harmless(literal) if {
	regex.match(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`, literal)
	parts := split(literal, ".")
	relation := {
		"schema": concat("", array.slice(parts, 0, count(parts) - 1)),
		"name": parts[count(parts) - 1],
		"columns": [],
		"all_unsure": false,
	}
	schemas := names.schemas(relation)
	count(schemas) > 0
	every schema in schemas {
		relations.allowed(schema, relation, "select")
	}
}

reasons contains sprintf("operator %s is not granted to %s", [names.written(operator), input.identity.user]) if {
	some statement in input.statement.statements
	some operator in statement.operators
	not granted(operator)
}

granted(operator) if operator.name in access.database.schemas[operator.schema].operators

granted(operator) if operator.extension in access.database.extensions
