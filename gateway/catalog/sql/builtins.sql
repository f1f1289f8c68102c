-- The names of the functions that initdb made.
SELECT DISTINCT p.proname
FROM pg_catalog.pg_proc p
WHERE p.oid OPERATOR(pg_catalog.<) 16384
    AND p.pronamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
LIMIT $1
