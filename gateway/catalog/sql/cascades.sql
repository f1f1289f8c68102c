-- What foreign keys do to the relations that have them when the relation they refer to is changed: the one referred to, the one with the
-- key; what a DELETE and an UPDATE do (c, n, d as in pg_constraint; a and r do nothing); the key, and what it refers to; whether that is
-- generated of other columns. Keys of a type that initdb did not make may be compared by a cast, also where nothing is done.
SELECT k.confrelid, k.conrelid, k.confdeltype, k.confupdtype, c.names, f.names, f.generated
FROM pg_catalog.pg_constraint k
CROSS JOIN LATERAL (
    SELECT pg_catalog.array_to_json(pg_catalog.array_agg(a.attname))
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid OPERATOR(pg_catalog.=) k.conrelid AND a.attnum OPERATOR(pg_catalog.=) ANY (k.conkey)
) c (names)
CROSS JOIN LATERAL (
    SELECT pg_catalog.array_to_json(pg_catalog.array_agg(a.attname)), pg_catalog.bool_or(a.attgenerated OPERATOR(pg_catalog.<>) '')
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid OPERATOR(pg_catalog.=) k.confrelid AND a.attnum OPERATOR(pg_catalog.=) ANY (k.confkey)
) f (names, generated)
WHERE k.contype OPERATOR(pg_catalog.=) 'f'
    AND (k.confdeltype OPERATOR(pg_catalog.=) ANY ('{c,n,d}'::pg_catalog."char"[])
        OR k.confupdtype OPERATOR(pg_catalog.=) ANY ('{c,n,d}'::pg_catalog."char"[])
        OR EXISTS (
            SELECT FROM pg_catalog.pg_attribute a
            WHERE a.attrelid OPERATOR(pg_catalog.=) k.conrelid AND a.attnum OPERATOR(pg_catalog.=) ANY (k.conkey)
                AND a.atttypid OPERATOR(pg_catalog.>=) 16384))
LIMIT $1
