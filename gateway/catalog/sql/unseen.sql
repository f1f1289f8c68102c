-- The functions that run with a relation though no text names them: relation, function, when it is read, when it is written.
WITH RECURSIVE called (classid, objid, function) AS (
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
), holds (whole, part) AS (
    -- Domains over types, arrays, composite types and ranges.
    SELECT t.oid, t.typbasetype FROM pg_catalog.pg_type t WHERE t.typbasetype OPERATOR(pg_catalog.<>) 0
    UNION ALL
    SELECT t.oid, t.typelem FROM pg_catalog.pg_type t WHERE t.typelem OPERATOR(pg_catalog.<>) 0
    UNION ALL
    SELECT t.oid, a.atttypid
    FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) t.typrelid
    WHERE t.typrelid OPERATOR(pg_catalog.<>) 0 AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
    UNION ALL
    SELECT r.rngtypid, r.rngsubtype FROM pg_catalog.pg_range r
    UNION ALL
    SELECT r.rngmultitypid, r.rngtypid FROM pg_catalog.pg_range r
), checked (type, function) AS (
    -- The types whose values run a function when they are made: domains with checks or defaults, and whatever holds one.
    (
        SELECT k.contypid, c.function
        FROM called c
        JOIN pg_catalog.pg_constraint k ON k.oid OPERATOR(pg_catalog.=) c.objid
        WHERE c.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.contypid OPERATOR(pg_catalog.<>) 0
        UNION
        SELECT t.oid, c.function
        FROM called c
        JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) c.objid
        WHERE c.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass AND t.typtype OPERATOR(pg_catalog.=) 'd'
    )
    UNION
    SELECT h.whole, k.function
    FROM checked k
    JOIN holds h ON h.part OPERATOR(pg_catalog.=) k.type
), uses (relation, function, reads, writes) AS (
    SELECT t.tgrelid, c.function, false, true
    FROM called c
    JOIN pg_catalog.pg_trigger t ON t.oid OPERATOR(pg_catalog.=) c.objid
    WHERE c.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.tgenabled OPERATOR(pg_catalog.<>) 'D'
    UNION ALL
    -- Defaults and generated columns; a virtual one is computed when it is read.
    SELECT f.adrelid, c.function, a.attgenerated OPERATOR(pg_catalog.=) 'v', true
    FROM called c
    JOIN pg_catalog.pg_attrdef f ON f.oid OPERATOR(pg_catalog.=) c.objid
    JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) f.adrelid AND a.attnum OPERATOR(pg_catalog.=) f.adnum
    WHERE c.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass
    UNION ALL
    SELECT k.conrelid, c.function, false, true
    FROM called c
    JOIN pg_catalog.pg_constraint k ON k.oid OPERATOR(pg_catalog.=) c.objid
    WHERE c.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.conrelid OPERATOR(pg_catalog.<>) 0
    UNION ALL
    -- Expressions of indexes, and of partition keys.
    SELECT COALESCE(i.indrelid, c.objid), c.function, false, true
    FROM called c
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) c.objid
    WHERE c.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
    UNION ALL
    -- SELECT FOR UPDATE applies the policies of UPDATE. Whatever is written may have to be found first.
    SELECT p.polrelid, c.function, p.polcmd OPERATOR(pg_catalog.=) ANY ('{r,w,*}'::pg_catalog."char"[]), true
    FROM called c
    JOIN pg_catalog.pg_policy p ON p.oid OPERATOR(pg_catalog.=) c.objid
    JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) p.polrelid
    WHERE c.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_policy'::pg_catalog.regclass AND r.relrowsecurity
    UNION ALL
    -- What a view's query calls: a cast in it is in no text. A materialized view runs its query when it is refreshed.
    SELECT r.ev_class, c.function, v.relkind OPERATOR(pg_catalog.=) 'v', v.relkind OPERATOR(pg_catalog.=) 'm'
    FROM called c
    JOIN pg_catalog.pg_rewrite r ON r.oid OPERATOR(pg_catalog.=) c.objid
    JOIN pg_catalog.pg_class v ON v.oid OPERATOR(pg_catalog.=) r.ev_class
    WHERE c.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.ev_type OPERATOR(pg_catalog.=) '1'
    UNION ALL
    SELECT a.attrelid, k.function, false, true
    FROM checked k
    JOIN pg_catalog.pg_attribute a ON a.atttypid OPERATOR(pg_catalog.=) k.type
    WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
)
SELECT u.relation, u.function, pg_catalog.bool_or(u.reads), pg_catalog.bool_or(u.writes)
FROM uses u
GROUP BY u.relation, u.function
LIMIT $1
