package statement

import "testing"

// TestBuilds: where a value of a type may be built that the text does not name.
func TestBuilds(t *testing.T) {
	for text, want := range map[string]bool{
		"SELECT coalesce(t, '(1)') FROM t":                             true,
		"SELECT coalesce(t.*, '(1)') FROM app.t":                       true,
		"SELECT x FROM t x UNION ALL SELECT '(1)'":                     true,
		"SELECT (SELECT t FROM (SELECT 1) b) FROM t":                   true,
		"SELECT y FROM (SELECT x AS y FROM t x) z":                     true,
		"INSERT INTO t VALUES (1) RETURNING t":                         true,
		"SELECT ARRAY[a, 'x'] FROM t":                                  true,
		"SELECT ARRAY(SELECT a FROM t)":                                true,
		"SELECT lag(a, 1, 'x') OVER () FROM t":                         true,
		"SELECT pg_catalog.lead(a, 1, 'x') OVER () FROM t":             true,
		"SELECT width_bucket(a, '{1,2}') FROM t":                       true,
		"SELECT array_agg(a) FROM t":                                   true,
		"SELECT json_populate_record(x, '{}') FROM t x":                true,
		"SELECT a, b AS c FROM t WHERE a = 'x' ORDER BY c":             false,
		"SELECT * FROM t":                                              false,
		"SELECT x.*, count(*) FROM t x JOIN u ON u.a = x.a GROUP BY a": false,
		"INSERT INTO t VALUES (1) RETURNING *":                         false,
		"SELECT coalesce(a, 'x'), ROW(a, b) FROM t":                    false,
	} {
		sheet, _, err := parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := sheet.Statements[0].Hints.Builds; got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// TestConverts: where values may be made JSON, or text.
func TestConverts(t *testing.T) {
	for text, want := range map[string]bool{
		"SELECT to_json(a) FROM t":                           true,
		"SELECT pg_catalog.to_jsonb(a) FROM t":               true,
		"SELECT (a).to_json FROM t":                          true,
		"SELECT row_to_json(t) FROM t":                       true,
		"SELECT t.row_to_json FROM t":                        true,
		"SELECT array_to_json(a) FROM t":                     true,
		"SELECT jsonb_object_agg_unique_strict(a, b) FROM t": true,
		"SELECT json_agg_strict(a) FROM t":                   true,
		"SELECT jsonb_build_array(a) FROM t":                 true,
		"SELECT JSON_OBJECT('a': a) FROM t":                  true,
		"SELECT JSON_ARRAYAGG(a) FROM t":                     true,
		"SELECT JSON_VALUE(a, '$' PASSING b AS x) FROM t":    true,
		"SELECT quote_literal(a) FROM t":                     true,
		"SELECT t.quote_nullable FROM t":                     true,
		"SELECT 'x' || a FROM t":                             true,
		"SELECT 'x' OPERATOR(pg_catalog.||) a FROM t":        true,
		"SELECT a FROM t WHERE a || 'x' LIKE ANY (b)":        true,
		"SELECT 'x' OPERATOR(app.||) a FROM t":               false,
		"SELECT a | b, quote_ident(a) FROM t":                false,
		"SELECT a FROM t WHERE a IS JSON":                    false,
		"SELECT json_typeof(a), jsonb_set(a, b, c) FROM t":   false,
		"SELECT array_agg(a), build_it(a), agg(a) FROM t":    false,
	} {
		sheet, _, err := parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := sheet.Statements[0].Hints.Converts; got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
