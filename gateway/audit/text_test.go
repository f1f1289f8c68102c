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

func TestSpeaks(t *testing.T) {
	for sql, want := range map[string]bool{
		"UPDATE u SET password = $1 WHERE id = $2":   true,
		"SELECT crypt($1, gen_salt('bf'))":           true,
		"SELECT pgp_sym_decrypt(a, $1) FROM t":       true,
		"INSERT INTO u (name, api_key) VALUES ($1)":  true,
		"SELECT dblink('host=h password=' || $1)":    true,
		"UPDATE u SET name = $1 WHERE id = $2":       false,
		"SELECT 1":                                   false,
		"SELECT 'x' /* $1 */, $$y$$ FROM t WHERE $1": false,
	} {
		if got := NewText(sql, 0).Speaks(); got != want {
			t.Errorf("%s: got %t", sql, got)
		}
	}
}

func TestWithoutValues(t *testing.T) {
	for sql, want := range map[string]string{
		"EXECUTE p('bob', 'hunter2', 1234)":            "EXECUTE p('<redacted>', '<redacted>', <redacted>)",
		"EXECUTE p(E'hun' 'ter2'); SELECT $$hunter2$$": "EXECUTE p(E'<redacted>' '<redacted>'); SELECT $$<redacted>$$",
		"EXECUTE p": "EXECUTE p",
	} {
		whole := NewText(sql, 0)
		got := whole.WithoutValues()
		if got.String() != want {
			t.Errorf("%s: got %s, want %s", sql, got, want)
		}
		if changed := sql != want; changed != got.Redacted() || changed == (got.Digest() == whole.Digest()) {
			t.Errorf("%s: %+v", sql, got)
		}
	}
	long := NewText("EXECUTE p('"+strings.Repeat("x", 100)+"')", 50)
	if got := long.WithoutValues(); strings.Contains(got.String(), "xx") || !got.Redacted() {
		t.Errorf("of a text that is cut: %s", got)
	}
}
