package audit

import (
	"strings"
	"testing"
)

// TestPassingText: in memory that is used again a text is what NewText makes of it, and its clone stays so.
func TestPassingText(t *testing.T) {
	var memory PassingText
	var clones []Text
	texts := []string{
		"SELECT 1", "", "SELECT 'é'", "ALTER ROLE r PASSWORD 'hunter2'", strings.Repeat("x", 3*maxPassingBytes), "SELECT 2", strings.Repeat("é", 50),
	}
	for _, sql := range texts {
		got := memory.Set([]byte(sql), 60)
		if want := NewText(sql, 60); got != want {
			t.Errorf("%.20s: got %+v, want %+v", sql, got, want)
		}
		clones = append(clones, got.Clone())
	}
	for i, sql := range texts {
		if want := NewText(sql, 60); clones[i] != want {
			t.Errorf("%.20s: the clone became %+v, want %+v", sql, clones[i], want)
		}
	}
	if cap(memory.sql) > maxPassingBytes {
		t.Errorf("%d bytes are kept", cap(memory.sql))
	}
}

func TestPassingTextDoesNotAllocate(t *testing.T) {
	var memory PassingText
	sql := []byte("SELECT id, name FROM app.customers WHERE id = 17 AND name <> 'x' AND note = 'a longer literal'")
	if n := testing.AllocsPerRun(100, func() { memory.Set(sql, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
