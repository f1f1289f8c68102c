package statement

import (
	"fmt"
	"testing"
)

func TestPoisonIsBounded(t *testing.T) {
	var p poison
	for i := range maxPoisoned + 100 {
		p.add(fmt.Sprint(i))
	}
	if len(p.texts) > maxPoisoned {
		t.Errorf("%d texts remembered", len(p.texts))
	}
	if !p.has(fmt.Sprint(maxPoisoned+99)) || p.has("never") {
		t.Error("the last is forgotten, or another is refused")
	}
}
