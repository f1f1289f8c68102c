package statement

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

func TestShape(t *testing.T) {
	const known = "SELECT id, 'x' FROM app.orders WHERE amount = 5 AND rate > 1.5 AND note <> 'y' LIMIT 10"
	for name, test := range map[string]struct {
		text string
		same bool
	}{
		"itself":                   {known, true},
		"other literals":           {"SELECT id, '' FROM app.orders WHERE amount = 2147483647 AND rate > 007.25 AND note <> 'it''s -- /* $1' LIMIT 0", true},
		"a number for an integer":  {strings.Replace(known, "= 5", "= 5.0", 1), false},
		"too large an integer":     {strings.Replace(known, "= 5", "= 2147483648", 1), false},
		"large for a decimal":      {strings.Replace(known, "1.5", "2147483648", 1), true},
		"a string for an integer":  {strings.Replace(known, "= 5", "= '5'", 1), false},
		"a sign":                   {strings.Replace(known, "= 5", "= -5", 1), false},
		"underscores":              {strings.Replace(known, "= 5", "= 1_000", 1), false},
		"hexadecimal":              {strings.Replace(known, "= 5", "= 0x1F", 1), false},
		"an exponent":              {strings.Replace(known, "1.5", "1.5e3", 1), false},
		"no fraction":              {strings.Replace(known, "1.5", "1.", 1), false},
		"no whole":                 {strings.Replace(known, "1.5", ".5", 1), false},
		"a parameter":              {strings.Replace(known, "= 5", "= $5", 1), false},
		"a backslash":              {strings.Replace(known, "'x'", `'\x'`, 1), false},
		"an escape string":         {strings.Replace(known, "'x'", "E'x'", 1), false},
		"a bit string":             {strings.Replace(known, "'x'", "B'0'", 1), false},
		"a hexadecimal string":     {strings.Replace(known, "'x'", "X'0'", 1), false},
		"a national string":        {strings.Replace(known, "'x'", "N'x'", 1), false},
		"dollar quotes":            {strings.Replace(known, "'x'", "$$x$$", 1), false},
		"a second part":            {strings.Replace(known, "'x'", "'x'\n'y'", 1), false},
		"a second string":          {strings.Replace(known, "'x'", "'x' 'y'", 1), false},
		"another column":           {strings.Replace(known, "amount", "secret", 1), false},
		"a quoted name":            {strings.Replace(known, "id", `"id"`, 1), false},
		"letters of another case":  {strings.Replace(known, "id", "ID", 1), false},
		"white space":              {strings.Replace(known, "id", " id", 1), false},
		"a comment":                {known + " -- 5", false},
		"a statement more":         {known + "; DROP TABLE app.orders", false},
		"a literal that goes on":   {strings.Replace(known, "'x'", "'x'' FROM app.secrets --'", 1), true},
		"a literal that does not":  {strings.Replace(known, "'x'", "'x' FROM app.secrets --'", 1), false},
		"a mark":                   {strings.Replace(known, "'x'", markString, 1), true}, // NUL: Known does not come here
		"a longer list of columns": {strings.Replace(known, "'x'", "'x', 'x'", 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			want, _ := appendShape(nil, known)
			got, ok := appendShape(nil, test.text)
			if same := ok && string(got) == string(want); same != test.same {
				t.Errorf("the same shape: %t, want %t\n%q\n%q", same, test.same, got, want)
			}
		})
	}
}

func TestNoShape(t *testing.T) {
	for name, text := range map[string]string{
		"not closed":         "SELECT 'x",
		"trailing junk":      "SELECT 5a",
		"not hexadecimal":    "SELECT 0x",
		"an escaped name":    `SELECT * FROM U&"d!0061ta" UESCAPE '!'`,
		"an escaped literal": `SELECT u&'d!0061ta' UESCAPE '!'`,
	} {
		t.Run(name, func(t *testing.T) {
			if shape, ok := appendShape(nil, text); ok {
				t.Errorf("got %q", shape)
			}
		})
	}
}

