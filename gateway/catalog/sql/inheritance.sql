-- What inherits from what, or is a partition of it, at one remove.
SELECT i.inhrelid, i.inhparent
FROM pg_catalog.pg_inherits i
LIMIT $1
