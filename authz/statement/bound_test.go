package statement

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	tests := map[string]struct {
		text string
		want string // SQLSTATE; "" passes
	}{
		"empty":                      {"", ""},
		"plain":                      {"SELECT 1 + 2, f(a) FROM t WHERE b = 'x' -- c", ""},
		"too long":                   {"SELECT '" + strings.Repeat("x", DefaultMaxTextBytes) + "'", "54000"},
		"long literal":               {"SELECT '" + strings.Repeat("x", DefaultMaxTextBytes-9) + "'", ""},
		"NUL":                        {"SELECT 1\x00; DROP TABLE app.orders", "22021"},
		"NUL alone":                  {"\x00", "22021"},
		"Latin-1":                    {"SELECT '\xe9'", "22021"},
		"overlong":                   {"SELECT '\xc0\xaf'", "22021"},
		"surrogate":                  {"SELECT '\xed\xa0\x80'", "22021"},
		"cut character":              {"SELECT '\xe2\x82", "22021"},
		"tokens":                     {"SELECT " + strings.Repeat("1,", 10_000) + "1", "54001"},
		"tokens fit":                 {"SELECT " + strings.Repeat("1,", 9_999) + "1", ""},
		"IN list of 1 MB":            {"SELECT 1 FROM t WHERE a IN (" + strings.Repeat("1,", 500_000) + "1)", "54001"},
		"comments count":             {strings.Repeat("/**/", 20_001), "54001"},
		"sums":                       {"SELECT 1" + strings.Repeat("+1", 40_000), "54001"},
		"sums of 2000":               {"SELECT 1" + strings.Repeat("+1", 2_000), ""},
		"sums, commented":            {"SELECT 1" + strings.Repeat("/**/+1", 3_000), "54001"},
		"concatenations":             {"SELECT 'a'" + strings.Repeat("||'a'", 9_000), "54001"},
		"custom operators":           {"SELECT 1" + strings.Repeat(" <-> 1", 9_000), "54001"},
		"qualified operators":        {"SELECT 1" + strings.Repeat(" OPERATOR(pg_catalog.+) 1", 2_500), "54001"},
		"casts":                      {"SELECT 1" + strings.Repeat("::int", 50_000), "54001"},
		"short casts":                {"SELECT 1" + strings.Repeat("::a", 3_000), "54001"},
		"unions":                     {"SELECT 1" + strings.Repeat(" UNION SELECT 1", 50_000), "54001"},
		"few unions":                 {"SELECT 1" + strings.Repeat(" UNION SELECT 1", 2_001), "54001"},
		"unions of lists":            {"SELECT 1,2" + strings.Repeat(" EXCEPT ALL SELECT 1,2", 2_500), "54001"},
		"joins":                      {"SELECT 1 FROM t" + strings.Repeat(" CROSS JOIN t", 2_500), "54001"},
		"not":                        {"SELECT " + strings.Repeat("NOT ", 2_500) + "a", "54001"},
		"unary minus":                {"SELECT " + strings.Repeat("- ", 2_500) + "1", "54001"},
		"collate":                    {"SELECT a" + strings.Repeat(` COLLATE "C"`, 2_500), "54001"},
		"time zones":                 {"SELECT a" + strings.Repeat(" AT TIME ZONE 'x'", 2_500), "54001"},
		"local times":                {"SELECT a" + strings.Repeat(" AT LOCAL", 2_500), "54001"},
		"and of comparisons":         {"SELECT 1 FROM t WHERE a = 1" + strings.Repeat(" AND a = 1", 4_000), ""},
		"rows of sums":               {"INSERT INTO t VALUES (1+1)" + strings.Repeat(",(1+1)", 3_000), ""},
		"parentheses":                {"SELECT " + strings.Repeat("(", 20_000) + "1" + strings.Repeat(")", 20_000), "54001"},
		"201 parentheses":            {"SELECT " + strings.Repeat("(", 201) + "1" + strings.Repeat(")", 201), "54001"},
		"200 parentheses":            {"SELECT " + strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200), ""},
		"brackets":                   {"SELECT " + strings.Repeat("ARRAY[", 201), "54001"},
		"subscripts":                 {"SELECT a" + strings.Repeat("[1]", 300), ""},
		"cases":                      {"SELECT " + strings.Repeat("CASE WHEN 1 THEN ", 201), "54001"},
		"mixed nesting":              {"SELECT " + strings.Repeat("CASE WHEN (ARRAY[", 67), "54001"},
		"unquoted end":               {strings.Repeat("CASE END ", 300), ""},
		"quoted end":                 {strings.Repeat(`CASE "end" `, 201), "54001"},
		"parentheses in literals":    {"SELECT '" + strings.Repeat("(", 300) + `', "` + strings.Repeat("[", 300) + `" -- ` + strings.Repeat("(", 300), ""},
		"literal hides nothing":      {"SELECT E'\\'' || $$ ' $$ || $a$ $$ $a$ " + strings.Repeat("(", 201), "54001"},
		"statements":                 {strings.Repeat("SELECT 1;", 10_000), "54001"},
		"101 statements":             {strings.Repeat("SELECT 1;", 101), "54001"},
		"100 statements":             {strings.Repeat("SELECT 1;", 100), ""},
		"empty statements":           {strings.Repeat(";", 5_000), ""},
		"after what cannot be lexed": {"SELECT 'abc " + strings.Repeat("(", 300), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := Limits{}.Check(test.text)
			var limit *LimitError
			switch {
			case test.want == "" && err != nil:
				t.Errorf("got %v", err)
			case test.want != "" && (!errors.As(err, &limit) || limit.SQLSTATE != test.want):
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestLimitsAreConfigurable(t *testing.T) {
	tests := map[string]struct {
		limits Limits
		text   string
	}{
		"text":       {Limits{MaxTextBytes: 7}, "SELECT 1"},
		"tokens":     {Limits{MaxTokens: 1}, "SELECT 1"},
		"depth":      {Limits{MaxDepth: 1}, "SELECT ((1))"},
		"chain":      {Limits{MaxChain: 1}, "SELECT 1+1+1"},
		"statements": {Limits{MaxStatements: 1}, "SELECT 1;SELECT 1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := test.limits.Check(test.text); err == nil {
				t.Error("it passes")
			}
			if err := (Limits{}).Check(test.text); err != nil {
				t.Errorf("the defaults refuse it: %v", err)
			}
		})
	}
}

// A check costs the session's goroutine, so it must not leave garbage behind.
func TestCheckDoesNotAllocate(t *testing.T) {
	text := "SELECT id, 'it''s', $1::int FROM app.orders WHERE (a = 1 AND b IN (1, 2)) UNION SELECT 1 -- x"
	if n := testing.AllocsPerRun(100, func() {
		if err := (Limits{}).Check(text); err != nil {
			t.Error(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCheck(b *testing.B) {
	text := "SELECT abalance FROM pgbench_accounts WHERE aid = $1 AND bid IN (1, 2, 3) AND note = 'some literal'"
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := (Limits{}).Check(text); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleLimits_Check() {
	err := Limits{MaxDepth: 2}.Check("SELECT (((1)))")
	fmt.Println(err)
	// Output: statement too complex: nested more than 2 deep
}
