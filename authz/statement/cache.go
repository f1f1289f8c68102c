package statement

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"
)

// cache keeps sheets by exact text, the least recently used going first, bounded in bytes.
type cache struct {
	mu      sync.Mutex
	limit   int64
	size    int64
	entries map[string]*list.Element
	recent  *list.List // of *entry, the most recently used first
}

type entry struct {
	text  string
	sheet *Sheet
	size  int64
}

func newCache(limit int64) *cache {
	return &cache{limit: limit, entries: map[string]*list.Element{}, recent: list.New()}
}

func (c *cache) get(text string) *Sheet {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.entries[text]
	if !ok {
		return nil
	}
	c.recent.MoveToFront(element)
	return element.Value.(*entry).sheet
}

// Estimates of what an entry takes: the encoded facts as Go values are about four times as large, and the entry itself has its price.
const (
	entryOverhead = 512
	decodedFactor = 4
)

// put keeps a sheet and returns the one that is kept for the text: whoever came first. encoded is the size of its encoded form. One text
// never takes more than an eighth of the cache.
func (c *cache) put(text string, sheet *Sheet, encoded int) *Sheet {
	size := int64(len(text)) + int64(encoded)*decodedFactor + entryOverhead
	if size > c.limit/8 {
		return sheet
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.entries[text]; ok {
		return element.Value.(*entry).sheet
	}
	c.entries[text] = c.recent.PushFront(&entry{text: text, sheet: sheet, size: size})
	c.size += size
	for c.size > c.limit {
		oldest := c.recent.Remove(c.recent.Back()).(*entry)
		delete(c.entries, oldest.text)
		c.size -= oldest.size
	}
	return sheet
}

const (
	poisonTime  = 10 * time.Minute // how long a text that a worker died of is refused unseen
	maxPoisoned = 4096             // digests remembered; an attacker with more texts is slowed down by the workers' restarts
)

// poison remembers texts that workers died of, by digest.
type poison struct {
	mu    sync.Mutex
	texts map[[sha256.Size]byte]time.Time
}

func (p *poison) add(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for digest, since := range p.texts {
		if now.Sub(since) > poisonTime || len(p.texts) >= maxPoisoned {
			delete(p.texts, digest)
		}
	}
	if p.texts == nil {
		p.texts = map[[sha256.Size]byte]time.Time{}
	}
	p.texts[sha256.Sum256([]byte(text))] = now
}

func (p *poison) has(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.texts) == 0 {
		return false
	}
	since, ok := p.texts[sha256.Sum256([]byte(text))]
	return ok && time.Since(since) <= poisonTime
}
