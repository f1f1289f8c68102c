-- Two texts: a digest of all that a snapshot is made of, under the seed $1; and which transactions this statement sees, NULL on a standby,
-- where pg_current_snapshot does not list them all. When they are the ones of $2 the digest is still $3, and nothing is computed.
--
-- Only what a snapshot depends on is in it: GRANT, TRUNCATE, ANALYZE, VACUUM and temporary tables leave it as it is. Where a row has no
-- privileges and no statistics in it, its xmin stands for all of it; VACUUM's freezing keeps that. Indexes and extensions are in it by their
-- relations and members, which they cannot change without.
SELECT CASE WHEN s.seen OPERATOR(pg_catalog.=) $2 THEN $3 ELSE (
    WITH passing (oid) AS MATERIALIZED (
        SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relpersistence OPERATOR(pg_catalog.=) 't'
    ), schemas (oid, name) AS MATERIALIZED (
        SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace n
        WHERE n.nspname OPERATOR(pg_catalog.!~) '^pg_(toast$|temp_|toast_temp_)'
    ), parts (part, number, hash) AS (
        SELECT 1, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (n.oid, n.name), $1))
        FROM schemas n
        UNION ALL
        SELECT 2, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(
            ROW (c.oid, c.relname, c.relnamespace, c.relkind, c.reloptions, c.relrowsecurity), $1))
        FROM pg_catalog.pg_class c
        WHERE c.relpersistence OPERATOR(pg_catalog.<>) 't'
            AND c.relnamespace OPERATOR(pg_catalog.<>) 'pg_toast'::pg_catalog.regnamespace
        UNION ALL
        -- Nine rows of ten are these: functions in a chain cost half of what a record does. None of their arguments is ever NULL.
        SELECT 3, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hashoidextended(a.atttypid, pg_catalog.hashnameextended(a.attname,
            pg_catalog.hashint2extended(a.attnum, pg_catalog.hashoidextended(a.attrelid, $1)))))
        FROM pg_catalog.pg_attribute a
        WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attrelid OPERATOR(pg_catalog.=) ANY (SELECT p.oid FROM passing p)
        UNION ALL
        SELECT 4, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(
            ROW (p.oid, p.proname, p.pronamespace, p.prolang, p.prokind, p.prosecdef, p.provolatile, p.provariadic, p.pronargs,
                p.pronargdefaults, p.proargtypes, p.proallargtypes, p.proargmodes, p.proargnames,
                p.proargdefaults::pg_catalog.text, p.prosqlbody::pg_catalog.text), $1))
        FROM pg_catalog.pg_proc p
        WHERE p.oid OPERATOR(pg_catalog.>=) 16384
        UNION ALL
        SELECT 5, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (t.oid, t.xmin), $1))
        FROM pg_catalog.pg_type t
        WHERE t.oid OPERATOR(pg_catalog.>=) 16384 AND t.typnamespace OPERATOR(pg_catalog.=) ANY (SELECT n.oid FROM schemas n)
        UNION ALL
        SELECT 6, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (r.oid, r.xmin), $1))
        FROM pg_catalog.pg_rewrite r
        WHERE NOT r.ev_class OPERATOR(pg_catalog.=) ANY (SELECT p.oid FROM passing p)
        UNION ALL
        SELECT 7, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (i.inhrelid, i.inhparent), $1))
        FROM pg_catalog.pg_inherits i
        WHERE NOT i.inhrelid OPERATOR(pg_catalog.=) ANY (SELECT p.oid FROM passing p)
        UNION ALL
        SELECT 8, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (o.oid, o.xmin), $1))
        FROM pg_catalog.pg_operator o
        UNION ALL
        SELECT 9, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (t.oid, t.xmin), $1))
        FROM pg_catalog.pg_trigger t
        WHERE t.tgfoid OPERATOR(pg_catalog.>=) 16384 AND NOT t.tgrelid OPERATOR(pg_catalog.=) ANY (SELECT p.oid FROM passing p)
        UNION ALL
        SELECT 10, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (p.oid, p.xmin), $1))
        FROM pg_catalog.pg_policy p
        UNION ALL
        SELECT 11, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (k.oid, k.xmin), $1))
        FROM pg_catalog.pg_constraint k
        WHERE k.contype OPERATOR(pg_catalog.=) ANY ('{c,f,x}'::pg_catalog."char"[])
            AND NOT k.conrelid OPERATOR(pg_catalog.=) ANY (SELECT p.oid FROM passing p)
        UNION ALL
        SELECT 12, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (f.oid, f.xmin), $1))
        FROM pg_catalog.pg_attrdef f
        WHERE NOT f.adrelid OPERATOR(pg_catalog.=) ANY (SELECT p.oid FROM passing p)
        UNION ALL
        SELECT 13, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (d.classid, d.objid, d.refobjid), $1))
        FROM pg_catalog.pg_depend d
        WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
            AND d.deptype OPERATOR(pg_catalog.=) 'e'
        UNION ALL
        SELECT 14, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (l.oid, l.lanname), $1))
        FROM pg_catalog.pg_language l
        UNION ALL
        SELECT 15, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (c.oid, c.xmin), $1))
        FROM pg_catalog.pg_cast c
        WHERE c.castfunc OPERATOR(pg_catalog.>=) 16384
        UNION ALL
        SELECT 16, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (a.aggfnoid, a.xmin), $1))
        FROM pg_catalog.pg_aggregate a
        WHERE a.aggfnoid::pg_catalog.oid OPERATOR(pg_catalog.>=) 16384
        UNION ALL
        SELECT 17, pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (s.oid, s.xmin), $1))
        FROM pg_catalog.pg_statistic_ext s
        WHERE NOT s.stxrelid OPERATOR(pg_catalog.=) ANY (SELECT p.oid FROM passing p)
    )
    SELECT pg_catalog.string_agg(pg_catalog.concat(d.number, ':', d.hash), ' ' ORDER BY d.part) FROM parts d
) END, s.seen
FROM (
    SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_snapshot()::pg_catalog.text END
) s (seen)
