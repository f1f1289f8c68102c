package statement

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestSizeCountsWhatClientsChoose: whichever text in a sheet grows, its size grows as much; but for words from closed lists.
func TestSizeCountsWhatClientsChoose(t *testing.T) {
	words := []string{
		"Sheet.Statements.Command", "Sheet.Statements.Class", "Sheet.Statements.Relations.Kind", "Sheet.Statements.Functions.Language",
		"Sheet.Statements.Functions.Volatility", "Sheet.Statements.Functions.Extension", "Sheet.Statements.Operators.Extension",
		"Sheet.Statements.Types.Extension", "Sheet.Statements.Settings.Action", "Sheet.Statements.Channels.Action",
		"Sheet.Statements.Copy.Direction", "Sheet.Statements.Copy.Endpoint", "Sheet.Statements.Prepared.Action",
		"Sheet.Statements.Prepared.Uses.Kind", "Sheet.Statements.Prepared.Uses.Name", // a use counts for 128 bytes, a name has at most 63
	}
	var paths []string
	fill(reflect.TypeFor[Sheet](), "Sheet", func(path string) string { paths = append(paths, path); return "" })
	long := strings.Repeat("x", 10_000)
	for _, path := range paths {
		sheet := sheetWith(path, long)
		if grown := sheet.Size() - sheetWith(path, "").Size(); grown < len(long) != slices.Contains(words, path) {
			t.Errorf("%d bytes of %s make the sheet larger by %d", len(long), path, grown)
		}
	}
	if len(paths) < 40 {
		t.Errorf("the sheet has %d texts", len(paths))
	}
}

// sheetWith is a sheet with everything in it once, and one text.
func sheetWith(at, text string) *Sheet {
	sheet := fill(reflect.TypeFor[Sheet](), "Sheet", func(path string) string {
		if path == at {
			return text
		}
		return ""
	}).Interface().(Sheet)
	return &sheet
}

// fill makes a value whose lists have one entry, and whose texts are what text says for their paths.
func fill(kind reflect.Type, path string, text func(path string) string) reflect.Value {
	v := reflect.New(kind).Elem()
	switch kind.Kind() {
	case reflect.String:
		v.SetString(text(path))
	case reflect.Slice:
		v.Set(reflect.Append(v, fill(kind.Elem(), path, text)))
	case reflect.Pointer:
		v.Set(reflect.New(kind.Elem()))
		v.Elem().Set(fill(kind.Elem(), path, text))
	case reflect.Struct:
		for i := range kind.NumField() {
			v.Field(i).Set(fill(kind.Field(i).Type, path+"."+kind.Field(i).Name, text))
		}
	}
	return v
}
