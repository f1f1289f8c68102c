-- The relations whose checks, defaults, policies in force, triggers and indexes have expressions that make JSON or text of values: relation,
-- whether that is done when it is read. It is done by casts that these do not depend on, so without such a cast nobody looks.
WITH makers (pattern) AS (
    SELECT pg_catalog.concat('[{]JSON(CONSTRUCTOR)?EXPR |:(funcid|aggfnoid|opfuncid) (', pg_catalog.string_agg(p.oid::pg_catalog.text, '|'), ') ')
    FROM pg_catalog.pg_proc p
    WHERE p.pronamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
        AND p.proname OPERATOR(pg_catalog.~) '^(to_jsonb?|(row|array)_to_json|jsonb?_(build_.*|(object_)?agg.*)|quote_(literal|nullable)|textanycat|anytextcat)$'
), expressions (relation, reads, tree) AS (
    SELECT k.conrelid, false, k.conbin::pg_catalog.text
    FROM pg_catalog.pg_constraint k
    WHERE k.conrelid OPERATOR(pg_catalog.<>) 0
    UNION ALL
    SELECT f.adrelid, false, f.adbin::pg_catalog.text
    FROM pg_catalog.pg_attrdef f
    UNION ALL
    SELECT t.tgrelid, false, t.tgqual::pg_catalog.text
    FROM pg_catalog.pg_trigger t
    UNION ALL
    SELECT i.indrelid, false, pg_catalog.concat(i.indexprs, i.indpred)
    FROM pg_catalog.pg_index i
    UNION ALL
    SELECT p.polrelid, p.polcmd OPERATOR(pg_catalog.=) ANY ('{r,w,*}'::pg_catalog."char"[]), pg_catalog.concat(p.polqual, p.polwithcheck)
    FROM pg_catalog.pg_policy p
    JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) p.polrelid
    WHERE r.relrowsecurity
)
SELECT e.relation, pg_catalog.bool_or(e.reads)
FROM expressions e
CROSS JOIN makers m
WHERE EXISTS (
    SELECT FROM pg_catalog.pg_cast c
    WHERE c.castfunc OPERATOR(pg_catalog.>=) 16384
        AND c.casttarget OPERATOR(pg_catalog.=) ANY ('{json,jsonb,text}'::pg_catalog.regtype[]))
    AND e.relation OPERATOR(pg_catalog.>=) 16384
    AND e.tree OPERATOR(pg_catalog.~) m.pattern
GROUP BY e.relation
LIMIT $1
