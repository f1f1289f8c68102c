// Package recent keeps what was used lately, bounded in bytes.
package recent

import (
	"container/list"
	"sync"
)

// Cache keeps values by key, the least recently used going first. It is safe for concurrent use; no operation takes longer the more it
// holds, so that one lock does for all sessions.
type Cache[K comparable, V any] struct {
	mu      sync.Mutex
	limit   int
	size    int
	entries map[K]*list.Element
	order   *list.List // of *entry[K, V], the most recently used first
}

type entry[K comparable, V any] struct {
	key   K
	value V
	size  int
}

// overhead is what an entry takes beside its key and value: its places in map and list.
const overhead = 256

// share is the part of a cache that one entry may take: a value that would push out most of the others is not worth keeping.
const share = 8

// New makes a cache of at most limit bytes, as far as its callers know the sizes of what they put in.
func New[K comparable, V any](limit int) *Cache[K, V] {
	return &Cache[K, V]{limit: limit, entries: map[K]*list.Element{}, order: list.New()}
}

// Get finds the value of a key.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used(c.entries[key])
}

// GetBytes is Get for a key that is not a string yet, and need not become one.
func GetBytes[V any](c *Cache[string, V], key []byte) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used(c.entries[string(key)])
}

// used gives the value of an element, if there is one, and notes that it was used. The lock is held.
func (c *Cache[K, V]) used(element *list.Element) (value V, ok bool) {
	if element == nil {
		return value, false
	}
	c.order.MoveToFront(element)
	return element.Value.(*entry[K, V]).value, true
}

// Put keeps a value that takes size bytes with its key, and returns the one that is kept for the key: whoever came first. A value too
// large for the cache is returned, but not kept.
func (c *Cache[K, V]) Put(key K, value V, size int) V {
	size += overhead
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept, ok := c.used(c.entries[key]); ok {
		return kept
	}
	if size > c.limit/share {
		return value
	}
	c.entries[key] = c.order.PushFront(&entry[K, V]{key: key, value: value, size: size})
	c.size += size
	for c.size > c.limit {
		oldest := c.order.Remove(c.order.Back()).(*entry[K, V])
		delete(c.entries, oldest.key)
		c.size -= oldest.size
	}
	return value
}

// Close forgets everything, and keeps nothing from now on: what is put in is returned.
func (c *Cache[K, V]) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit, c.size = 0, 0
	clear(c.entries)
	c.order.Init()
}
