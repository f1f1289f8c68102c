-- The text of views' queries, cut to what is analysed at all and one character more.
SELECT v.oid, pg_catalog.left(pg_catalog.pg_get_viewdef(v.oid), $2)
FROM pg_catalog.unnest($1::pg_catalog.oid[]) v (oid)
