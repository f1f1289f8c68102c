# What the accounts of data.yaml do all day.
--- allow analyst: reading
SELECT * FROM orders
--- allow analyst: reading
SELECT id, name FROM app.customers WHERE id = $1
--- allow analyst: reading
TABLE orders
--- allow analyst: reading
VALUES (1), (2)
--- allow analyst: reading
SELECT 1
--- allow analyst: reading
SELECT
--- allow analyst: reading

--- allow analyst: reading
;
--- allow analyst: reading
SELECT c.name, count(*), sum(o.amount) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name HAVING sum(o.amount) > 10 ORDER BY 3 DESC LIMIT 10
--- allow analyst: reading
WITH x AS (SELECT * FROM orders) SELECT * FROM x
--- allow analyst: reading
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT * FROM n
--- allow analyst: reading
WITH secrets AS (SELECT 1 AS a) SELECT * FROM secrets
--- allow analyst: reading
SELECT secrets.a FROM (SELECT 1 AS a) AS secrets
--- allow analyst: reading
SELECT * FROM orders o, LATERAL (SELECT * FROM customers c WHERE c.id = o.customer_id) x
--- allow analyst: reading
SELECT id, rank() OVER (PARTITION BY status ORDER BY amount) FROM orders
--- allow analyst: reading
SELECT * FROM order_totals
--- allow analyst: reading
SELECT * FROM payments_2025
--- allow analyst: reading
SELECT * FROM orders TABLESAMPLE system (1)
--- allow analyst: reading
SELECT * FROM generate_series(1, 10) AS g
--- allow analyst: reading
SELECT date_trunc('month', ordered_at), extract(year FROM ordered_at), ordered_at AT TIME ZONE 'UTC' FROM orders
--- allow analyst: reading
SELECT substring(name FROM 1 FOR 2), position('a' IN name), trim(both ' ' from name), overlay(name placing 'x' from 1) FROM customers
--- allow analyst: reading
SELECT CASE WHEN amount > 5 THEN 'big' ELSE 'small' END, coalesce(status, 'x'), nullif(1, 2), greatest(1, 2) FROM orders
--- allow analyst: reading
SELECT jsonb_build_object('id', id) ->> 'id', to_jsonb(o), row_to_json(o) FROM orders o
--- allow analyst: reading
SELECT ARRAY(SELECT id FROM orders), 1 = ANY (ARRAY[1, 2])
--- allow analyst: reading
SELECT current_user, session_user, current_date, now(), version(), current_database()
--- allow analyst: reading
SELECT * FROM json_to_recordset('[]') AS x(a int, b text)
--- allow analyst: reading
SELECT name FROM customers WHERE name SIMILAR TO 'A%' OR name LIKE 'a!%' ESCAPE '!' OR name ~ 'x'
--- allow analyst: reading
SELECT 'a'::text || 'b', '1'::int, '{1,2}'::int[], '2024-01-01'::date, 1::numeric(10, 2)
--- allow analyst: reading
SELECT DISTINCT ON (customer_id) * FROM orders ORDER BY customer_id, ordered_at DESC
--- allow analyst: reading
SELECT 1 UNION SELECT 2 EXCEPT SELECT 3
--- allow analyst: reading
SELECT string_agg(name, ', ' ORDER BY name) FILTER (WHERE id < 5), percentile_cont(0.5) WITHIN GROUP (ORDER BY salary) FROM customers
--- allow analyst: reading
SELECT gen_random_uuid(), md5('x'), encode('\x00', 'hex')
--- allow analyst: reading
SELECT xmlelement(name a, 'b'), xmlforest(1 AS b)
--- allow analyst: reading
SELECT pg_size_pretty(pg_total_relation_size('orders'))
--- allow analyst: reading
SELECT 'app.orders'::regclass
--- allow report: reading
SELECT count(*) FROM orders
--- allow analyst: transactions
BEGIN
--- allow analyst: transactions
BEGIN; SELECT 1; COMMIT
--- allow analyst: transactions
START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY
--- allow analyst: transactions
SAVEPOINT a
--- allow analyst: transactions
ROLLBACK TO SAVEPOINT a
--- allow analyst: transactions
RELEASE a
--- allow analyst: transactions
ROLLBACK
--- allow analyst: transactions
ABORT
--- allow analyst: transactions
END
--- allow analyst: transactions
COMMIT AND CHAIN
--- allow analyst: transactions
SET TRANSACTION READ ONLY
--- allow analyst: transactions
SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE
--- allow analyst: transactions
SET CONSTRAINTS ALL DEFERRED
--- allow analyst: session
SET application_name = 'x'
--- allow analyst: session
SET datestyle TO ISO, MDY
--- allow analyst: session
SET TIME ZONE 'Europe/Berlin'
--- allow analyst: session
SET TIME ZONE LOCAL
--- allow analyst: session
SET TIME ZONE 2
--- allow analyst: session
SET LOCAL statement_timeout = '5s'
--- allow analyst: session
SET NAMES 'utf8'
--- allow analyst: session
SET client_encoding TO 'UTF8'
--- allow analyst: session
RESET ALL
--- allow analyst: session
DISCARD ALL
--- allow analyst: session
DISCARD PLANS
--- allow analyst: session
RESET timezone
--- allow analyst: session
RESET search_path
--- allow analyst: session
SHOW server_version
--- allow analyst: session
SHOW search_path
--- allow analyst: session
SHOW TRANSACTION ISOLATION LEVEL
--- allow analyst: session
SELECT current_setting('server_version_num')
--- allow analyst: session
UNLISTEN *
--- allow analyst: session
SELECT pg_advisory_unlock_all()
--- allow analyst: session
SET extra_float_digits = 3
--- allow analyst: session
SET default_transaction_isolation TO 'serializable'
--- allow analyst: session
SET client_min_messages TO warning
--- allow analyst: names and cursors
PREPARE p AS SELECT * FROM orders WHERE id = $1
--- allow analyst: names and cursors
EXECUTE p(1)
--- allow analyst: names and cursors
DEALLOCATE p
--- allow analyst: names and cursors
DEALLOCATE ALL
--- allow analyst: names and cursors
DECLARE c CURSOR FOR SELECT * FROM orders
--- allow analyst: names and cursors
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT 1
--- allow analyst: names and cursors
FETCH 10 FROM c
--- allow analyst: names and cursors
MOVE 1 FROM c
--- allow analyst: names and cursors
CLOSE c
--- allow analyst: names and cursors
CLOSE ALL
--- allow analyst: names and cursors
EXPLAIN SELECT * FROM orders
--- allow analyst: names and cursors
EXPLAIN (ANALYZE, FORMAT JSON) SELECT 1
--- allow analyst: names and cursors
EXPLAIN EXECUTE p(1)
--- allow analyst: copy
COPY orders TO STDOUT
--- allow analyst: copy
COPY app.orders (id, status) TO STDOUT WITH (FORMAT csv, HEADER)
--- allow analyst: copy
COPY (SELECT * FROM orders) TO STDOUT
--- allow engineer: writing
INSERT INTO orders (customer_id, product) VALUES (1, 'bell') RETURNING id
--- allow engineer: writing
INSERT INTO orders SELECT * FROM orders WHERE false
--- allow engineer: writing
INSERT INTO customers VALUES (1) ON CONFLICT (id) DO UPDATE SET name = excluded.name
--- allow engineer: writing
UPDATE orders SET status = 'paid' WHERE id = 1
--- allow engineer: writing
UPDATE app.orders o SET status = 'paid' FROM customers c WHERE c.id = o.customer_id AND c.name = 'x'
--- allow engineer: writing
DELETE FROM orders WHERE id = 1
--- allow engineer: writing
DELETE FROM orders USING customers c WHERE c.id = orders.customer_id
--- allow engineer: writing
WITH d AS (DELETE FROM orders WHERE id = 1 RETURNING *) INSERT INTO orders SELECT * FROM d
--- allow engineer: writing
MERGE INTO orders o USING customers c ON c.id = o.customer_id WHEN MATCHED THEN UPDATE SET status = 'x' WHEN NOT MATCHED THEN INSERT DEFAULT VALUES
--- allow engineer: writing
SELECT * FROM orders WHERE id = 1 FOR UPDATE
--- allow engineer: writing
SELECT * FROM orders FOR SHARE SKIP LOCKED
--- allow engineer: writing
COPY orders FROM STDIN
--- allow engineer: writing
COPY orders (id, status) FROM STDIN WITH (FORMAT csv)
--- allow engineer: writing
EXPLAIN ANALYZE UPDATE orders SET status = 'x' WHERE id = 1
--- allow engineer: writing
PREPARE p AS DELETE FROM orders WHERE id = $1
--- allow engineer: writing
UPDATE orders SET status = 'x' WHERE CURRENT OF c
--- allow dba: observed
SELECT * FROM secrets
--- allow dba: observed
DO $$ BEGIN END $$
--- allow dba: observed
CREATE TABLE x (a int)
--- allow dba: observed
SET ROLE app_owner
--- allow dba: observed
SELECT pg_sleep(1)
--- allow dba: observed
COPY secrets TO PROGRAM 'cat'
--- allow dba: observed
TRUNCATE orders
--- allow dba: observed
SET search_path = public
