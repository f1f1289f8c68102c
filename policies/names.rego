# Where a name may lead.
package sallyport.names

# The schemas a relation, type or function name may resolve in. One that is not qualified may be in any schema of the search path, and
# must be granted in all of them. pg_temp is left out: it is last, and nobody who is judged can put anything there.
schemas(name) := {name.schema} if name.schema != ""

else := {"pg_catalog"} if startswith(name.name, "pg_")

else := path

path := {schema | some schema in input.session.search_path; schema != "pg_temp"}

# The name as people write it.
written(name) := name.name if name.schema == ""

written(name) := concat(".", [name.schema, name.name]) if name.schema != ""

qualified(schema, name) := concat(".", [schema, name])