// TestHasShape: which sheets hold for all texts of a shape.
func TestHasShape(t *testing.T) {
	for text, want := range map[string]bool{
		"SELECT * FROM t WHERE id = 5":                                    true,
		"SELECT count(*), sum(a) FILTER (WHERE b > 5) FROM t LIMIT 10":    true,
		"INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y') RETURNING id":     true,
		"UPDATE t SET a = 'x' WHERE id = 5":                               true,
		"DELETE FROM t WHERE id IN (1, 2, 3) AND a LIKE 'x%'":             true,
		"WITH c AS (DELETE FROM t WHERE id = 1 RETURNING *) TABLE c":      true,
		"SELECT lower('X'), date '2020-01-01', interval '1 day', 5::text": true,
		"SELECT 1; UPDATE t SET a = 5 WHERE b = 6":                        true,
		"SELECT 1 FROM t ORDER BY 1":                                      false, // is part of its name
		"SELECT a::varchar(10) FROM t WHERE id = 5":                       false,
		"UPDATE t SET a = 5 WHERE id = id AND 1 = 1":                      false, // unfiltered or not
		"DELETE FROM t WHERE id = id AND 'on'::bool":                      false,
		"DELETE FROM t WHERE id = id AND NOT '0'::bool":                   false,
		"SELECT 'secrets'::regclass":                                      false,
		"SELECT regclass 'secrets'":                                       false,
		"SELECT nextval('s')":                                             false,
		"SELECT current_setting('x')":                                     false,
		"SELECT set_config('x', 'y', false)":                              false,
		"SELECT our_function(5)":                                          false, // may take a name
		"SELECT app.f('x')":                                               false,
		"SELECT pg_sleep(5)":                                              false,
		"SELECT has_table_privilege('t', 'select')":                       false,
		"SELECT ('secrets').to_regclass":                                  false,
		"SELECT pg_notify('channel', 'x')":                                false,
		"SELECT table_to_xml('t', true, true, '')":                        false,
		"SELECT - -6": false, // its name has the 6 in it
		"SELECT -(1), 2, 3, 4, 5, 6, 7, 8, 9, 10, 11": false,
		"SELECT $1, $2, -(3)":                         false,
		"SELECT $3, 5, 'x', -6, $1":                   true,
		"EXPLAIN SELECT 5":                            false,
		"COPY (SELECT 5) TO STDOUT":                   false,
		"PREPARE p AS SELECT 5":                       false,
		"EXECUTE p(5)":                                false,
		"DECLARE c CURSOR FOR SELECT 5":               false,
		"UPDATE t SET a = 5 WHERE CURRENT OF c":       false,
		"SET timezone = 'UTC'":                        false,
		"SHOW timezone":                               false,
		"BEGIN":                                       false,
		"SELECT 5; COMMIT":                            false,
		"CREATE TABLE t (a int DEFAULT 5)":            false,
		"SELECT 5 INTO t":                             false,
		"DO 'x'":                                      false,
		"NOTIFY c, 'x'":                               false,
		"":                                            false,
	} {
		t.Run(text, func(t *testing.T) {
			sheet := analyzed(t, text)
			if got := sheet.hasShape(text); got != want {
				t.Errorf("got %t, want %t: %+v", got, want, sheet)
			}
		})
	}
}

