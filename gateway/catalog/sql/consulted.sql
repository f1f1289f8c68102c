-- The relations that row security policies read: relation, what is read.
SELECT DISTINCT p.polrelid, d.refobjid
FROM pg_catalog.pg_policy p
JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) p.polrelid
JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_policy'::pg_catalog.regclass
    AND d.objid OPERATOR(pg_catalog.=) p.oid AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.refobjid OPERATOR(pg_catalog.<>) p.polrelid
WHERE r.relrowsecurity
LIMIT $1
