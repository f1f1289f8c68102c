-- The expressions that the planner looks at, with a function each depends on: relation, function, expression. Follows checked.sql.
)
SELECT i.indrelid, c.function, pg_catalog.concat(i.indexprs, i.indpred)
FROM called c
JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) c.objid
WHERE c.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
UNION ALL
SELECT p.partrelid, c.function, p.partexprs::pg_catalog.text
FROM called c
JOIN pg_catalog.pg_partitioned_table p ON p.partrelid OPERATOR(pg_catalog.=) c.objid
WHERE c.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND p.partexprs IS NOT NULL
UNION ALL
-- Checks tell which of the tables that a parent stands for need not be read.
SELECT k.conrelid, c.function, k.conbin::pg_catalog.text
FROM called c
JOIN pg_catalog.pg_constraint k ON k.oid OPERATOR(pg_catalog.=) c.objid
WHERE c.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.conbin IS NOT NULL AND EXISTS (
    SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid OPERATOR(pg_catalog.=) k.conrelid)
UNION ALL
-- Before 14 there are no expressions in statistics objects, and no such column.
SELECT s.stxrelid, c.function, pg_catalog.to_jsonb(s) OPERATOR(pg_catalog.->>) 'stxexprs'
FROM called c
JOIN pg_catalog.pg_statistic_ext s ON s.oid OPERATOR(pg_catalog.=) c.objid
WHERE c.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass
LIMIT $1
