-- The functions that initdb did not make (FirstNormalObjectId, src/include/access/transam.h), temporary ones too: they may be behind a trigger.
-- A CALL passes arguments for OUT parameters too, which pronargs does not count.
SELECT p.oid, n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid),
    a.passed OPERATOR(pg_catalog.-) p.pronargdefaults, a.passed, p.provariadic OPERATOR(pg_catalog.<>) 0,
    l.lanname, p.provolatile, p.prosecdef, p.prokind, e.extname
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
CROSS JOIN LATERAL (SELECT CASE
    WHEN p.prokind OPERATOR(pg_catalog.=) 'p' AND p.proallargtypes IS NOT NULL THEN pg_catalog.cardinality(p.proallargtypes)
    ELSE p.pronargs::pg_catalog.int4 END) a (passed)
LEFT JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
    AND d.objid OPERATOR(pg_catalog.=) p.oid AND d.deptype OPERATOR(pg_catalog.=) 'e'
LEFT JOIN pg_catalog.pg_extension e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
WHERE p.oid OPERATOR(pg_catalog.>=) 16384
LIMIT $1
