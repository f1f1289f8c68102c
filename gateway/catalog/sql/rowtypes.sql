-- The row types of relations, and the arrays of those, by the relation. Those of composite types are among the types.
SELECT t.oid, c.oid
FROM pg_catalog.pg_type t
LEFT JOIN pg_catalog.pg_type i ON i.oid OPERATOR(pg_catalog.=) t.typelem AND i.typarray OPERATOR(pg_catalog.=) t.oid
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) COALESCE(i.typrelid, t.typrelid)
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE t.oid OPERATOR(pg_catalog.>=) 16384 AND c.relkind OPERATOR(pg_catalog.<>) 'c'
    AND n.nspname OPERATOR(pg_catalog.!~) '^pg_(toast$|temp_|toast_temp_)'
LIMIT $1
