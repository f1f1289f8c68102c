package catalog

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authz/statement"
)

func TestNumberedIn(t *testing.T) {
	oid := func(oids ...uint32) []byte {
		var types []byte
		for _, oid := range oids {
			types = binary.BigEndian.AppendUint32(types, oid)
		}
		return types
	}
	for name, tt := range map[string]struct {
		types []byte
		want  []uint32
	}{
		"nothing":            {nil, nil},
		"PostgreSQL's own":   {oid(0, 23, 25, 2205, 16383), nil},
		"others among these": {oid(23, 70000, 16384, 0, 70000), []uint32{16384, 70000}},
		"the largest":        {oid(1<<32 - 1), []uint32{1<<32 - 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := NumberedIn(tt.types).oids(); !slices.Equal(got, tt.want) {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// TestResolveNumbered: a type that a parameter is given by its number is among the facts as if it was named, with what its values run.
func TestResolveNumbered(t *testing.T) {
	pool := startPool(t)
	want := map[string]string{
		"email": "email: good", "email[]": "_email email: good", "work_email": "work_email: good",
		"mood": "mood: feeling number", "mood[]": "_mood mood: feeling number", "card": "card: feeling good number",
		"span": "span:", "citext": "citext:", "plain": "plain:", "plain[]": "plain:",
		"t": "t: feeling good number", "t[]": "t: feeling good number", "v": "v: feeling number",
	}
	onServers(t, func(t *testing.T, s *server) {
		database := s.database(t, coercionsScript)
		snapshot := s.snapshot(t, database, pool.Analyze)
		conn := s.connect(t, database)
		sheet, err := pool.Analyze(t.Context(), "SELECT $1::text")
		if err != nil {
			t.Fatal(err)
		}
		for written, want := range want {
			var oid uint32
			if err := conn.QueryRow(t.Context(), "SELECT $1::text::regtype::oid", written).Scan(&oid); err != nil {
				t.Fatal(err)
			}
			numbered := NumberedIn(binary.BigEndian.AppendUint32(nil, oid))
			got := snapshot.ResolveNumbered(sheet, []string{"public"}, numbered)
			if !got.Complete || len(got.Statements[0].Unknown) > 0 {
				t.Errorf("%s is not known: %q", written, got.Incomplete)
			}
			if got := typesAndCalls(&got.Statements[0]); got != want {
				t.Errorf("%s: got %q, want %q", written, got, want)
			}
		}
	})
}

// typesAndCalls lists the types of a statement and the functions of the application, but for the one that all casts may run.
func typesAndCalls(s *statement.Statement) string {
	var types, calls []string
	for _, t := range s.Types {
		types = append(types, t.Name)
	}
	for _, f := range s.Functions {
		if f.Language != "" && f.Name != "to_bool" {
			calls = append(calls, f.Name)
		}
	}
	slices.Sort(types)
	slices.Sort(calls)
	return strings.TrimSpace(strings.Join(types, " ") + ": " + strings.Join(slices.Compact(calls), " "))
}

// TestResolveUnknownNumber: what nobody knows is no fact that is complete, and is asked for anew.
func TestResolveUnknownNumber(t *testing.T) {
	s := &Snapshot{Generation: 1}
	sheet := &statement.Sheet{Complete: true, Statements: []statement.Statement{{}}}
	got := s.ResolveNumbered(sheet, nil, "\x00\x00\x40\x01")
	if got.Complete || len(got.Incomplete) != 1 {
		t.Errorf("it is said to be complete: %+v", got)
	}
	if diff := cmp.Diff([]statement.Name{{Name: "16385"}}, got.Statements[0].Unknown); diff != "" {
		t.Error("unknown (-want +got):\n" + diff)
	}
	if plain := s.Resolve(sheet, nil); !plain.Complete || plain == got {
		t.Error("the text without such a parameter is another")
	}
	if !sheet.Complete || sheet.Incomplete != nil {
		t.Error("the sheet was changed")
	}
}
