-- The operators that initdb did not make. One without a function is a shell that nothing can use.
SELECT o.oid, n.nspname, o.oprname, o.oprcode::pg_catalog.oid, e.extname
FROM pg_catalog.pg_operator o
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) o.oprnamespace
LEFT JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_operator'::pg_catalog.regclass
    AND d.objid OPERATOR(pg_catalog.=) o.oid AND d.deptype OPERATOR(pg_catalog.=) 'e'
LEFT JOIN pg_catalog.pg_extension e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
WHERE o.oid OPERATOR(pg_catalog.>=) 16384 AND o.oprcode::pg_catalog.oid OPERATOR(pg_catalog.<>) 0
    AND n.nspname OPERATOR(pg_catalog.!~) '^pg_(toast$|temp_|toast_temp_)'
LIMIT $1
