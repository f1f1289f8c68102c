-- The functions that run when a value is made from another or taken for one, which no text shows: kind, object, its column, function; only
-- by a cast that is written; only when a value is built of others. Follows checked.sql.
), member (classid, objid, extension) AS (
    SELECT d.classid, d.objid, d.refobjid
    FROM pg_catalog.pg_depend d
    WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype OPERATOR(pg_catalog.=) 'e'
), casts (type, function, explicit) AS (
    -- An extension's own casts are a part of its types. What is internal came with a range type: it makes a multirange of it.
    SELECT t.type, c.castfunc, c.castcontext OPERATOR(pg_catalog.=) 'e'
    FROM pg_catalog.pg_cast c
    JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) c.castfunc
    JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang AND l.lanname OPERATOR(pg_catalog.<>) 'internal'
    CROSS JOIN LATERAL (VALUES (c.castsource), (c.casttarget)) t (type)
    WHERE c.castfunc OPERATOR(pg_catalog.>=) 16384 AND t.type OPERATOR(pg_catalog.>=) 16384 AND NOT EXISTS (
        SELECT FROM member a
        JOIN member b ON a.extension OPERATOR(pg_catalog.=) b.extension
        WHERE a.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass AND a.objid OPERATOR(pg_catalog.=) t.type
            AND b.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass AND b.objid OPERATOR(pg_catalog.=) c.castfunc)
    UNION
    SELECT h.whole, c.function, c.explicit
    FROM casts c
    JOIN holds h ON h.part OPERATOR(pg_catalog.=) c.type
), runs (type, function, explicit, built) AS (
    SELECT c.type, c.function, c.explicit, false FROM casts c
    UNION ALL
    SELECT k.type, k.function, false, k.is_domain FROM checked k
), typed (kind, classid, object, name, type) AS (
    SELECT 'relation', 'pg_catalog.pg_class'::pg_catalog.regclass, a.attrelid, a.attname, a.atttypid
    FROM pg_catalog.pg_attribute a
    WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped AND a.atttypid OPERATOR(pg_catalog.>=) 16384
    UNION ALL
    SELECT 'function', 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, '', t.type
    FROM pg_catalog.pg_proc p
    CROSS JOIN LATERAL pg_catalog.unnest(p.proargtypes::pg_catalog.oid[] OPERATOR(pg_catalog.||) p.prorettype
        OPERATOR(pg_catalog.||) COALESCE(p.proallargtypes, '{}')) t (type)
    WHERE p.oid OPERATOR(pg_catalog.>=) 16384
    UNION ALL
    SELECT 'operator', 'pg_catalog.pg_operator'::pg_catalog.regclass, o.oid, '', t.type
    FROM pg_catalog.pg_operator o
    CROSS JOIN LATERAL (VALUES (o.oprleft), (o.oprright), (o.oprresult)) t (type)
    WHERE o.oid OPERATOR(pg_catalog.>=) 16384
    UNION ALL
    SELECT 'type', 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, '', t.oid FROM pg_catalog.pg_type t WHERE t.oid OPERATOR(pg_catalog.>=) 16384
), found (kind, classid, object, name, function, explicit, built) AS (
    SELECT t.kind, t.classid, t.object, t.name, r.function, r.explicit, r.built
    FROM typed t
    JOIN runs r ON r.type OPERATOR(pg_catalog.=) t.type
    UNION ALL
    -- The row of a relation is a value where the text says so.
    SELECT 'relation', 'pg_catalog.pg_class'::pg_catalog.regclass, r.oid, '*', c.function, c.explicit, true
    FROM casts c
    JOIN pg_catalog.pg_class r ON r.reltype OPERATOR(pg_catalog.=) c.type
    WHERE r.relkind OPERATOR(pg_catalog.<>) 'c'
    UNION ALL
    -- What a function is made of as far as PostgreSQL knows it: defaults of arguments, the parts of an aggregate.
    SELECT 'function', c.classid, c.objid, '', c.function, false, false
    FROM called c
    WHERE c.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass AND c.objid OPERATOR(pg_catalog.<>) c.function
)
SELECT f.kind, f.object, f.name, f.function, pg_catalog.bool_and(f.explicit), pg_catalog.bool_and(f.built)
FROM found f
WHERE NOT (f.kind OPERATOR(pg_catalog.=) 'function' AND f.object OPERATOR(pg_catalog.=) f.function) AND NOT EXISTS (
    SELECT FROM member a
    JOIN member b ON a.extension OPERATOR(pg_catalog.=) b.extension
    WHERE a.classid OPERATOR(pg_catalog.=) f.classid AND a.objid OPERATOR(pg_catalog.=) f.object
        AND b.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass AND b.objid OPERATOR(pg_catalog.=) f.function)
GROUP BY f.kind, f.object, f.name, f.function
UNION ALL
-- Between types of initdb, which a superuser alone can make.
SELECT 'any', 0, '', c.castfunc, c.castcontext OPERATOR(pg_catalog.=) 'e', false
FROM pg_catalog.pg_cast c
WHERE c.castfunc OPERATOR(pg_catalog.>=) 16384
    AND c.castsource OPERATOR(pg_catalog.<) 16384 AND c.casttarget OPERATOR(pg_catalog.<) 16384
UNION ALL
-- What the planner puts in the place of an operator of initdb's, turned around or under a NOT. Whoever makes an operator can say that it is
-- that of any other that has none.
SELECT 'any', 0, '', o.oprcode::pg_catalog.oid, false, false
FROM pg_catalog.pg_operator i
JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) i.oprnegate OR o.oid OPERATOR(pg_catalog.=) i.oprcom
WHERE i.oid OPERATOR(pg_catalog.<) 16384 AND o.oid OPERATOR(pg_catalog.>=) 16384 AND o.oprcode::pg_catalog.oid OPERATOR(pg_catalog.>=) 16384
LIMIT $1