// analyzed is what a worker makes of a text.
func analyzed(t *testing.T, text string) *Sheet {
	t.Helper()
	sheet, constants, err := parse(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	sheet.Fingerprint, sheet.Normalized = normalize(text, constants)
	return sheet
}

// TestSheetsByShape gives the literals of the corpus other values at random: a text gets the sheet that a worker would make of it.
func TestSheetsByShape(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	shaped := 0
	for _, text := range corpusTexts(t) {
		if _, _, err := parse(text); err != nil {
			continue
		}
		sheet := analyzed(t, text)
		if _, ok := appendShape(nil, text); !ok || !sheet.hasShape(text) {
			continue
		}
		for range 20 {
			if other := otherLiterals(random, text); other != text {
				shaped++
				compareByShape(t, text, other, sheet)
			}
		}
	}
	if shaped < 1000 {
		t.Errorf("only %d texts were compared", shaped)
	}
}

func compareByShape(t *testing.T, text, other string, sheet *Sheet) {
	t.Helper()
	a, _ := appendShape(nil, text)
	if b, ok := appendShape(nil, other); !ok || string(a) != string(b) {
		t.Fatalf("%q is of another shape than %q", other, text)
	}
	if diff := cmp.Diff(analyzed(t, other), sheet); diff != "" {
		t.Errorf("the sheet of\n%s\nis not that of\n%s\n(-its own +by shape)\n%s", text, other, diff)
	}
}

// otherLiterals replaces plain literals by others of their kind.
func otherLiterals(random *rand.Rand, text string) string {
	texts := []string{
		"", "x", "secrets", "app.secrets", "pg_catalog.pg_authid", "role", "search_path", "on", "true", "0", "1", "{}", "$.a", "it''s", "''", "--",
		"/*", ";", "$1", "é", "\n", "\n''\n", " DROP TABLE t; ", "2020-01-01", "epoch", strings.Repeat("long", 100),
	}
	numbers := map[string][]string{
		markString:  nil,
		markInteger: {"0", "1", "2", "5", "007", "24", "25", "2147483647"},
		markNumber:  {"2147483648", "99999999999999999999", "0.0", "1.5", "00.00", "1.0"},
	}
	var b strings.Builder
	s := scanner{text: text}
	copied := 0
	for t := s.next(); t.kind != kindEnd && t.kind != kindBad; t = s.next() {
		if t.kind != kindString && t.kind != kindNumber || random.IntN(3) == 0 {
			continue
		}
		literal := ""
		switch mark := plainLiteral(text[t.start:t.end]); mark {
		case "":
			continue
		case markString:
			literal = "'" + texts[random.IntN(len(texts))] + "'"
		default:
			literal = numbers[mark][random.IntN(len(numbers[mark]))]
		}
		b.WriteString(text[copied:t.start] + literal)
		copied = t.end
	}
	return b.String() + text[copied:]
}

// corpusTexts are the reviewed statements, those of the scanner's tests, and some that are rich in literals.
func corpusTexts(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	texts := append([]string{
		"SELECT 'a', 1, 1.5, -1, - 1.5, +2, 5::text, '5'::int, CAST('x' AS text), date '2020-01-01', interval '1' day FROM t",
		"SELECT a[1], a[1:2], (row(1, 'a')).f1, ARRAY[1, 2], CASE 5 WHEN 1 THEN 'a' ELSE 'b' END, extract('epoch' from b), b AT TIME ZONE 'UTC' FROM t",
		"SELECT count(*) FILTER (WHERE a = 5) OVER (ROWS BETWEEN 5 PRECEDING AND 3 FOLLOWING) FROM t TABLESAMPLE bernoulli(10) REPEATABLE (3)",
		"SELECT a FROM t WHERE a BETWEEN 1 AND 2 AND b LIKE 'x' ESCAPE '!' AND c SIMILAR TO 'y' AND (d, e) = (1, '2') OFFSET 5 FETCH FIRST 3 ROWS ONLY",
		"SELECT json_value(a, '$.a' PASSING 1 AS b), json_exists(a, '$.b'), xmlelement(name x, 'y'), substring('abc' from 1 for 2), trim('x' from a) FROM t",
		"INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y') ON CONFLICT (a) WHERE b = 'z' DO UPDATE SET b = 'w' WHERE t.a = 7 RETURNING 'u'",
		"UPDATE t SET a = 5 WHERE id = id AND 1 = 1 AND NOT 'off'::bool",
		"UPDATE t SET a = 1, (b, c) = ('x', 2.5) FROM u WHERE t.id = 7 AND u.name = 'v'",
		"DELETE FROM t USING u WHERE t.id = 1 AND 2 = u.id OR 'x' = t.a",
		"MERGE INTO t USING (VALUES (1, 'x')) s(a, b) ON t.a = s.a WHEN MATCHED AND t.b = 'y' THEN UPDATE SET b = 5 WHEN NOT MATCHED THEN INSERT VALUES (1, 'z')",
		"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100) SELECT n, 'x' FROM c LIMIT 5",
		"SELECT t.a, 5 FROM t CROSS JOIN LATERAL generate_series(1, 10) g(i) GROUP BY t.a, 'x' HAVING count(*) > 3 ORDER BY t.a || 'y'",
		"SELECT int '5', float8 '1.5', numeric '7', 'a' || 'b', 5 % 3, 2 ^ 3, @ 5, |/ 25.0, '{1,2}'::int[], 'x' COLLATE \"C\"",
		"SELECT 5 WHERE 'a' IN ('a', 'b') AND EXISTS (SELECT 1 FROM t WHERE x = 'y') AND 3 = ANY (ARRAY[1, 2, 3])",
		"SELECT - -6, -(7), -(-8.5), - - 9, -/* */5, $2, - -$1",
		"SELECT 5; SELECT 'x'; UPDATE t SET a = 1.5 WHERE b = 'y'",
	}, scanSeeds...)
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range archive.Files {
			text, _, _ := strings.Cut(string(file.Data), factsMark)
			texts = append(texts, strings.TrimSuffix(text, "\n"))
		}
	}
	return texts
}

