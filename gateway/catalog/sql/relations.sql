-- Every relation but TOAST's and the sessions' temporary ones.
SELECT c.oid, n.nspname, c.relname, c.relkind, c.oid OPERATOR(pg_catalog.<) 16384,
    c.relkind OPERATOR(pg_catalog.=) 'v' AND EXISTS (
        SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) o
        WHERE CASE WHEN o.option_name OPERATOR(pg_catalog.=) 'security_invoker' THEN o.option_value::pg_catalog.bool ELSE false END),
    c.relhasrules AND EXISTS (
        SELECT FROM pg_catalog.pg_rewrite r
        WHERE r.ev_class OPERATOR(pg_catalog.=) c.oid AND r.ev_type OPERATOR(pg_catalog.<>) '1')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE n.nspname OPERATOR(pg_catalog.!~) '^pg_(toast$|temp_|toast_temp_)'
LIMIT $1
