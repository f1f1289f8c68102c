package catalog

import "testing"

// olderScript has functions and columns with names that are syntax in the grammar of the parser and not in servers before 16 and 17.
const olderScript = `
CREATE FUNCTION app.json_value(text, text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION app.json_value(int, text) RETURNS text LANGUAGE sql AS 'SELECT $2';
CREATE FUNCTION app.json_query(text, text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION app.json_exists(text, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION app.json_serialize(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION app.json_scalar(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION app.json_object(int) RETURNS text LANGUAGE sql AS 'SELECT ''x''';
CREATE FUNCTION app.json_array(text, text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION app.json_array() RETURNS text LANGUAGE sql AS 'SELECT ''x''';
CREATE FUNCTION app.json_arrayagg(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION app.json(app.customers) RETURNS text LANGUAGE sql AS 'SELECT ''x''';
CREATE FUNCTION app.merge_action() RETURNS text LANGUAGE sql AS 'SELECT ''x''';
CREATE FUNCTION app.xmltext(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION app.random_normal(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE AGGREGATE app.any_value(text) (SFUNC = pg_catalog.text_larger, STYPE = text);
CREATE TABLE app.words (system_user text, merge_action text, json_value text, json text, keys int);
CREATE VIEW app.worded AS SELECT app.json_value('a', 'b') AS a, app.json_object(1) AS b, system_user AS c FROM app.words;
`

// TestOracleOlderServer: what the parser takes for syntax is the call of a function, or a column, where the server is older.
func TestOracleOlderServer(t *testing.T) {
	pool := startPool(t)
	texts := []string{
		"SELECT json_value(name, 'x') FROM customers",
		"SELECT json_value(1, 'x')",
		"SELECT app.json_value(name, 'x') FROM customers",
		"SELECT json_query(ssn, name) FROM customers",
		"SELECT 1 FROM customers WHERE json_exists(name, ssn)",
		"SELECT json_serialize(name) FROM customers",
		"SELECT json_scalar(ssn) FROM customers",
		"SELECT json_object(id) FROM customers",
		"SELECT pg_catalog.json_object(ARRAY['a', ssn]) FROM customers",
		"SELECT json_array(name, ssn) FROM customers",
		"SELECT json_array()",
		"SELECT json_arrayagg(ssn) FROM customers",
		"SELECT json(c) FROM customers c",
		"SELECT c.json FROM customers c",
		"SELECT merge_action()",
		"SELECT any_value(name) FROM customers",
		"SELECT xmltext(name), random_normal(ssn) FROM customers",
		"SELECT system_user FROM words",
		"SELECT (SELECT system_user FROM (SELECT 1) x) FROM words",
		"SELECT w.system_user, w.merge_action, w.json_value, w.json, keys FROM words w",
		"SELECT merge_action, json_value, json FROM words",
		"SELECT * FROM worded",
		"DELETE FROM customers WHERE name = json_scalar('x') RETURNING json_value(ssn, name)",
	}
	onServers(t, func(t *testing.T, s *server) {
		if s.snapshot(t, "postgres", pool.Analyze).Version >= 160000 {
			t.Skip("not older")
		}
		o := newOracle(t, s, pool, oracleScript+olderScript)
		path := searchPaths[0]
		o.search(t, path)
		for _, text := range texts {
			if !o.try(t, text, path, &tally{}) {
				_, _, err := o.ask(t.Context(), text)
				t.Errorf("%s: %v", text, err)
			}
		}
	})
}
