package recent

import (
	"fmt"
	"sync"
	"testing"
)

const limit = 64 << 10

func TestIsBounded(t *testing.T) {
	c := New[string, int](limit)
	for i := range 1000 {
		c.Put(fmt.Sprint(i), i, 100)
		if c.size > limit || len(c.entries)*(overhead+100) > limit {
			t.Fatalf("%d entries of %d bytes", len(c.entries), c.size)
		}
	}
	if _, ok := c.Get("0"); ok {
		t.Error("the oldest is still there")
	}
	if got, ok := c.Get("999"); !ok || got != 999 {
		t.Error("the newest is gone")
	}
}

func TestKeepsWhatIsUsed(t *testing.T) {
	c := New[string, int](limit)
	c.Put("used", -1, 0)
	c.Put("seen", -2, 0)
	for i := range 1000 {
		c.Put(fmt.Sprint(i), i, 0)
		if got, ok := c.Get("used"); !ok || got != -1 {
			t.Fatalf("gone after %d others", i)
		}
		if got, ok := GetBytes(c, []byte("seen")); !ok || got != -2 {
			t.Fatalf("gone after %d others, although its bytes were asked for", i)
		}
	}
}

func TestKeepsTheFirst(t *testing.T) {
	c := New[string, int](limit)
	c.Put("key", 1, 0)
	if got := c.Put("key", 2, 0); got != 1 {
		t.Error("the second value of a key replaced the first")
	}
	if len(c.entries) != 1 || c.order.Len() != 1 || c.size != overhead {
		t.Errorf("%d entries, %d bytes", len(c.entries), c.size)
	}
}

func TestRefusesTheLarge(t *testing.T) {
	c := New[string, int](limit)
	c.Put("small", 1, 0)
	if got := c.Put("large", 2, limit/2); got != 2 {
		t.Errorf("got %d for what is not kept", got)
	}
	if _, ok := c.Get("small"); !ok || len(c.entries) != 1 {
		t.Error("one value took the place of the others")
	}
}

func TestClose(t *testing.T) {
	c := New[string, int](limit)
	c.Put("before", 1, 0)
	c.Close()
	if got := c.Put("after", 2, 0); got != 2 {
		t.Errorf("got %d", got)
	}
	for _, key := range []string{"before", "after"} {
		if _, ok := c.Get(key); ok {
			t.Errorf("%s is kept", key)
		}
	}
}

func TestGetDoesNotAllocate(t *testing.T) {
	c := New[string, int](limit)
	key := []byte("a key that is longer than what is converted on the stack, which is thirty-two bytes")
	c.Put(string(key), 1, 0)
	if n := testing.AllocsPerRun(100, func() { GetBytes(c, key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestAtOnce is for the race detector: sessions put and get at once, and whoever asks for a key gets what is its own.
func TestAtOnce(t *testing.T) {
	c := New[int, int](limit)
	var sessions sync.WaitGroup
	for s := range 8 {
		sessions.Go(func() {
			for i := range 2000 {
				key := (i * (s + 1)) % 500
				if got := c.Put(key, key, 200); got != key {
					t.Errorf("put %d, got %d", key, got)
				}
				if got, ok := c.Get(key + 1); ok && got != key+1 {
					t.Errorf("asked for %d, got %d", key+1, got)
				}
			}
		})
	}
	sessions.Wait()
}

// BenchmarkGet is what 64 sessions pay that ask the same cache all the time.
func BenchmarkGet(b *testing.B) {
	c := New[int, int](1 << 20)
	for i := range 1000 {
		c.Put(i, i, 0)
	}
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			c.Get(i % 1000)
		}
	})
}

// BenchmarkPut is the same with a cache that is full, so that each new value drives one out.
func BenchmarkPut(b *testing.B) {
	c := New[int64, int](1 << 20)
	var next struct {
		sync.Mutex
		n int64
	}
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		next.Lock()
		next.n++
		key := next.n << 32
		next.Unlock()
		for ; pb.Next(); key++ {
			c.Put(key, 1, 0)
		}
	})
}
