-- Foreign keys: the relation that has one, the one that it refers to.
SELECT DISTINCT k.conrelid, k.confrelid
FROM pg_catalog.pg_constraint k
WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND k.conrelid OPERATOR(pg_catalog.<>) k.confrelid
LIMIT $1
