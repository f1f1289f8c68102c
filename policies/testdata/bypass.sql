# Ways around the policy: none leads anywhere. Each entry is judged by itself.
--- deny analyst: secrets, however they are written
SELECT * FROM secrets
--- deny analyst: secrets, however they are written
SELECT * FROM app.secrets
--- deny analyst: secrets, however they are written
SELECT * FROM "app"."secrets"
--- deny analyst: secrets, however they are written
SELECT * FROM APP.SECRETS
--- deny analyst: secrets, however they are written
SELECT * FROM U&"\0061pp".secrets
--- deny analyst: secrets, however they are written
SELECT * FROM U&"s!0065crets" UESCAPE '!'
--- deny analyst: secrets, however they are written
TABLE secrets
--- deny analyst: secrets, however they are written
SELECT * FROM app . secrets
--- deny analyst: secrets, however they are written
SELECT/**/*/**/FROM/**/secrets
--- deny analyst: secrets, however they are written
SELECT * FROM ONLY secrets
--- deny analyst: secrets, however they are written
SELECT * FROM secrets *
--- deny analyst: secrets, however they are written
SELECT * FROM app.app.secrets
--- deny analyst: secrets, however they are written
SELECT * FROM secrets AS orders
--- deny analyst: secrets, however they are written
SELECT 1; SELECT * FROM secrets
--- deny analyst: secrets, however they are written
SELECT * FROM secrets WHERE value = 'hunter2'
--- deny analyst: secrets, however they are written
SELECT * FROM app."secrets" -- app.orders
--- deny engineer: secrets, however they are written
SELECT * FROM secrets
--- deny engineer: secrets, however they are written
SELECT * FROM app.secrets
--- deny engineer: secrets, however they are written
SELECT * FROM "app"."secrets"
--- deny engineer: secrets, however they are written
SELECT * FROM APP.SECRETS
--- deny engineer: secrets, however they are written
SELECT * FROM U&"\0061pp".secrets
--- deny engineer: secrets, however they are written
SELECT * FROM U&"s!0065crets" UESCAPE '!'
--- deny engineer: secrets, however they are written
TABLE secrets
--- deny engineer: secrets, however they are written
SELECT * FROM app . secrets
--- deny engineer: secrets, however they are written
SELECT/**/*/**/FROM/**/secrets
--- deny engineer: secrets, however they are written
SELECT * FROM ONLY secrets
--- deny engineer: secrets, however they are written
SELECT * FROM secrets *
--- deny engineer: secrets, however they are written
SELECT * FROM app.app.secrets
--- deny engineer: secrets, however they are written
SELECT * FROM secrets AS orders
--- deny engineer: secrets, however they are written
SELECT 1; SELECT * FROM secrets
--- deny engineer: secrets, however they are written
SELECT * FROM secrets WHERE value = 'hunter2'
--- deny engineer: secrets, however they are written
SELECT * FROM app."secrets" -- app.orders
--- allow analyst: another table of nearly that name
SELECT * FROM "Secrets"
--- allow analyst: another table of nearly that name
SELECT * FROM app."secrets "
--- deny analyst: secrets, wherever they stand
SELECT c.id FROM customers c JOIN secrets s ON s.id = c.id
--- deny analyst: secrets, wherever they stand
SELECT c.id FROM customers c, secrets
--- deny analyst: secrets, wherever they stand
SELECT (SELECT value FROM secrets LIMIT 1)
--- deny analyst: secrets, wherever they stand
SELECT 1 WHERE EXISTS (SELECT FROM secrets)
--- deny analyst: secrets, wherever they stand
WITH x AS (SELECT * FROM secrets) SELECT 1
--- deny analyst: secrets, wherever they stand
WITH secrets AS (SELECT * FROM secrets) SELECT * FROM secrets
--- deny analyst: secrets, wherever they stand
WITH RECURSIVE x AS (SELECT 1 AS a UNION ALL SELECT id FROM app.secrets) SELECT * FROM x
--- deny analyst: secrets, wherever they stand
WITH secrets AS (SELECT 1) SELECT * FROM app.secrets
--- deny analyst: secrets, wherever they stand
SELECT id FROM customers UNION SELECT id FROM secrets
--- deny analyst: secrets, wherever they stand
SELECT 1 FROM customers ORDER BY (SELECT max(value) FROM secrets)
--- deny analyst: secrets, wherever they stand
SELECT 1 FROM customers GROUP BY (SELECT max(value) FROM secrets)
--- deny analyst: secrets, wherever they stand
SELECT 1 FROM customers HAVING (SELECT true FROM secrets)
--- deny analyst: secrets, wherever they stand
SELECT 1 LIMIT (SELECT count(*) FROM secrets)
--- deny analyst: secrets, wherever they stand
SELECT 1 OFFSET (SELECT count(*) FROM secrets)
--- deny analyst: secrets, wherever they stand
SELECT count(*) FILTER (WHERE EXISTS (SELECT FROM secrets)) FROM orders
--- deny analyst: secrets, wherever they stand
SELECT sum(id) OVER (ORDER BY (SELECT max(id) FROM secrets)) FROM orders
--- deny analyst: secrets, wherever they stand
SELECT sum(id) OVER w FROM orders WINDOW w AS (PARTITION BY (SELECT 1 FROM secrets))
--- deny analyst: secrets, wherever they stand
SELECT CASE WHEN (SELECT true FROM secrets) THEN 1 END
--- deny analyst: secrets, wherever they stand
SELECT ARRAY(SELECT value FROM secrets)
--- deny analyst: secrets, wherever they stand
SELECT (1, 2) = (SELECT 1, 2 FROM secrets)
--- deny analyst: secrets, wherever they stand
SELECT * FROM orders WHERE id IN (SELECT id FROM secrets)
--- deny analyst: secrets, wherever they stand
SELECT DISTINCT ON ((SELECT max(id) FROM secrets)) id FROM orders
--- deny analyst: secrets, wherever they stand
SELECT * FROM customers c, LATERAL (SELECT * FROM secrets s WHERE s.id = c.id) x
--- deny analyst: secrets, wherever they stand
SELECT * FROM ROWS FROM (generate_series(1, (SELECT max(id) FROM secrets))) x
--- deny analyst: secrets, wherever they stand
SELECT * FROM secrets TABLESAMPLE bernoulli (10)
--- deny analyst: secrets, wherever they stand
SELECT * FROM orders TABLESAMPLE system ((SELECT 1 FROM secrets))
--- deny analyst: secrets, wherever they stand
VALUES ((SELECT value FROM secrets))
--- deny analyst: secrets, wherever they stand
SELECT coalesce((SELECT value FROM secrets), '')
--- deny analyst: secrets, wherever they stand
SELECT (ARRAY[1])[(SELECT id FROM secrets)]
--- deny analyst: secrets, wherever they stand
SELECT xmlelement(name a, (SELECT value FROM secrets))
--- deny analyst: secrets, wherever they stand
SELECT json_object('a': (SELECT value FROM secrets))
--- deny analyst: secrets, wherever they stand
SELECT (SELECT value FROM secrets) COLLATE "C"
--- deny analyst: secrets, wherever they stand
SELECT * FROM orders FOR UPDATE OF secrets; SELECT * FROM secrets
--- deny analyst: secrets, wherever they stand
EXPLAIN SELECT * FROM secrets
--- deny analyst: secrets, wherever they stand
EXPLAIN (ANALYZE false, ANALYZE) SELECT * FROM secrets
--- deny analyst: secrets, wherever they stand
PREPARE p AS SELECT * FROM secrets
--- deny analyst: secrets, wherever they stand
DECLARE c CURSOR WITH HOLD FOR SELECT * FROM secrets
--- deny analyst: secrets, wherever they stand
COPY secrets TO STDOUT
--- deny analyst: secrets, wherever they stand
COPY (SELECT * FROM secrets) TO STDOUT
--- deny analyst: secrets, wherever they stand
COPY secrets FROM STDIN
--- deny engineer: secrets, wherever they stand
SELECT c.id FROM customers c JOIN secrets s ON s.id = c.id
--- deny engineer: secrets, wherever they stand
SELECT c.id FROM customers c, secrets
--- deny engineer: secrets, wherever they stand
SELECT (SELECT value FROM secrets LIMIT 1)
--- deny engineer: secrets, wherever they stand
SELECT 1 WHERE EXISTS (SELECT FROM secrets)
--- deny engineer: secrets, wherever they stand
WITH x AS (SELECT * FROM secrets) SELECT 1
--- deny engineer: secrets, wherever they stand
WITH secrets AS (SELECT * FROM secrets) SELECT * FROM secrets
--- deny engineer: secrets, wherever they stand
WITH RECURSIVE x AS (SELECT 1 AS a UNION ALL SELECT id FROM app.secrets) SELECT * FROM x
--- deny engineer: secrets, wherever they stand
WITH secrets AS (SELECT 1) SELECT * FROM app.secrets
--- deny engineer: secrets, wherever they stand
SELECT id FROM customers UNION SELECT id FROM secrets
--- deny engineer: secrets, wherever they stand
SELECT 1 FROM customers ORDER BY (SELECT max(value) FROM secrets)
--- deny engineer: secrets, wherever they stand
SELECT 1 FROM customers GROUP BY (SELECT max(value) FROM secrets)
--- deny engineer: secrets, wherever they stand
SELECT 1 FROM customers HAVING (SELECT true FROM secrets)
--- deny engineer: secrets, wherever they stand
SELECT 1 LIMIT (SELECT count(*) FROM secrets)
--- deny engineer: secrets, wherever they stand
SELECT 1 OFFSET (SELECT count(*) FROM secrets)
--- deny engineer: secrets, wherever they stand
SELECT count(*) FILTER (WHERE EXISTS (SELECT FROM secrets)) FROM orders
--- deny engineer: secrets, wherever they stand
SELECT sum(id) OVER (ORDER BY (SELECT max(id) FROM secrets)) FROM orders
--- deny engineer: secrets, wherever they stand
SELECT sum(id) OVER w FROM orders WINDOW w AS (PARTITION BY (SELECT 1 FROM secrets))
--- deny engineer: secrets, wherever they stand
SELECT CASE WHEN (SELECT true FROM secrets) THEN 1 END
--- deny engineer: secrets, wherever they stand
SELECT ARRAY(SELECT value FROM secrets)
--- deny engineer: secrets, wherever they stand
SELECT (1, 2) = (SELECT 1, 2 FROM secrets)
--- deny engineer: secrets, wherever they stand
SELECT * FROM orders WHERE id IN (SELECT id FROM secrets)
--- deny engineer: secrets, wherever they stand
SELECT DISTINCT ON ((SELECT max(id) FROM secrets)) id FROM orders
--- deny engineer: secrets, wherever they stand
SELECT * FROM customers c, LATERAL (SELECT * FROM secrets s WHERE s.id = c.id) x
--- deny engineer: secrets, wherever they stand
SELECT * FROM ROWS FROM (generate_series(1, (SELECT max(id) FROM secrets))) x
--- deny engineer: secrets, wherever they stand
SELECT * FROM secrets TABLESAMPLE bernoulli (10)
--- deny engineer: secrets, wherever they stand
SELECT * FROM orders TABLESAMPLE system ((SELECT 1 FROM secrets))
--- deny engineer: secrets, wherever they stand
VALUES ((SELECT value FROM secrets))
--- deny engineer: secrets, wherever they stand
SELECT coalesce((SELECT value FROM secrets), '')
--- deny engineer: secrets, wherever they stand
SELECT (ARRAY[1])[(SELECT id FROM secrets)]
--- deny engineer: secrets, wherever they stand
SELECT xmlelement(name a, (SELECT value FROM secrets))
--- deny engineer: secrets, wherever they stand
SELECT json_object('a': (SELECT value FROM secrets))
--- deny engineer: secrets, wherever they stand
SELECT (SELECT value FROM secrets) COLLATE "C"
--- deny engineer: secrets, wherever they stand
SELECT * FROM orders FOR UPDATE OF secrets; SELECT * FROM secrets
--- deny engineer: secrets, wherever they stand
EXPLAIN SELECT * FROM secrets
--- deny engineer: secrets, wherever they stand
EXPLAIN (ANALYZE false, ANALYZE) SELECT * FROM secrets
--- deny engineer: secrets, wherever they stand
PREPARE p AS SELECT * FROM secrets
--- deny engineer: secrets, wherever they stand
DECLARE c CURSOR WITH HOLD FOR SELECT * FROM secrets
--- deny engineer: secrets, wherever they stand
COPY secrets TO STDOUT
--- deny engineer: secrets, wherever they stand
COPY (SELECT * FROM secrets) TO STDOUT
--- deny engineer: secrets, wherever they stand
COPY secrets FROM STDIN
--- deny analyst: secrets by other names
SELECT table_to_xml('app.secrets', true, false, '')
--- deny analyst: secrets by other names
SELECT query_to_xml('SELECT * FROM app.secrets', true, false, '')
--- deny analyst: secrets by other names
SELECT schema_to_xml('app', true, false, '')
--- deny analyst: secrets by other names
SELECT database_to_xml(true, false, '')
--- deny analyst: secrets by other names
SELECT cursor_to_xml('c', 1, true, false, '')
--- deny analyst: secrets by other names
SELECT * FROM ts_stat('SELECT value::tsvector FROM app.secrets')
--- deny analyst: secrets by other names
SELECT ts_rewrite('a'::tsquery, 'SELECT value, value FROM app.secrets')
--- deny analyst: secrets by other names
SELECT * FROM dblink('dbname=app', 'SELECT * FROM app.secrets') AS x(a text)
--- deny analyst: secrets by other names
SELECT * FROM crosstab('SELECT * FROM app.secrets') AS x(a text)
--- deny analyst: secrets by other names
SELECT * FROM pg_catalog.query_to_xml('SELECT 1', true, false, '')
--- deny analyst: secrets by other names
SELECT nextval('app.secrets_id_seq')
--- deny analyst: secrets by other names
SELECT 'app.secrets'::regclass
--- deny analyst: secrets by other names
SELECT regclass 'secrets'
--- deny analyst: secrets by other names
SELECT cast('"app"."secrets"' AS regclass)
--- deny analyst: secrets by other names
SELECT to_regclass('app.secrets')
--- deny analyst: secrets by other names
SELECT pg_relation_size('app.secrets')
--- deny analyst: secrets by other names
SELECT pg_table_size(' app . secrets ')
--- deny analyst: secrets by other names
SELECT null::app.secrets
--- deny analyst: secrets by other names
SELECT * FROM json_populate_recordset(null::secrets, '[]')
--- deny analyst: secrets by other names
SELECT lo_get(16384)
--- deny analyst: secrets by other names
SELECT * FROM pg_read_file('base/16384/16385')
--- deny engineer: secrets by other names
SELECT table_to_xml('app.secrets', true, false, '')
--- deny engineer: secrets by other names
SELECT query_to_xml('SELECT * FROM app.secrets', true, false, '')
--- deny engineer: secrets by other names
SELECT schema_to_xml('app', true, false, '')
--- deny engineer: secrets by other names
SELECT database_to_xml(true, false, '')
--- deny engineer: secrets by other names
SELECT cursor_to_xml('c', 1, true, false, '')
--- deny engineer: secrets by other names
SELECT * FROM ts_stat('SELECT value::tsvector FROM app.secrets')
--- deny engineer: secrets by other names
SELECT ts_rewrite('a'::tsquery, 'SELECT value, value FROM app.secrets')
--- deny engineer: secrets by other names
SELECT * FROM dblink('dbname=app', 'SELECT * FROM app.secrets') AS x(a text)
--- deny engineer: secrets by other names
SELECT * FROM crosstab('SELECT * FROM app.secrets') AS x(a text)
--- deny engineer: secrets by other names
SELECT * FROM pg_catalog.query_to_xml('SELECT 1', true, false, '')
--- deny engineer: secrets by other names
SELECT nextval('app.secrets_id_seq')
--- deny engineer: secrets by other names
SELECT 'app.secrets'::regclass
--- deny engineer: secrets by other names
SELECT regclass 'secrets'
--- deny engineer: secrets by other names
SELECT cast('"app"."secrets"' AS regclass)
--- deny engineer: secrets by other names
SELECT to_regclass('app.secrets')
--- deny engineer: secrets by other names
SELECT pg_relation_size('app.secrets')
--- deny engineer: secrets by other names
SELECT pg_table_size(' app . secrets ')
--- deny engineer: secrets by other names
SELECT null::app.secrets
--- deny engineer: secrets by other names
SELECT * FROM json_populate_recordset(null::secrets, '[]')
--- deny engineer: secrets by other names
SELECT lo_get(16384)
--- deny engineer: secrets by other names
SELECT * FROM pg_read_file('base/16384/16385')
--- deny analyst: statistics and other sessions
SELECT * FROM pg_stats
--- deny analyst: statistics and other sessions
SELECT * FROM pg_catalog.pg_stats WHERE tablename = 'secrets'
--- deny analyst: statistics and other sessions
SELECT * FROM pg_statistic
--- deny analyst: statistics and other sessions
SELECT * FROM pg_stats_ext
--- deny analyst: statistics and other sessions
SELECT * FROM pg_statistic_ext_data
--- deny analyst: statistics and other sessions
SELECT * FROM pg_stat_activity
--- deny analyst: statistics and other sessions
SELECT query FROM pg_catalog.pg_stat_activity
--- deny analyst: statistics and other sessions
SELECT * FROM pg_stat_statements
--- deny analyst: statistics and other sessions
SELECT * FROM pg_stat_get_activity(null)
--- deny analyst: statistics and other sessions
SELECT pg_stat_get_backend_activity(1)
--- deny analyst: statistics and other sessions
SELECT * FROM pg_locks
--- deny analyst: statistics and other sessions
SELECT * FROM pg_lock_status()
--- deny analyst: statistics and other sessions
SELECT * FROM pg_prepared_statements
--- deny analyst: statistics and other sessions
SELECT * FROM pg_prepared_statement()
--- deny analyst: statistics and other sessions
SELECT * FROM pg_cursors
--- deny analyst: statistics and other sessions
SELECT * FROM pg_authid
--- deny analyst: statistics and other sessions
SELECT * FROM pg_shadow
--- deny analyst: statistics and other sessions
SELECT * FROM pg_user
--- deny analyst: statistics and other sessions
SELECT * FROM pg_hba_file_rules
--- deny analyst: statistics and other sessions
SELECT * FROM pg_file_settings
--- deny analyst: statistics and other sessions
SELECT * FROM pg_largeobject
--- deny analyst: statistics and other sessions
SELECT * FROM pg_user_mappings
--- deny analyst: statistics and other sessions
SELECT * FROM pg_user_mapping
--- deny analyst: statistics and other sessions
SELECT * FROM pg_subscription
--- deny analyst: statistics and other sessions
SELECT * FROM pg_mcv_list_items(null)
--- deny analyst: statistics and other sessions
SELECT * FROM pg_toast.pg_toast_1234
--- deny analyst: statistics and other sessions
SELECT * FROM pg_db_role_setting
--- deny engineer: statistics and other sessions
SELECT * FROM pg_stats
--- deny engineer: statistics and other sessions
SELECT * FROM pg_catalog.pg_stats WHERE tablename = 'secrets'
--- deny engineer: statistics and other sessions
SELECT * FROM pg_statistic
--- deny engineer: statistics and other sessions
SELECT * FROM pg_stats_ext
--- deny engineer: statistics and other sessions
SELECT * FROM pg_statistic_ext_data
--- deny engineer: statistics and other sessions
SELECT * FROM pg_stat_activity
--- deny engineer: statistics and other sessions
SELECT query FROM pg_catalog.pg_stat_activity
--- deny engineer: statistics and other sessions
SELECT * FROM pg_stat_statements
--- deny engineer: statistics and other sessions
SELECT * FROM pg_stat_get_activity(null)
--- deny engineer: statistics and other sessions
SELECT pg_stat_get_backend_activity(1)
--- deny engineer: statistics and other sessions
SELECT * FROM pg_locks
--- deny engineer: statistics and other sessions
SELECT * FROM pg_lock_status()
--- deny engineer: statistics and other sessions
SELECT * FROM pg_prepared_statements
--- deny engineer: statistics and other sessions
SELECT * FROM pg_prepared_statement()
--- deny engineer: statistics and other sessions
SELECT * FROM pg_cursors
--- deny engineer: statistics and other sessions
SELECT * FROM pg_authid
--- deny engineer: statistics and other sessions
SELECT * FROM pg_shadow
--- deny engineer: statistics and other sessions
SELECT * FROM pg_user
--- deny engineer: statistics and other sessions
SELECT * FROM pg_hba_file_rules
--- deny engineer: statistics and other sessions
SELECT * FROM pg_file_settings
--- deny engineer: statistics and other sessions
SELECT * FROM pg_largeobject
--- deny engineer: statistics and other sessions
SELECT * FROM pg_user_mappings
--- deny engineer: statistics and other sessions
SELECT * FROM pg_user_mapping
--- deny engineer: statistics and other sessions
SELECT * FROM pg_subscription
--- deny engineer: statistics and other sessions
SELECT * FROM pg_mcv_list_items(null)
--- deny engineer: statistics and other sessions
SELECT * FROM pg_toast.pg_toast_1234
--- deny engineer: statistics and other sessions
SELECT * FROM pg_db_role_setting
--- deny analyst: values of settings
SELECT * FROM pg_settings
--- deny analyst: values of settings
SELECT setting FROM pg_settings
--- deny analyst: values of settings
SELECT s FROM pg_settings s
--- deny analyst: values of settings
SELECT s.* FROM pg_settings s
--- deny analyst: values of settings
SELECT to_jsonb(pg_settings) FROM pg_settings
--- deny analyst: values of settings
SELECT row_to_json(s) FROM pg_settings s
--- deny analyst: values of settings
SELECT s.row_to_json FROM pg_settings s
--- deny analyst: values of settings
SELECT name FROM pg_settings s(unit, name)
--- deny analyst: values of settings
SELECT a FROM pg_settings AS s(a, b, c)
--- deny analyst: values of settings
SELECT name FROM (SELECT * FROM pg_settings) x
--- deny analyst: values of settings
SELECT x.name FROM (TABLE pg_settings) x
--- deny analyst: values of settings
SELECT name FROM pg_settings NATURAL JOIN pg_settings b
--- deny analyst: values of settings
SELECT name FROM pg_settings JOIN pg_settings b USING (setting)
--- deny analyst: values of settings
SELECT name FROM pg_settings ORDER BY setting
--- deny analyst: values of settings
SELECT name FROM pg_settings WHERE setting LIKE 'hunter2%'
--- deny analyst: values of settings
SELECT (s).setting FROM pg_settings s
--- deny analyst: values of settings
SELECT count(s) FROM pg_settings s
--- deny analyst: values of settings
SELECT setting(s) FROM pg_settings s
--- deny analyst: values of settings
SELECT pg_settings FROM pg_settings
--- deny analyst: values of settings
SELECT pg_settings::text FROM pg_settings
--- deny analyst: values of settings
COPY pg_settings TO STDOUT
--- deny analyst: values of settings
WITH x(a, b) AS (SELECT * FROM pg_settings) SELECT b FROM x
--- deny analyst: values of settings
SELECT name, (SELECT setting) FROM pg_settings
--- deny analyst: values of settings
SELECT (x).setting FROM (SELECT s AS x FROM pg_settings s) y
--- deny analyst: values of settings
SELECT * FROM pg_show_all_settings()
--- deny analyst: values of settings
SHOW ALL
--- deny analyst: values of settings
SHOW data_directory
--- deny analyst: values of settings
SHOW shared_preload_libraries
--- deny analyst: values of settings
SELECT current_setting('data_directory')
--- deny analyst: values of settings
SELECT current_setting(name) FROM pg_settings
--- deny analyst: values of settings
SELECT pg_catalog.current_setting('hba' || '_file')
--- deny analyst: values of settings
SELECT ('hba_file'::text).current_setting
--- deny analyst: values of settings
SELECT current_setting(setting_name => 'hba_file')
--- deny engineer: values of settings
SELECT * FROM pg_settings
--- deny engineer: values of settings
SELECT setting FROM pg_settings
--- deny engineer: values of settings
SELECT s FROM pg_settings s
--- deny engineer: values of settings
SELECT s.* FROM pg_settings s
--- deny engineer: values of settings
SELECT to_jsonb(pg_settings) FROM pg_settings
--- deny engineer: values of settings
SELECT row_to_json(s) FROM pg_settings s
--- deny engineer: values of settings
SELECT s.row_to_json FROM pg_settings s
--- deny engineer: values of settings
SELECT name FROM pg_settings s(unit, name)
--- deny engineer: values of settings
SELECT a FROM pg_settings AS s(a, b, c)
--- deny engineer: values of settings
SELECT name FROM (SELECT * FROM pg_settings) x
--- deny engineer: values of settings
SELECT x.name FROM (TABLE pg_settings) x
--- deny engineer: values of settings
SELECT name FROM pg_settings NATURAL JOIN pg_settings b
--- deny engineer: values of settings
SELECT name FROM pg_settings JOIN pg_settings b USING (setting)
--- deny engineer: values of settings
SELECT name FROM pg_settings ORDER BY setting
--- deny engineer: values of settings
SELECT name FROM pg_settings WHERE setting LIKE 'hunter2%'
--- deny engineer: values of settings
SELECT (s).setting FROM pg_settings s
--- deny engineer: values of settings
SELECT count(s) FROM pg_settings s
--- deny engineer: values of settings
SELECT setting(s) FROM pg_settings s
--- deny engineer: values of settings
SELECT pg_settings FROM pg_settings
--- deny engineer: values of settings
SELECT pg_settings::text FROM pg_settings
--- deny engineer: values of settings
COPY pg_settings TO STDOUT
--- deny engineer: values of settings
WITH x(a, b) AS (SELECT * FROM pg_settings) SELECT b FROM x
--- deny engineer: values of settings
SELECT name, (SELECT setting) FROM pg_settings
--- deny engineer: values of settings
SELECT (x).setting FROM (SELECT s AS x FROM pg_settings s) y
--- deny engineer: values of settings
SELECT * FROM pg_show_all_settings()
--- deny engineer: values of settings
SHOW ALL
--- deny engineer: values of settings
SHOW data_directory
--- deny engineer: values of settings
SHOW shared_preload_libraries
--- deny engineer: values of settings
SELECT current_setting('data_directory')
--- deny engineer: values of settings
SELECT current_setting(name) FROM pg_settings
--- deny engineer: values of settings
SELECT pg_catalog.current_setting('hba' || '_file')
--- deny engineer: values of settings
SELECT ('hba_file'::text).current_setting
--- deny engineer: values of settings
SELECT current_setting(setting_name => 'hba_file')
--- deny analyst: calls that do not look like calls
SELECT (1).pg_sleep
--- deny analyst: calls that do not look like calls
SELECT (10::float8).pg_sleep
--- deny analyst: calls that do not look like calls
SELECT ('/etc/passwd'::text).pg_read_file
--- deny analyst: calls that do not look like calls
SELECT ('x'::text).unlisted
--- deny analyst: calls that do not look like calls
SELECT (x).unlisted FROM (VALUES (1)) v(x)
--- deny analyst: calls that do not look like calls
SELECT (SELECT 1).pg_terminate_backend
--- deny analyst: calls that do not look like calls
SELECT (o).unlisted FROM orders o
--- deny analyst: calls that do not look like calls
SELECT ('select 1'::text).ts_stat
--- deny engineer: calls that do not look like calls
SELECT (1).pg_sleep
--- deny engineer: calls that do not look like calls
SELECT (10::float8).pg_sleep
--- deny engineer: calls that do not look like calls
SELECT ('/etc/passwd'::text).pg_read_file
--- deny engineer: calls that do not look like calls
SELECT ('x'::text).unlisted
--- deny engineer: calls that do not look like calls
SELECT (x).unlisted FROM (VALUES (1)) v(x)
--- deny engineer: calls that do not look like calls
SELECT (SELECT 1).pg_terminate_backend
--- deny engineer: calls that do not look like calls
SELECT (o).unlisted FROM orders o
--- deny engineer: calls that do not look like calls
SELECT ('select 1'::text).ts_stat
--- deny analyst: functions wherever they stand
SELECT pg_sleep(10)
--- deny analyst: functions wherever they stand
SELECT pg_catalog.pg_sleep(10)
--- deny analyst: functions wherever they stand
SELECT * FROM pg_sleep(10)
--- deny analyst: functions wherever they stand
SELECT 1 FROM orders WHERE pg_sleep(1) IS NULL
--- deny analyst: functions wherever they stand
SELECT 1 ORDER BY pg_sleep(1)
--- deny analyst: functions wherever they stand
SELECT 1 LIMIT length(set_config('role', 'postgres', false))
--- deny analyst: functions wherever they stand
SELECT * FROM orders o JOIN LATERAL pg_ls_dir('.') x ON true
--- deny analyst: functions wherever they stand
SELECT count(*) FILTER (WHERE pg_cancel_backend(1)) FROM orders
--- deny analyst: functions wherever they stand
VALUES (pg_terminate_backend(1))
--- deny analyst: functions wherever they stand
SELECT * FROM ROWS FROM (pg_ls_dir('.'), generate_series(1, 2)) x
--- deny analyst: functions wherever they stand
SELECT ARRAY[pg_read_file('x')]
--- deny analyst: functions wherever they stand
EXPLAIN SELECT pg_sleep(1)
--- deny analyst: functions wherever they stand
DECLARE c CURSOR FOR SELECT pg_sleep(1)
--- deny analyst: functions wherever they stand
PREPARE p AS SELECT pg_sleep($1)
--- deny analyst: functions wherever they stand
COPY (SELECT pg_read_file('/etc/passwd')) TO STDOUT
--- deny analyst: functions wherever they stand
SELECT PG_SLEEP(1)
--- deny analyst: functions wherever they stand
SELECT "pg_sleep"(1)
--- deny analyst: functions wherever they stand
SELECT U&"pg\005fsleep"(1)
--- deny engineer: functions wherever they stand
SELECT pg_sleep(10)
--- deny engineer: functions wherever they stand
SELECT pg_catalog.pg_sleep(10)
--- deny engineer: functions wherever they stand
SELECT * FROM pg_sleep(10)
--- deny engineer: functions wherever they stand
SELECT 1 FROM orders WHERE pg_sleep(1) IS NULL
--- deny engineer: functions wherever they stand
SELECT 1 ORDER BY pg_sleep(1)
--- deny engineer: functions wherever they stand
SELECT 1 LIMIT length(set_config('role', 'postgres', false))
--- deny engineer: functions wherever they stand
SELECT * FROM orders o JOIN LATERAL pg_ls_dir('.') x ON true
--- deny engineer: functions wherever they stand
SELECT count(*) FILTER (WHERE pg_cancel_backend(1)) FROM orders
--- deny engineer: functions wherever they stand
VALUES (pg_terminate_backend(1))
--- deny engineer: functions wherever they stand
SELECT * FROM ROWS FROM (pg_ls_dir('.'), generate_series(1, 2)) x
--- deny engineer: functions wherever they stand
SELECT ARRAY[pg_read_file('x')]
--- deny engineer: functions wherever they stand
EXPLAIN SELECT pg_sleep(1)
--- deny engineer: functions wherever they stand
DECLARE c CURSOR FOR SELECT pg_sleep(1)
--- deny engineer: functions wherever they stand
PREPARE p AS SELECT pg_sleep($1)
--- deny engineer: functions wherever they stand
COPY (SELECT pg_read_file('/etc/passwd')) TO STDOUT
--- deny engineer: functions wherever they stand
SELECT PG_SLEEP(1)
--- deny engineer: functions wherever they stand
SELECT "pg_sleep"(1)
--- deny engineer: functions wherever they stand
SELECT U&"pg\005fsleep"(1)
--- deny analyst: functions that are not listed
SELECT app.f(1)
--- deny analyst: functions that are not listed
SELECT f(1)
--- deny analyst: functions that are not listed
SELECT public.f(1)
--- deny analyst: functions that are not listed
SELECT pg_temp.f(1)
--- deny analyst: functions that are not listed
SELECT pg_read_file('PG_VERSION')
--- deny analyst: functions that are not listed
SELECT pg_read_binary_file('x')
--- deny analyst: functions that are not listed
SELECT pg_ls_dir('.')
--- deny analyst: functions that are not listed
SELECT pg_stat_file('x')
--- deny analyst: functions that are not listed
SELECT lo_from_bytea(0, 'x')
--- deny analyst: functions that are not listed
SELECT lo_import('/etc/passwd')
--- deny analyst: functions that are not listed
SELECT lo_export(1, '/tmp/x')
--- deny analyst: functions that are not listed
SELECT pg_terminate_backend(pg_backend_pid())
--- deny analyst: functions that are not listed
SELECT pg_advisory_lock(1)
--- deny analyst: functions that are not listed
SELECT pg_try_advisory_xact_lock(1)
--- deny analyst: functions that are not listed
SELECT pg_notify('a', 'hunter2')
--- deny analyst: functions that are not listed
SELECT setval('orders_id_seq', 1)
--- deny analyst: functions that are not listed
SELECT currval('orders_id_seq')
--- deny analyst: functions that are not listed
SELECT lastval()
--- deny analyst: functions that are not listed
SELECT pg_export_snapshot()
--- deny analyst: functions that are not listed
SELECT pg_logical_emit_message(true, 'a', 'hunter2')
--- deny analyst: functions that are not listed
SELECT txid_current()
--- deny analyst: functions that are not listed
SELECT pg_current_xact_id()
--- deny analyst: functions that are not listed
SELECT pg_reload_conf()
--- deny analyst: functions that are not listed
SELECT pg_switch_wal()
--- deny analyst: functions that are not listed
SELECT current_query()
--- deny analyst: functions that are not listed
SELECT brin_summarize_new_values('x')
--- deny analyst: functions that are not listed
SELECT pg_relation_filepath('orders')
--- deny analyst: functions that are not listed
SELECT OPERATOR(app.+) 1
--- deny analyst: functions that are not listed
SELECT 1 OPERATOR(app.+) 2
--- deny analyst: functions that are not listed
SELECT 1 ORDER BY 1 USING OPERATOR(app.<)
--- deny analyst: functions that are not listed
SELECT 'x'::public.t
--- deny analyst: functions that are not listed
SELECT 'x'::pg_temp.text
--- deny engineer: functions that are not listed
SELECT app.f(1)
--- deny engineer: functions that are not listed
SELECT f(1)
--- deny engineer: functions that are not listed
SELECT public.f(1)
--- deny engineer: functions that are not listed
SELECT pg_temp.f(1)
--- deny engineer: functions that are not listed
SELECT pg_read_file('PG_VERSION')
--- deny engineer: functions that are not listed
SELECT pg_read_binary_file('x')
--- deny engineer: functions that are not listed
SELECT pg_ls_dir('.')
--- deny engineer: functions that are not listed
SELECT pg_stat_file('x')
--- deny engineer: functions that are not listed
SELECT lo_from_bytea(0, 'x')
--- deny engineer: functions that are not listed
SELECT lo_import('/etc/passwd')
--- deny engineer: functions that are not listed
SELECT lo_export(1, '/tmp/x')
--- deny engineer: functions that are not listed
SELECT pg_terminate_backend(pg_backend_pid())
--- deny engineer: functions that are not listed
SELECT pg_advisory_lock(1)
--- deny engineer: functions that are not listed
SELECT pg_try_advisory_xact_lock(1)
--- deny engineer: functions that are not listed
SELECT pg_notify('a', 'hunter2')
--- deny engineer: functions that are not listed
SELECT setval('orders_id_seq', 1)
--- deny engineer: functions that are not listed
SELECT currval('orders_id_seq')
--- deny engineer: functions that are not listed
SELECT lastval()
--- deny engineer: functions that are not listed
SELECT pg_export_snapshot()
--- deny engineer: functions that are not listed
SELECT pg_logical_emit_message(true, 'a', 'hunter2')
--- deny engineer: functions that are not listed
SELECT txid_current()
--- deny engineer: functions that are not listed
SELECT pg_current_xact_id()
--- deny engineer: functions that are not listed
SELECT pg_reload_conf()
--- deny engineer: functions that are not listed
SELECT pg_switch_wal()
--- deny engineer: functions that are not listed
SELECT current_query()
--- deny engineer: functions that are not listed
SELECT brin_summarize_new_values('x')
--- deny engineer: functions that are not listed
SELECT pg_relation_filepath('orders')
--- deny engineer: functions that are not listed
SELECT OPERATOR(app.+) 1
--- deny engineer: functions that are not listed
SELECT 1 OPERATOR(app.+) 2
--- deny engineer: functions that are not listed
SELECT 1 ORDER BY 1 USING OPERATOR(app.<)
--- deny engineer: functions that are not listed
SELECT 'x'::public.t
--- deny engineer: functions that are not listed
SELECT 'x'::pg_temp.text
--- deny analyst: settings
SELECT set_config('search_path', 'public', false)
--- deny analyst: settings
SELECT set_config('jit', (SELECT 'off'), false)
--- deny analyst: settings
SELECT set_config('jit', 'off', false), set_config('role', 'postgres', false)
--- deny analyst: settings
SELECT set_config($1, $2, false)
--- deny analyst: settings
SELECT set_config('application_name', 'hunter2', false)
--- deny analyst: settings
SELECT set_config(name, 'off', false) FROM pg_settings
--- deny analyst: settings
UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'
--- deny analyst: settings
UPDATE pg_catalog.pg_settings SET setting = 'off' WHERE name = 'x'
--- deny analyst: settings
MERGE INTO pg_settings USING orders ON false WHEN MATCHED THEN UPDATE SET setting = 'off'
--- deny analyst: settings
SET standard_conforming_strings = off
--- deny analyst: settings
SET STANDARD_CONFORMING_STRINGS TO false
--- deny analyst: settings
SET "Standard_Conforming_Strings" = off
--- deny analyst: settings
SET client_encoding = 'SJIS'
--- deny analyst: settings
SET NAMES 'BIG5'
--- deny analyst: settings
SET client_encoding TO DEFAULT; SET NAMES 'GBK'
--- deny analyst: settings
SET search_path = public
--- deny analyst: settings
SET search_path TO app
--- deny analyst: settings
SET LOCAL search_path = evil, app
--- deny analyst: settings
SET SCHEMA 'public'
--- deny analyst: settings
SET ROLE postgres
--- deny analyst: settings
SET LOCAL ROLE postgres
--- deny analyst: settings
SET ROLE NONE
--- deny analyst: settings
RESET ROLE
--- deny analyst: settings
SET SESSION AUTHORIZATION postgres
--- deny analyst: settings
SET row_security = off
--- deny analyst: settings
SET session_replication_role = replica
--- deny analyst: settings
SET local_preload_libraries = 'hunter2'
--- deny analyst: settings
SET app.tenant = 7
--- deny analyst: settings
SET client_min_messages = debug1
--- deny analyst: settings
SET client_min_messages = log
--- deny analyst: settings
SET debug_print_parse = on
--- deny analyst: settings
SET work_mem = '10GB'
--- deny analyst: settings
SET transform_null_equals = on
--- deny analyst: settings
SET TRANSACTION SNAPSHOT '00000003-1'
--- deny analyst: settings
SET backslash_quote = on
--- deny analyst: settings
SET application_name FROM CURRENT
--- deny analyst: settings
SET LOCAL timezone TO DEFAULT
--- deny analyst: settings
SET statement_timeout = 'hunter2'
--- deny analyst: settings
SET xmloption = document
--- deny analyst: settings
SET lo_compat_privileges = on
--- deny analyst: settings
SET plan_cache_mode = force_custom_plan
--- deny analyst: settings
SET temp_tablespaces = x
--- deny analyst: settings
SET password_encryption = md5
--- deny engineer: settings
SELECT set_config('search_path', 'public', false)
--- deny engineer: settings
SELECT set_config('jit', (SELECT 'off'), false)
--- deny engineer: settings
SELECT set_config('jit', 'off', false), set_config('role', 'postgres', false)
--- deny engineer: settings
SELECT set_config($1, $2, false)
--- deny engineer: settings
SELECT set_config('application_name', 'hunter2', false)
--- deny engineer: settings
SELECT set_config(name, 'off', false) FROM pg_settings
--- deny engineer: settings
UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'
--- deny engineer: settings
UPDATE pg_catalog.pg_settings SET setting = 'off' WHERE name = 'x'
--- deny engineer: settings
MERGE INTO pg_settings USING orders ON false WHEN MATCHED THEN UPDATE SET setting = 'off'
--- deny engineer: settings
SET standard_conforming_strings = off
--- deny engineer: settings
SET STANDARD_CONFORMING_STRINGS TO false
--- deny engineer: settings
SET "Standard_Conforming_Strings" = off
--- deny engineer: settings
SET client_encoding = 'SJIS'
--- deny engineer: settings
SET NAMES 'BIG5'
--- deny engineer: settings
SET client_encoding TO DEFAULT; SET NAMES 'GBK'
--- deny engineer: settings
SET search_path = public
--- deny engineer: settings
SET search_path TO app
--- deny engineer: settings
SET LOCAL search_path = evil, app
--- deny engineer: settings
SET SCHEMA 'public'
--- deny engineer: settings
SET ROLE postgres
--- deny engineer: settings
SET LOCAL ROLE postgres
--- deny engineer: settings
SET ROLE NONE
--- deny engineer: settings
RESET ROLE
--- deny engineer: settings
SET SESSION AUTHORIZATION postgres
--- deny engineer: settings
SET row_security = off
--- deny engineer: settings
SET session_replication_role = replica
--- deny engineer: settings
SET local_preload_libraries = 'hunter2'
--- deny engineer: settings
SET app.tenant = 7
--- deny engineer: settings
SET client_min_messages = debug1
--- deny engineer: settings
SET client_min_messages = log
--- deny engineer: settings
SET debug_print_parse = on
--- deny engineer: settings
SET work_mem = '10GB'
--- deny engineer: settings
SET transform_null_equals = on
--- deny engineer: settings
SET TRANSACTION SNAPSHOT '00000003-1'
--- deny engineer: settings
SET backslash_quote = on
--- deny engineer: settings
SET application_name FROM CURRENT
--- deny engineer: settings
SET LOCAL timezone TO DEFAULT
--- deny engineer: settings
SET statement_timeout = 'hunter2'
--- deny engineer: settings
SET xmloption = document
--- deny engineer: settings
SET lo_compat_privileges = on
--- deny engineer: settings
SET plan_cache_mode = force_custom_plan
--- deny engineer: settings
SET temp_tablespaces = x
--- deny engineer: settings
SET password_encryption = md5
--- deny analyst: what defines, grants or maintains
CREATE TABLE x (a int)
--- deny analyst: what defines, grants or maintains
CREATE TEMP TABLE customers (a int)
--- deny analyst: what defines, grants or maintains
CREATE TEMP TABLE x AS SELECT * FROM customers
--- deny analyst: what defines, grants or maintains
CREATE TABLE x AS SELECT 1
--- deny analyst: what defines, grants or maintains
SELECT * INTO x FROM customers
--- deny analyst: what defines, grants or maintains
SELECT * INTO TEMP x FROM customers
--- deny analyst: what defines, grants or maintains
CREATE UNLOGGED TABLE x (a int)
--- deny analyst: what defines, grants or maintains
CREATE VIEW v AS SELECT 1
--- deny analyst: what defines, grants or maintains
CREATE TEMP VIEW pg_class AS SELECT 1
--- deny analyst: what defines, grants or maintains
CREATE OR REPLACE VIEW order_totals AS SELECT 1
--- deny analyst: what defines, grants or maintains
CREATE MATERIALIZED VIEW m AS SELECT 1
--- deny analyst: what defines, grants or maintains
REFRESH MATERIALIZED VIEW m
--- deny analyst: what defines, grants or maintains
CREATE SCHEMA x CREATE TABLE t (a int)
--- deny analyst: what defines, grants or maintains
CREATE INDEX ON orders (product)
--- deny analyst: what defines, grants or maintains
CREATE RULE r AS ON SELECT TO orders DO INSTEAD SELECT 1
--- deny analyst: what defines, grants or maintains
CREATE TRIGGER t AFTER INSERT ON orders EXECUTE FUNCTION f()
--- deny analyst: what defines, grants or maintains
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'
--- deny analyst: what defines, grants or maintains
CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END
--- deny analyst: what defines, grants or maintains
CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'
--- deny analyst: what defines, grants or maintains
CREATE EXTENSION dblink
--- deny analyst: what defines, grants or maintains
CREATE TYPE t AS (a int)
--- deny analyst: what defines, grants or maintains
CREATE DOMAIN d AS int CHECK (value > 0)
--- deny analyst: what defines, grants or maintains
CREATE CAST (text AS int) WITH INOUT
--- deny analyst: what defines, grants or maintains
CREATE OPERATOR + (FUNCTION = f, LEFTARG = int)
--- deny analyst: what defines, grants or maintains
CREATE SEQUENCE s
--- deny analyst: what defines, grants or maintains
CREATE ROLE x
--- deny analyst: what defines, grants or maintains
CREATE POLICY p ON orders USING (true)
--- deny analyst: what defines, grants or maintains
CREATE PUBLICATION p FOR ALL TABLES
--- deny analyst: what defines, grants or maintains
CREATE SUBSCRIPTION s CONNECTION 'password=hunter2' PUBLICATION p
--- deny analyst: what defines, grants or maintains
CREATE SERVER s FOREIGN DATA WRAPPER f
--- deny analyst: what defines, grants or maintains
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (password 'hunter2')
--- deny analyst: what defines, grants or maintains
CREATE STATISTICS s ON id, amount FROM orders
--- deny analyst: what defines, grants or maintains
CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION f()
--- deny analyst: what defines, grants or maintains
CREATE DATABASE x
--- deny analyst: what defines, grants or maintains
ALTER TABLE orders ADD COLUMN x int
--- deny analyst: what defines, grants or maintains
ALTER TABLE orders DISABLE TRIGGER ALL
--- deny analyst: what defines, grants or maintains
ALTER TABLE orders ATTACH PARTITION secrets DEFAULT
--- deny analyst: what defines, grants or maintains
ALTER ROLE CURRENT_USER PASSWORD 'hunter2'
--- deny analyst: what defines, grants or maintains
ALTER ROLE CURRENT_USER SET search_path = public
--- deny analyst: what defines, grants or maintains
ALTER USER CURRENT_USER VALID UNTIL 'infinity'
--- deny analyst: what defines, grants or maintains
ALTER SYSTEM SET log_statement = 'none'
--- deny analyst: what defines, grants or maintains
ALTER DATABASE app SET search_path = public
--- deny analyst: what defines, grants or maintains
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC
--- deny analyst: what defines, grants or maintains
ALTER VIEW order_totals RENAME TO x
--- deny analyst: what defines, grants or maintains
DROP TABLE orders
--- deny analyst: what defines, grants or maintains
DROP OWNED BY CURRENT_USER
--- deny analyst: what defines, grants or maintains
REASSIGN OWNED BY CURRENT_USER TO postgres
--- deny analyst: what defines, grants or maintains
TRUNCATE orders
--- deny analyst: what defines, grants or maintains
TRUNCATE secrets
--- deny analyst: what defines, grants or maintains
GRANT SELECT ON customers TO PUBLIC
--- deny analyst: what defines, grants or maintains
GRANT app_readwrite TO CURRENT_USER
--- deny analyst: what defines, grants or maintains
REVOKE ALL ON orders FROM PUBLIC
--- deny analyst: what defines, grants or maintains
COMMENT ON TABLE customers IS 'hunter2'
--- deny analyst: what defines, grants or maintains
SECURITY LABEL ON TABLE orders IS 'x'
--- deny analyst: what defines, grants or maintains
LOCK TABLE customers
--- deny analyst: what defines, grants or maintains
LOCK orders IN ACCESS EXCLUSIVE MODE
--- deny analyst: what defines, grants or maintains
VACUUM customers
--- deny analyst: what defines, grants or maintains
ANALYZE customers
--- deny analyst: what defines, grants or maintains
CLUSTER orders
--- deny analyst: what defines, grants or maintains
REINDEX TABLE customers
--- deny analyst: what defines, grants or maintains
CHECKPOINT
--- deny analyst: what defines, grants or maintains
LOAD 'hunter2'
--- deny analyst: what defines, grants or maintains
IMPORT FOREIGN SCHEMA x FROM SERVER s INTO app
--- deny analyst: what defines, grants or maintains
EXPLAIN CREATE TABLE x AS SELECT 1
--- deny analyst: what defines, grants or maintains
EXPLAIN ANALYZE CREATE MATERIALIZED VIEW x AS SELECT 1
--- deny engineer: what defines, grants or maintains
CREATE TABLE x (a int)
--- deny engineer: what defines, grants or maintains
CREATE TEMP TABLE customers (a int)
--- deny engineer: what defines, grants or maintains
CREATE TEMP TABLE x AS SELECT * FROM customers
--- deny engineer: what defines, grants or maintains
CREATE TABLE x AS SELECT 1
--- deny engineer: what defines, grants or maintains
SELECT * INTO x FROM customers
--- deny engineer: what defines, grants or maintains
SELECT * INTO TEMP x FROM customers
--- deny engineer: what defines, grants or maintains
CREATE UNLOGGED TABLE x (a int)
--- deny engineer: what defines, grants or maintains
CREATE VIEW v AS SELECT 1
--- deny engineer: what defines, grants or maintains
CREATE TEMP VIEW pg_class AS SELECT 1
--- deny engineer: what defines, grants or maintains
CREATE OR REPLACE VIEW order_totals AS SELECT 1
--- deny engineer: what defines, grants or maintains
CREATE MATERIALIZED VIEW m AS SELECT 1
--- deny engineer: what defines, grants or maintains
REFRESH MATERIALIZED VIEW m
--- deny engineer: what defines, grants or maintains
CREATE SCHEMA x CREATE TABLE t (a int)
--- deny engineer: what defines, grants or maintains
CREATE INDEX ON orders (product)
--- deny engineer: what defines, grants or maintains
CREATE RULE r AS ON SELECT TO orders DO INSTEAD SELECT 1
--- deny engineer: what defines, grants or maintains
CREATE TRIGGER t AFTER INSERT ON orders EXECUTE FUNCTION f()
--- deny engineer: what defines, grants or maintains
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'
--- deny engineer: what defines, grants or maintains
CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END
--- deny engineer: what defines, grants or maintains
CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'
--- deny engineer: what defines, grants or maintains
CREATE EXTENSION dblink
--- deny engineer: what defines, grants or maintains
CREATE TYPE t AS (a int)
--- deny engineer: what defines, grants or maintains
CREATE DOMAIN d AS int CHECK (value > 0)
--- deny engineer: what defines, grants or maintains
CREATE CAST (text AS int) WITH INOUT
--- deny engineer: what defines, grants or maintains
CREATE OPERATOR + (FUNCTION = f, LEFTARG = int)
--- deny engineer: what defines, grants or maintains
CREATE SEQUENCE s
--- deny engineer: what defines, grants or maintains
CREATE ROLE x
--- deny engineer: what defines, grants or maintains
CREATE POLICY p ON orders USING (true)
--- deny engineer: what defines, grants or maintains
CREATE PUBLICATION p FOR ALL TABLES
--- deny engineer: what defines, grants or maintains
CREATE SUBSCRIPTION s CONNECTION 'password=hunter2' PUBLICATION p
--- deny engineer: what defines, grants or maintains
CREATE SERVER s FOREIGN DATA WRAPPER f
--- deny engineer: what defines, grants or maintains
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (password 'hunter2')
--- deny engineer: what defines, grants or maintains
CREATE STATISTICS s ON id, amount FROM orders
--- deny engineer: what defines, grants or maintains
CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION f()
--- deny engineer: what defines, grants or maintains
CREATE DATABASE x
--- deny engineer: what defines, grants or maintains
ALTER TABLE orders ADD COLUMN x int
--- deny engineer: what defines, grants or maintains
ALTER TABLE orders DISABLE TRIGGER ALL
--- deny engineer: what defines, grants or maintains
ALTER TABLE orders ATTACH PARTITION secrets DEFAULT
--- deny engineer: what defines, grants or maintains
ALTER ROLE CURRENT_USER PASSWORD 'hunter2'
--- deny engineer: what defines, grants or maintains
ALTER ROLE CURRENT_USER SET search_path = public
--- deny engineer: what defines, grants or maintains
ALTER USER CURRENT_USER VALID UNTIL 'infinity'
--- deny engineer: what defines, grants or maintains
ALTER SYSTEM SET log_statement = 'none'
--- deny engineer: what defines, grants or maintains
ALTER DATABASE app SET search_path = public
--- deny engineer: what defines, grants or maintains
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC
--- deny engineer: what defines, grants or maintains
ALTER VIEW order_totals RENAME TO x
--- deny engineer: what defines, grants or maintains
DROP TABLE orders
--- deny engineer: what defines, grants or maintains
DROP OWNED BY CURRENT_USER
--- deny engineer: what defines, grants or maintains
REASSIGN OWNED BY CURRENT_USER TO postgres
--- deny engineer: what defines, grants or maintains
TRUNCATE orders
--- deny engineer: what defines, grants or maintains
TRUNCATE secrets
--- deny engineer: what defines, grants or maintains
GRANT SELECT ON customers TO PUBLIC
--- deny engineer: what defines, grants or maintains
GRANT app_readwrite TO CURRENT_USER
--- deny engineer: what defines, grants or maintains
REVOKE ALL ON orders FROM PUBLIC
--- deny engineer: what defines, grants or maintains
COMMENT ON TABLE customers IS 'hunter2'
--- deny engineer: what defines, grants or maintains
SECURITY LABEL ON TABLE orders IS 'x'
--- deny engineer: what defines, grants or maintains
LOCK TABLE customers
--- deny engineer: what defines, grants or maintains
LOCK orders IN ACCESS EXCLUSIVE MODE
--- deny engineer: what defines, grants or maintains
VACUUM customers
--- deny engineer: what defines, grants or maintains
ANALYZE customers
--- deny engineer: what defines, grants or maintains
CLUSTER orders
--- deny engineer: what defines, grants or maintains
REINDEX TABLE customers
--- deny engineer: what defines, grants or maintains
CHECKPOINT
--- deny engineer: what defines, grants or maintains
LOAD 'hunter2'
--- deny engineer: what defines, grants or maintains
IMPORT FOREIGN SCHEMA x FROM SERVER s INTO app
--- deny engineer: what defines, grants or maintains
EXPLAIN CREATE TABLE x AS SELECT 1
--- deny engineer: what defines, grants or maintains
EXPLAIN ANALYZE CREATE MATERIALIZED VIEW x AS SELECT 1
--- deny analyst: what hides what it does
DO $$ BEGIN PERFORM 1; END $$
--- deny analyst: what hides what it does
DO LANGUAGE plpgsql $$ BEGIN EXECUTE 'hunter2'; END $$
--- deny analyst: what hides what it does
CALL p()
--- deny analyst: what hides what it does
CALL app.p((SELECT value FROM secrets))
--- deny analyst: what hides what it does
COPY customers TO '/tmp/customers'
--- deny analyst: what hides what it does
COPY customers TO PROGRAM 'cat'
--- deny analyst: what hides what it does
COPY orders FROM '/etc/passwd'
--- deny analyst: what hides what it does
COPY orders FROM PROGRAM 'id'
--- deny analyst: what hides what it does
COPY (SELECT 1) TO PROGRAM 'sh -c hunter2'
--- deny engineer: what hides what it does
DO $$ BEGIN PERFORM 1; END $$
--- deny engineer: what hides what it does
DO LANGUAGE plpgsql $$ BEGIN EXECUTE 'hunter2'; END $$
--- deny engineer: what hides what it does
CALL p()
--- deny engineer: what hides what it does
CALL app.p((SELECT value FROM secrets))
--- deny engineer: what hides what it does
COPY customers TO '/tmp/customers'
--- deny engineer: what hides what it does
COPY customers TO PROGRAM 'cat'
--- deny engineer: what hides what it does
COPY orders FROM '/etc/passwd'
--- deny engineer: what hides what it does
COPY orders FROM PROGRAM 'id'
--- deny engineer: what hides what it does
COPY (SELECT 1) TO PROGRAM 'sh -c hunter2'
--- deny analyst: what outlives or leaves the session
PREPARE TRANSACTION 'hunter2'
--- deny analyst: what outlives or leaves the session
COMMIT PREPARED 'hunter2'
--- deny analyst: what outlives or leaves the session
ROLLBACK PREPARED 'x'
--- deny analyst: what outlives or leaves the session
LISTEN a
--- deny analyst: what outlives or leaves the session
NOTIFY a, 'hunter2'
--- deny analyst: what outlives or leaves the session
NOTIFY a
--- deny engineer: what outlives or leaves the session
PREPARE TRANSACTION 'hunter2'
--- deny engineer: what outlives or leaves the session
COMMIT PREPARED 'hunter2'
--- deny engineer: what outlives or leaves the session
ROLLBACK PREPARED 'x'
--- deny engineer: what outlives or leaves the session
LISTEN a
--- deny engineer: what outlives or leaves the session
NOTIFY a, 'hunter2'
--- deny engineer: what outlives or leaves the session
NOTIFY a
--- deny analyst: catalogs are not written
INSERT INTO pg_class DEFAULT VALUES
--- deny analyst: catalogs are not written
UPDATE pg_catalog.pg_proc SET prosrc = 'x' WHERE oid = 1
--- deny analyst: catalogs are not written
DELETE FROM pg_catalog.pg_depend WHERE objid = 1
--- deny analyst: catalogs are not written
UPDATE pg_database SET datallowconn = true WHERE datname = 'x'
--- deny analyst: catalogs are not written
SELECT * FROM pg_class FOR UPDATE
--- deny analyst: catalogs are not written
COPY pg_class FROM STDIN
--- deny analyst: catalogs are not written
UPDATE information_schema.sql_features SET comments = '' WHERE feature_id = 'x'
--- deny engineer: catalogs are not written
INSERT INTO pg_class DEFAULT VALUES
--- deny engineer: catalogs are not written
UPDATE pg_catalog.pg_proc SET prosrc = 'x' WHERE oid = 1
--- deny engineer: catalogs are not written
DELETE FROM pg_catalog.pg_depend WHERE objid = 1
--- deny engineer: catalogs are not written
UPDATE pg_database SET datallowconn = true WHERE datname = 'x'
--- deny engineer: catalogs are not written
SELECT * FROM pg_class FOR UPDATE
--- deny engineer: catalogs are not written
COPY pg_class FROM STDIN
--- deny engineer: catalogs are not written
UPDATE information_schema.sql_features SET comments = '' WHERE feature_id = 'x'
--- deny analyst: other schemas
SELECT * FROM public.orders
--- deny analyst: other schemas
SELECT * FROM pg_temp.orders
--- deny analyst: other schemas
SELECT * FROM pg_temp_3.orders
--- deny analyst: other schemas
SELECT * FROM "APP".orders
--- deny analyst: other schemas
INSERT INTO public.x VALUES (1)
--- deny engineer: other schemas
SELECT * FROM public.orders
--- deny engineer: other schemas
SELECT * FROM pg_temp.orders
--- deny engineer: other schemas
SELECT * FROM pg_temp_3.orders
--- deny engineer: other schemas
SELECT * FROM "APP".orders
--- deny engineer: other schemas
INSERT INTO public.x VALUES (1)
--- deny analyst: an analyst does not write
INSERT INTO orders (customer_id) VALUES (1)
--- deny analyst: an analyst does not write
UPDATE orders SET status = 'open' WHERE id = 1
--- deny analyst: an analyst does not write
DELETE FROM orders WHERE id = 1
--- deny analyst: an analyst does not write
WITH d AS (DELETE FROM orders WHERE id = 1 RETURNING id) SELECT * FROM d
--- deny analyst: an analyst does not write
SELECT (SELECT 1) FROM (WITH d AS (DELETE FROM orders WHERE id = 1 RETURNING id) SELECT 1) x
--- deny analyst: an analyst does not write
MERGE INTO orders USING customers ON false WHEN MATCHED THEN DELETE
--- deny analyst: an analyst does not write
SELECT * FROM orders WHERE id = 1 FOR UPDATE
--- deny analyst: an analyst does not write
SELECT * FROM orders FOR KEY SHARE
--- deny analyst: an analyst does not write
COPY orders FROM STDIN
--- deny analyst: an analyst does not write
COPY (DELETE FROM orders WHERE id = 1 RETURNING id) TO STDOUT
--- deny analyst: an analyst does not write
EXPLAIN DELETE FROM orders WHERE id = 1
--- deny analyst: an analyst does not write
EXPLAIN ANALYZE INSERT INTO orders DEFAULT VALUES
--- deny analyst: an analyst does not write
PREPARE p AS UPDATE orders SET status = '' WHERE id = 1
--- deny analyst: an analyst does not write
INSERT INTO order_totals VALUES (1)
--- deny report: a report does not write either
DELETE FROM orders WHERE id = 1
--- deny report: a report does not write either
SELECT * FROM secrets
--- deny engineer: a WHERE that is missing
UPDATE orders SET status = 'open'
--- deny engineer: a WHERE that is missing
DELETE FROM orders
--- deny engineer: a WHERE that is missing
DELETE FROM app.orders o
--- deny engineer: a WHERE that is missing
WITH d AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM d
--- deny engineer: a WHERE that is missing
EXPLAIN ANALYZE DELETE FROM orders
--- deny engineer: a WHERE that is missing
PREPARE p AS DELETE FROM orders
--- deny engineer: a WHERE that is missing
UPDATE orders SET status = 'x' FROM customers
--- deny engineer: a WHERE that is missing
DELETE FROM orders WHERE true
--- deny engineer: a WHERE that is as good as missing
UPDATE orders SET status = 'x' WHERE 1=1
--- deny engineer: a WHERE that is as good as missing
DELETE FROM orders o WHERE o.id = o.id OR o.id = 1
--- deny engineer: a WHERE that says nothing of a row
DELETE FROM orders WHERE current_user = 'engineer'
--- allow engineer: a WHERE that says which rows
DELETE FROM orders WHERE true AND 1=1 AND id = 1
--- allow engineer: a WHERE that is meant
DELETE FROM orders WHERE id > 0
--- allow engineer: reading takes no WHERE
SELECT * FROM orders WHERE true AND 1=1
--- deny engineer: a WHERE that is missing
MERGE INTO orders USING customers ON true WHEN MATCHED THEN DELETE
--- deny engineer: a WHERE that is missing
COPY (UPDATE orders SET status = 'x' RETURNING id) TO STDOUT
--- deny engineer: a WHERE that is missing
SELECT 1; DELETE FROM orders
--- deny engineer: secrets as a source or target of writes
INSERT INTO secrets VALUES (1, 'a', 'hunter2')
--- deny engineer: secrets as a source or target of writes
INSERT INTO orders (product) SELECT value FROM secrets
--- deny engineer: secrets as a source or target of writes
INSERT INTO orders (product) VALUES ((SELECT value FROM secrets))
--- deny engineer: secrets as a source or target of writes
UPDATE orders SET product = (SELECT value FROM secrets) WHERE id = 1
--- deny engineer: secrets as a source or target of writes
UPDATE orders SET product = s.value FROM secrets s WHERE orders.id = 1
--- deny engineer: secrets as a source or target of writes
UPDATE secrets SET value = 'hunter2' WHERE id = 1
--- deny engineer: secrets as a source or target of writes
DELETE FROM orders USING secrets s WHERE s.id = orders.id
--- deny engineer: secrets as a source or target of writes
DELETE FROM secrets WHERE id = 1
--- deny engineer: secrets as a source or target of writes
INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET product = (SELECT value FROM secrets)
--- deny engineer: secrets as a source or target of writes
INSERT INTO orders (id) VALUES (1) RETURNING (SELECT value FROM secrets)
--- deny engineer: secrets as a source or target of writes
MERGE INTO orders USING secrets s ON s.id = orders.id WHEN MATCHED THEN DELETE
--- deny engineer: secrets as a source or target of writes
MERGE INTO secrets USING orders o ON o.id = secrets.id WHEN MATCHED THEN DELETE
--- deny engineer: secrets as a source or target of writes
MERGE INTO orders o USING customers c ON c.id = o.id WHEN MATCHED THEN UPDATE SET product = (SELECT value FROM secrets)
--- deny engineer: secrets as a source or target of writes
INSERT INTO secrets DEFAULT VALUES ON CONFLICT DO NOTHING
--- deny engineer: secrets as a source or target of writes
WITH x AS (UPDATE secrets SET value = 'x' WHERE id = 1 RETURNING value) SELECT * FROM x
--- refuse analyst: not one language or not one text
SELECT * FORM secrets
--- refuse analyst: not one language or not one text
START_REPLICATION SLOT x LOGICAL 0/0
--- refuse analyst: not one language or not one text
SELECT 1 !
--- deny analyst: a literal that ends where standard_conforming_strings says
SELECT '\'; SELECT * FROM secrets --'
--- refuse analyst: not one language or not one text
IDENTIFY_SYSTEM
--- refuse analyst: not one language or not one text
SELECT ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))
--- deny analyst: literals that are names
SELECT set_config('hunter2', 'x', false)
--- deny analyst: literals that are names
SELECT current_setting('hunter2')
--- deny analyst: literals that are names
SELECT 'other.hunter2'::regclass
--- deny analyst: literals that are names
SELECT nextval('other.hunter2')
--- deny analyst: literals that are names
SELECT pg_notify('hunter2', 'x')
--- deny analyst: literals that are names
SET ROLE 'hunter2'
--- deny analyst: literals that are names
SELECT pg_relation_size('other.hunter2')
--- deny analyst: literals that are names
SELECT to_regclass('other.hunter2')
--- deny analyst: literals that are names
SET timezone = '../hunter2'
--- deny analyst: functions called like a column of what a function gives
SELECT t.ts_stat FROM lower('SELECT to_tsvector(value) FROM app.secrets') t
--- deny analyst: functions called like a column of what a function gives
SELECT lower.ts_stat FROM lower('SELECT to_tsvector(value) FROM app.secrets')
--- deny analyst: functions called like a column of what a function gives
SELECT t.pg_sleep FROM unnest(ARRAY[1.0::float8]) t
--- deny analyst: functions called like a column of what a function gives
SELECT 1 FROM cast('0' AS oid) t WHERE t.lo_create > 0
--- deny analyst: functions called like a column of what a function gives
SELECT t.nextval FROM cast('orders_id_seq' AS regclass) t
--- deny analyst: functions called like a column of what a function gives
SELECT t.pg_relation_size FROM lower('app.secrets') t
--- deny analyst: functions called like a column of what a function gives
SELECT t.current_setting FROM lower('hba_file') t
--- deny analyst: functions called like a column of what a function gives
SELECT (SELECT t.pg_advisory_lock) FROM ROWS FROM (generate_series(1::bigint, 1)) t
--- deny analyst: functions called like a column of what a function gives
UPDATE orders SET id = id FROM cast('0' AS oid) t WHERE orders.id = 1 AND t.lo_unlink > 0
--- deny analyst: withheld types
SELECT null::app._secrets
--- deny analyst: another session's name
SET application_name = '0123456789abcdef dba@example.com psql'
--- allow analyst: columns of what a function gives
SELECT t.pg_sleep, j.key, j.value, g.g FROM unnest(ARRAY['a']) t(pg_sleep), json_each('{}') j, generate_series(1, 2) g
--- deny engineer: functions called like a column of what a function gives
SELECT t.ts_stat FROM lower('SELECT to_tsvector(value) FROM app.secrets') t
--- deny engineer: functions called like a column of what a function gives
SELECT lower.ts_stat FROM lower('SELECT to_tsvector(value) FROM app.secrets')
--- deny engineer: functions called like a column of what a function gives
SELECT t.pg_sleep FROM unnest(ARRAY[1.0::float8]) t
--- deny engineer: functions called like a column of what a function gives
SELECT 1 FROM cast('0' AS oid) t WHERE t.lo_create > 0
--- deny engineer: functions called like a column of what a function gives
SELECT t.nextval FROM cast('orders_id_seq' AS regclass) t
--- deny engineer: functions called like a column of what a function gives
SELECT t.pg_relation_size FROM lower('app.secrets') t
--- deny engineer: functions called like a column of what a function gives
SELECT t.current_setting FROM lower('hba_file') t
--- deny engineer: functions called like a column of what a function gives
SELECT (SELECT t.pg_advisory_lock) FROM ROWS FROM (generate_series(1::bigint, 1)) t
--- deny engineer: functions called like a column of what a function gives
UPDATE orders SET id = id FROM cast('0' AS oid) t WHERE orders.id = 1 AND t.lo_unlink > 0
--- deny engineer: withheld types
SELECT null::app._secrets
--- deny engineer: another session's name
SET application_name = '0123456789abcdef dba@example.com psql'
--- allow engineer: columns of what a function gives
SELECT t.pg_sleep, j.key, j.value, g.g FROM unnest(ARRAY['a']) t(pg_sleep), json_each('{}') j, generate_series(1, 2) g
--- deny analyst: columns of catalogs
SELECT passwd FROM pg_user
--- deny analyst: columns of catalogs
SELECT u FROM pg_user u
--- deny analyst: columns of catalogs
SELECT usename, u.* FROM pg_user u
--- deny analyst: columns of catalogs
SELECT row_to_json(u) FROM pg_user u
--- deny analyst: columns of catalogs
SELECT useconfig FROM pg_namespace JOIN pg_user ON usesysid = nspowner
--- deny analyst: columns of catalogs
SELECT count(*) FROM pg_user WHERE valuntil IS NULL
--- deny analyst: columns of catalogs
SELECT last_value FROM pg_sequences
--- deny analyst: columns of catalogs
SELECT * FROM pg_sequences
--- deny analyst: columns of catalogs
SELECT s::text FROM pg_sequences s
--- deny analyst: columns of catalogs
TABLE pg_sequences
--- deny analyst: columns of catalogs
SELECT sequencename FROM pg_sequences ORDER BY last_value
--- deny analyst: columns of catalogs
SELECT idx_scan FROM pg_stat_user_indexes
--- deny analyst: columns of catalogs
SELECT relname, last_idx_scan FROM pg_stat_user_indexes
--- deny analyst: columns of catalogs
SELECT relname FROM pg_stat_user_indexes i WHERE i.idx_tup_read > 0
--- deny analyst: columns of catalogs
SELECT indexrelname FROM pg_stat_all_indexes
--- deny analyst: time zone
SELECT set_config('timezone', (SELECT 'UTC'), false)
--- deny analyst: time zone
SELECT set_config('timezone', '../../../etc/passwd', false)
--- deny analyst: time zone
SELECT set_config('TimeZone', 'UTC', false), set_config('role', 'postgres', false)
--- deny analyst: time zone
SELECT set_config('TimeZone', 'UTC', false), set_config(n, 'off', false) FROM (VALUES ('row_security')) AS v (n)
--- deny analyst: time zone
SELECT set_config($1, 'UTC', false)
--- deny analyst: time zone
SELECT set_config('TimeZone', NULL, false)
--- deny analyst: time zone
SELECT set_config('TimeZone', 'UTC', false); SET search_path = public
--- deny analyst: time zone
SELECT set_config('session.TimeZone', 'UTC', false)
--- deny analyst: time zone
SELECT set_config(name => 'TimeZone', 'UTC', false)
