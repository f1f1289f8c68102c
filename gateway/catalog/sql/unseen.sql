-- The functions that run with a relation though no text names them: relation, function, when it is read, when it is written. Follows checked.sql.
), parts (root, part) AS (
    SELECT p.partrelid, p.partrelid FROM pg_catalog.pg_partitioned_table p
    UNION ALL
    SELECT p.root, i.inhrelid
    FROM parts p
    JOIN pg_catalog.pg_inherits i ON i.inhparent OPERATOR(pg_catalog.=) p.part
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
    -- Expressions of indexes, and of partition keys, which the rows of a partition are checked by too.
    SELECT COALESCE(i.indrelid, p.part, c.objid), c.function, false, true
    FROM called c
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) c.objid
    LEFT JOIN parts p ON p.root OPERATOR(pg_catalog.=) c.objid
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
