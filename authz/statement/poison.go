package statement

import (
	"crypto/sha256"
	"sync"
	"time"
)

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
