-- The beginning of the queries about functions that no text names: what depends on functions, and types whose values run them.
WITH RECURSIVE direct (classid, objid, function) AS (
    -- What depends on functions that initdb did not make, by themselves or through an operator.
    SELECT d.classid, d.objid, d.refobjid
    FROM pg_catalog.pg_depend d
    WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid OPERATOR(pg_catalog.>=) 16384
    UNION
    SELECT d.classid, d.objid, o.oprcode::pg_catalog.oid
    FROM pg_catalog.pg_operator o
    JOIN pg_catalog.pg_depend d ON d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_operator'::pg_catalog.regclass
        AND d.refobjid OPERATOR(pg_catalog.=) o.oid
    WHERE o.oid OPERATOR(pg_catalog.>=) 16384 AND o.oprcode::pg_catalog.oid OPERATOR(pg_catalog.>=) 16384
), valued (type) AS (
    -- The types that there may be values of beside the rows of relations. Functions run with those that initdb did not make.
    SELECT a.atttypid FROM pg_catalog.pg_attribute a
    WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped AND a.atttypid OPERATOR(pg_catalog.>=) 16384
    UNION
    SELECT t.type
    FROM pg_catalog.pg_proc p
    CROSS JOIN LATERAL pg_catalog.unnest(p.proargtypes::pg_catalog.oid[] OPERATOR(pg_catalog.||) p.prorettype
        OPERATOR(pg_catalog.||) COALESCE(p.proallargtypes, '{}')) t (type)
    WHERE p.oid OPERATOR(pg_catalog.>=) 16384 AND t.type OPERATOR(pg_catalog.>=) 16384
    UNION
    SELECT t.typbasetype FROM pg_catalog.pg_type t WHERE t.typbasetype OPERATOR(pg_catalog.>=) 16384
    UNION
    -- In the expression of something.
    SELECT d.refobjid FROM pg_catalog.pg_depend d
    WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass
        AND d.classid OPERATOR(pg_catalog.<>) 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.classid OPERATOR(pg_catalog.<>) 'pg_catalog.pg_type'::pg_catalog.regclass
), holds (whole, part, domain) AS (
    -- Domains over types, arrays, rows and ranges.
    SELECT t.oid, t.typbasetype, true FROM pg_catalog.pg_type t WHERE t.typbasetype OPERATOR(pg_catalog.>=) 16384
    UNION ALL
    SELECT t.oid, t.typelem, false FROM pg_catalog.pg_type t WHERE t.typelem OPERATOR(pg_catalog.>=) 16384
    UNION ALL
    SELECT t.oid, a.atttypid, false
    FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.typrelid
    JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) t.typrelid
    WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped AND a.atttypid OPERATOR(pg_catalog.>=) 16384
        AND (c.relkind OPERATOR(pg_catalog.=) 'c' OR EXISTS (SELECT FROM valued v WHERE v.type OPERATOR(pg_catalog.=) t.oid)
            OR EXISTS (SELECT FROM valued v WHERE v.type OPERATOR(pg_catalog.=) t.typarray))
    UNION ALL
    SELECT r.rngtypid, r.rngsubtype, false FROM pg_catalog.pg_range r WHERE r.rngsubtype OPERATOR(pg_catalog.>=) 16384
    UNION ALL
    SELECT r.rngmultitypid, r.rngtypid, false FROM pg_catalog.pg_range r WHERE r.rngtypid OPERATOR(pg_catalog.>=) 16384
), checked (type, function, is_domain) AS (
    -- The types whose values run a function when they are made: domains with checks or defaults, ranges with functions of their own, and
    -- whatever holds one.
    (
        SELECT k.contypid, c.function, true
        FROM direct c
        JOIN pg_catalog.pg_constraint k ON k.oid OPERATOR(pg_catalog.=) c.objid
        WHERE c.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.contypid OPERATOR(pg_catalog.<>) 0
        UNION
        SELECT t.oid, c.function, t.typtype OPERATOR(pg_catalog.=) 'd'
        FROM direct c
        JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) c.objid
        WHERE c.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass AND t.typtype OPERATOR(pg_catalog.=) ANY ('{d,r}'::pg_catalog."char"[])
    )
    UNION
    SELECT h.whole, k.function, h.domain AND k.is_domain
    FROM checked k
    JOIN holds h ON h.part OPERATOR(pg_catalog.=) k.type
), called (classid, objid, function) AS (
    SELECT c.classid, c.objid, c.function FROM direct c
    UNION
    -- A value that is made, by a cast to a domain, in the expression of something.
    SELECT d.classid, d.objid, k.function
    FROM checked k
    JOIN pg_catalog.pg_depend d ON d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass
        AND d.refobjid OPERATOR(pg_catalog.=) k.type
    WHERE d.classid OPERATOR(pg_catalog.<>) 'pg_catalog.pg_class'::pg_catalog.regclass
