package statement

import (
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// TestInternedForgets: facts whose sheets are forgotten while their names are made have no other text's names afterwards.
func TestInternedForgets(t *testing.T) {
	encoded, err := cbor.Marshal(&Sheet{Complete: true, Statements: []Statement{{Command: "SELECT"}}})
	if err != nil {
		t.Fatal(err)
	}
	i := &interned{}
	facts, err := i.facts(encoded)
	if err != nil {
		t.Fatal(err)
	}
	i.size = maxInternedBytes
	if _, err := i.facts([]byte{0xf6}); err != nil { // null: other facts, for which all else is forgotten
		t.Fatal(err)
	}
	if len(i.known) != 1 {
		t.Fatal("nothing was forgotten")
	}
	named := facts.Called(&Sheet{Fingerprint: "f", Normalized: "n"})
	if got := i.sheet(encoded, facts, []byte("names"), named); got != named {
		t.Errorf("got %+v", got)
	}
	again, err := i.facts(encoded)
	if err != nil || again.Fingerprint != "" || again.Normalized != "" {
		t.Errorf("facts are called %q, %q, %v", again.Fingerprint, again.Normalized, err)
	}
	if got := i.sheet(encoded, again, []byte("names"), again.Called(named)); got != named {
		t.Error("two sheets for one text")
	}
}
