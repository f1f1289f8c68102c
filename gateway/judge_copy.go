package gateway

import (
	"github.com/sallyport/sallyport/gateway/wire"
)

// awaitCopy waits, after a message that may put the backend into copy-in mode, until it has or has not. There the backend ignores
// Sync and Flush, so nothing may be forwarded before it is known (protocol: CopyIn).
func (j *judge) awaitCopy(e entry) error {
	if !e.mayCopy {
		return nil
	}
	if e.kind == wire.Execute {
		if err := j.askForAnswers(); err != nil { // an Execute alone is not answered before a Sync
			return err
		}
	} else if err := j.flush(); err != nil {
		return err
	}
	j.copying = e
	return j.queue.waitCopyOrDone(e.position)
}

// mayBeCopying says whether anything was forwarded that may have put the backend into copy-in mode: in most sessions nothing ever is.
func (j *judge) mayBeCopying() bool { return j.copying.kind != 0 }

// copyData passes data on to a backend that copies. Elsewhere the backend drops it, and so do we.
func (j *judge) copyData(size int) error {
	if !j.queue.copied() {
		return j.drop(size)
	}
	if r := j.copying.run; r != nil {
		j.copiedBytes.Add(int64(size))
	}
	j.pipe.Accept(size)
	return nil
}

// copyEnd passes CopyDone or CopyFail on. A Query may hold a further COPY: then the next answer says so.
func (j *judge) copyEnd(t wire.Type, body []byte) error {
	if t == wire.CopyDone && len(body) != 0 {
		return fail(ReasonProtocol, wire.ErrFormat)
	}
	if t == wire.CopyFail {
		if _, err := wire.DecodeQuery(body); err != nil { // one string, like a Query
			return fail(ReasonProtocol, err)
		}
	}
	if !j.queue.copied() {
		return j.drop(len(body))
	}
	j.queue.setCopying(false) // before the backend can announce the next
	j.pipe.Accept(len(body))
	if j.copying.kind != wire.Query {
		return nil
	}
	return j.awaitCopy(j.copying)
}
