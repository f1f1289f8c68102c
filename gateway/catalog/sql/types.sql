-- The types that initdb did not make, with the arrays of them. Row types of relations, and arrays of those, are no types of their own: they
-- come and go with the relation. A composite type has a relation too, of a kind that holds nothing.
SELECT t.oid, n.nspname, t.typname, e.extname
FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
LEFT JOIN pg_catalog.pg_type i ON i.oid OPERATOR(pg_catalog.=) t.typelem AND i.typarray OPERATOR(pg_catalog.=) t.oid
LEFT JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) COALESCE(i.typrelid, t.typrelid)
LEFT JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass
    AND d.objid OPERATOR(pg_catalog.=) COALESCE(i.oid, t.oid) AND d.deptype OPERATOR(pg_catalog.=) 'e'
LEFT JOIN pg_catalog.pg_extension e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
WHERE t.oid OPERATOR(pg_catalog.>=) 16384 AND (c.oid IS NULL OR c.relkind OPERATOR(pg_catalog.=) 'c')
    AND n.nspname OPERATOR(pg_catalog.!~) '^pg_(toast$|temp_|toast_temp_)'
LIMIT $1
