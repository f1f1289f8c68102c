-- The names of the functions that initdb made, and of the operators.
(SELECT DISTINCT p.proname, false
FROM pg_catalog.pg_proc p
WHERE p.oid OPERATOR(pg_catalog.<) 16384
    AND p.pronamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
UNION ALL
SELECT DISTINCT o.oprname, true
FROM pg_catalog.pg_operator o
WHERE o.oid OPERATOR(pg_catalog.<) 16384)
LIMIT $1
