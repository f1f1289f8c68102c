package statement

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestCacheIsBounded(t *testing.T) {
	const limit = 64 << 10
	c := newCache(limit)
	for i := range 1000 {
		c.put(fmt.Sprintf("SELECT %d", i), &Sheet{}, 100)
		if c.size > limit || int64(len(c.entries))*entryOverhead > limit {
			t.Fatalf("%d entries of %d bytes", len(c.entries), c.size)
		}
	}
	if c.get("SELECT 0") != nil {
		t.Error("the oldest is still there")
	}
	if c.get("SELECT 999") == nil {
		t.Error("the newest is gone")
	}
}

func TestCacheKeepsWhatIsUsed(t *testing.T) {
	c := newCache(64 << 10)
	kept := c.put("used", &Sheet{}, 0)
	for i := range 1000 {
		c.put(fmt.Sprintf("SELECT %d", i), &Sheet{}, 0)
		if c.get("used") != kept {
			t.Fatalf("gone after %d others", i)
		}
	}
}

func TestCacheKeepsTheFirst(t *testing.T) {
	c := newCache(64 << 10)
	first := c.put("text", &Sheet{}, 0)
	if second := c.put("text", &Sheet{}, 0); second != first {
		t.Error("the second sheet of a text replaced the first")
	}
	if len(c.entries) != 1 || c.recent.Len() != 1 {
		t.Errorf("%d entries", len(c.entries))
	}
}

func TestCacheRefusesTheLarge(t *testing.T) {
	c := newCache(64 << 10)
	c.put("small", &Sheet{}, 0)
	c.put(strings.Repeat("x", 32<<10), &Sheet{}, 0)
	if len(c.entries) != 1 || c.get("small") == nil {
		t.Error("one text took the place of the others")
	}
}

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

// TestSameTextAtOnce asks for a text many times at once: it is analysed once, and everybody gets the same sheet.
func TestSameTextAtOnce(t *testing.T) {
	pool := startPool(t, Config{})
	if err := pool.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	sheets := make([]*Sheet, 50)
	var group sync.WaitGroup
	for i := range sheets {
		group.Go(func() {
			sheet, err := pool.Analyze(t.Context(), "SELECT 1")
			if err != nil {
				t.Error(err)
			}
			sheets[i] = sheet
		})
	}
	group.Wait()
	for _, sheet := range sheets {
		if sheet != sheets[0] {
			t.Fatal("two sheets for one text")
		}
	}
}
