package statement

import (
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// FuzzTree holds the tree decoded from JSON to the one that pg_query decodes from protobuf.
func FuzzTree(f *testing.F) {
	for _, text := range corpusTexts(f) {
		f.Add(text)
	}
	for _, seed := range treeSeeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if (Limits{MaxTextBytes: 1 << 14}).Check(text) != nil {
			t.Skip()
		}
		want, wantErr := pg.Parse(text)
		got, _, err := parseTree(text)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: got %v, pg_query %v", text, err, wantErr)
		}
		if err == nil && !proto.Equal(want, got) {
			t.Errorf("%q\n got %v\nwant %v", text, got, want)
		}
	})
}

// treeSeeds have strings that JSON writes otherwise, names that are cut, and trees that are deep.
var treeSeeds = []string{
	`SELECT E'\x01\x1f\b\f\n\r\t"\\/<>&\u00e9', $$a"b\c$$, U&'\2028', '` + "\x7f\u0085" + `'`,
	`SELECT E'\xc3', E'\xff', E'\xed\xa0\x80', U&'\d800'`, `SELECT E'\xc3\xa9' AS "<é\"`,
	"SELECT " + strings.Repeat("é", 40) + ", a" + strings.Repeat("é", 40) + ` FROM "` + strings.Repeat("ü€😀", 20) + `"`,
	"SELECT 0, 1, -1, 2147483647, 2147483648, -2147483648, 1e400, true, false, null, b'01', x'ff'",
	"SELECT 1" + strings.Repeat("+1", 1900), "SELECT " + strings.Repeat("NOT ", 1900) + "true", "SELECT 1" + strings.Repeat(" UNION SELECT 1", 900),
	"SELECT a[:], a[1:], DISTINCT FROM t", "SELECT DISTINCT a FROM t", "VACUUM", "", ";;",
}

// TestTreeRefused: what libpg_query never writes is not taken for a tree.
func TestTreeRefused(t *testing.T) {
	for _, text := range []string{
		``, `{`, `[]`, `{"version":}`, `{"version":1.5}`, `{"version":"1"}`, `{"version":1`, `{"version":1,}`, `{"version":1 }`, `{"version" 1}`, `{"stmts":{}}`,
		`{"stmts":[{}{}]}`, `{"stmts":[null]}`, `{"stmts":[{"stmt":{"SelectStmt":{"all":1}}}]}`, `{"stmts":[{"stmt":{"SelectStmt":{"all":truth}}}]}`,
		`{"stmts":[{"stmt":{"NoStmt":{}}}]}`, `{"stmts":[{"stmt":{"SelectStmt":{"nothing":true}}}]}`, `{"stmts":[{"stmt":{"SelectStmt":{"op":2}}}]}`,
		`{"stmts":[{"stmt":{"SelectStmt":{"targetList":{}}}}]}`, `{"version":1}}`, `{"version":1} `,
	} {
		if tree, _, err := decodeTree(text); err == nil {
			t.Errorf("%s: got %v", text, tree)
		}
	}
}

// TestTreeWithoutAName: an enum value that libpg_query has no name for is zero, as in protobuf, and the walker finds it.
func TestTreeWithoutAName(t *testing.T) {
	got, _, err := decodeTree(`{"version":170007,"stmts":[{"stmt":{"SelectStmt":{"op":"(null)","limitOption":"LIMIT_OPTION_COUNT","targetList":[{}]}}}]}`)
	want := &pg.ParseResult{Version: 170007, Stmts: []*pg.RawStmt{{Stmt: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: &pg.SelectStmt{
		LimitOption: pg.LimitOption_LIMIT_OPTION_COUNT, TargetList: []*pg.Node{{}},
	}}}}}}
	if err != nil || !proto.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}
