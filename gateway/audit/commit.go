package audit

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// committer syncs what was written, many events by one fsync: those that come while one runs share the next.
type committer struct {
	mu      sync.Mutex
	next    *batch // what the next fsync is for; nil: nothing
	running bool
	broken  sink // a file that was closed, and whose last fsync has failed; nil: none
}

// batch is what one fsync is for.
type batch struct {
	file sink
	done chan struct{}
	err  error // set before done is closed
}

// wait returns when all that was written to file before the call is on the disk. It does not wait endlessly.
func (c *committer) wait(file sink) error {
	b := c.join(file)
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case <-b.done:
		return b.err
	case <-timer.C:
		return ErrSlow
	}
}

// join returns the batch that the next fsync is for, and sees to it that there will be one.
func (c *committer) join(file sink) *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil || c.next.file != file {
		previous := c.next
		c.next = &batch{file: file, done: make(chan struct{})}
		if previous != nil { // of a file that was gone over from, which syncs it
			go c.sync(previous)
		}
	}
	if !c.running {
		c.running = true
		go c.run() // ends when nobody waits
	}
	return c.next
}

// run syncs one batch after the other. After a sync that has failed those fail too that have come in the meantime: the kernel says once that it
// has not brought pages to the disk, and what they wrote may have been on them.
func (c *committer) run() {
	for {
		b := c.take()
		if b == nil {
			return
		}
		c.sync(b)
		if b.err == nil {
			continue
		}
		c.mu.Lock()
		lost := c.next
		if lost != nil && lost.file == b.file {
			c.next, lost.err = nil, b.err
			close(lost.done)
		}
		c.mu.Unlock()
	}
}

func (c *committer) take() *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.next
	c.next = nil
	c.running = b != nil
	return b
}

// sync syncs the file of a batch. One that is closed was synced before.
func (c *committer) sync(b *batch) {
	err := b.file.Sync()
	if errors.Is(err, os.ErrClosed) {
		c.mu.Lock()
		if c.broken != b.file {
			err = nil
		}
		c.mu.Unlock()
	}
	if err != nil {
		b.err = fmt.Errorf("sync audit log: %w", err)
	}
	close(b.done)
}

// broke notes that the last fsync of a file that is about to be closed has failed: who comes for its next one is not to take it for done.
func (c *committer) broke(file sink) {
	c.mu.Lock()
	c.broken = file
	c.mu.Unlock()
}