// FuzzSheetsByShape does with any text what TestSheetsByShape does with the corpus.
func FuzzSheetsByShape(f *testing.F) {
	for _, text := range scanSeeds {
		f.Add(text, uint64(1))
	}
	f.Add("select $2, -(6), - -1.5, 5 - -3", uint64(3))
	f.Add("UPDATE t SET a = 5 WHERE b = 'x' AND lower('y') = c", uint64(2))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		if strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text) || len(text) > 1<<12 || (Limits{}).Check(text) != nil {
			t.Skip()
		}
		if _, _, err := parse(text); err != nil {
			t.Skip()
		}
		sheet := analyzed(t, text)
		if _, ok := appendShape(nil, text); !ok || !sheet.hasShape(text) {
			t.Skip()
		}
		compareByShape(t, text, otherLiterals(rand.New(rand.NewPCG(seed, 0)), text), sheet)
	})
}

// TestKnown: a text that differs from a known one in literals gets its sheet without a worker.
func TestKnown(t *testing.T) {
	pool := startPool(t, Config{MaxTextBytes: 1000})
	first, err := pool.Analyze(t.Context(), "SELECT * FROM t WHERE id = 1 AND name = 'x'")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text string
		want *Sheet
	}{
		"the text":              {"SELECT * FROM t WHERE id = 1 AND name = 'x'", first},
		"other literals":        {"SELECT * FROM t WHERE id = 777 AND name = 'it''s'", first},
		"another relation":      {"SELECT * FROM u WHERE id = 1 AND name = 'x'", nil},
		"too long":              {"SELECT * FROM t WHERE id = 1 AND name = '" + strings.Repeat("x", 1000) + "'", nil},
		"NUL in a literal":      {"SELECT * FROM t WHERE id = 1 AND name = 'x\x00'", nil},
		"a mark":                {"SELECT * FROM t WHERE id = 1 AND name = " + markString, nil},
		"not UTF-8":             {"SELECT * FROM t WHERE id = 1 AND name = '\xff'", nil},
		"a literal not closed":  {"SELECT * FROM t WHERE id = 1 AND name = 'x", nil},
		"a number out of shape": {"SELECT * FROM t WHERE id = 1x AND name = 'x'", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := pool.Known([]byte(test.text), &Memory{}); got != test.want {
				t.Errorf("got %p, want %p", got, test.want)
			}
		})
	}
	if again, err := pool.Analyze(t.Context(), "SELECT * FROM t WHERE id = 2 AND name = 'y'"); err != nil || again != first {
		t.Errorf("got %p, %v, want %p", again, err, first)
	}
	if stats := pool.Stats(); stats.Analyzed != 1 || stats.Hits != 3 {
		t.Errorf("got %+v", stats)
	}
	if _, err := pool.Analyze(t.Context(), "SELECT 'secrets'::regclass"); err != nil {
		t.Fatal(err)
	}
	if pool.Known([]byte("SELECT 'orders'::regclass"), &Memory{}) != nil {
		t.Error("a fact that stands in a literal was taken from another text")
	}
}

func TestKnownDoesNotAllocate(t *testing.T) {
	pool := startPool(t, Config{})
	if _, err := pool.Analyze(t.Context(), "SELECT * FROM app.orders WHERE id = 1 AND name = 'x'"); err != nil {
		t.Fatal(err)
	}
	text := []byte("SELECT * FROM app.orders WHERE id = 23456 AND name = 'another name'")
	var memory Memory
	if n := testing.AllocsPerRun(100, func() {
		if pool.Known(text, &memory) == nil {
			t.Error("not known")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkKnown(b *testing.B) {
	pool := startPool(b, Config{})
	for _, columns := range []int{3, 30} {
		text := "SELECT a FROM app.orders WHERE " + strings.Repeat("some_column = 'a literal' AND ", columns) + "id = 1"
		if _, err := pool.Analyze(b.Context(), text); err != nil {
			b.Fatal(err)
		}
		other := []byte(strings.TrimSuffix(text, "1") + "2")
		b.Run(fmt.Sprintf("%dB", len(text)), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			var memory Memory
			for b.Loop() {
				if pool.Known(other, &memory) == nil {
					b.Fatal("not known")
				}
			}
		})
	}
}
