package userlist

import (
	"context"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/authn/md5"
	"github.com/sallyport/sallyport/authn/scram"
)

// pollInterval is how long a change of the file waits to be seen: one stat costs a microsecond, and whoever has set a password tries
// it at once.
const pollInterval = time.Second

// FileConfig names a userlist's file.
type FileConfig struct {
	Path string
	Config
	// Observe, if set, is told of every reload that changed something or failed; nil means that a new list is in use.
	Observe func(error)
	// Settled, if set, is called by Run when a list has been in use, and its file the same, for pollInterval. Who is not on the list then
	// has been taken off it; before, it may be a list that somebody was still writing.
	Settled func()
}

// File is a Userlist that is read again when its file changes. It is safe for concurrent
// use.
type File struct {
	cfg  FileConfig
	list atomic.Pointer[Userlist]

	mu      sync.Mutex  // one reload at a time
	seen    fs.FileInfo // the file that was read last; nil: there was none
	failure error       // of the last reload; nil: good
	fresh   bool        // the list in use has not been told as settled
}

// Open reads the file. One that cannot be read is an error: there is no old list to keep.
func Open(cfg FileConfig) (*File, error) {
	list, info, err := load(cfg.Path, cfg.Config)
	if err != nil {
		return nil, err
	}
	f := &File{cfg: cfg, seen: info}
	f.list.Store(list)
	return f, nil
}

// Lookup is the Lookup of scram.Config.
func (f *File) Lookup(user string) (scram.Verifier, bool) { return f.list.Load().Lookup(user) }

// MD5 is the Lookup of md5.Config.
func (f *File) MD5(user string) (md5.Secret, bool) { return f.list.Load().MD5(user) }

// Warnings are those of the list in use.
func (f *File) Warnings() []string { return f.list.Load().Warnings() }

// Err is why the last reload failed, or nil: the old list is still in use, and somebody should know.
func (f *File) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failure
}

// Reload reads the file and uses it if it is good; if not, the old list stays and the error says why.
func (f *File) Reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reload()
}

// Run reloads when the file has changed, until ctx ends; it then returns nil.
func (f *File) Run(ctx context.Context) error {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
			if f.check() && f.cfg.Settled != nil {
				f.cfg.Settled()
			}
		}
	}
}

// check reloads if the file is not the one that was read last. It says whether the list in use has settled just now.
func (f *File) check() (settled bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.cfg.Path)
	if err != nil {
		info = nil
	}
	if !same(info, f.seen) {
		_ = f.reload() // kept in Err and observed
		return false
	}
	if settled = f.fresh && f.failure == nil; settled {
		f.fresh = false
	}
	return settled
}

func (f *File) reload() error {
	list, info, err := load(f.cfg.Path, f.cfg.Config)
	f.seen, f.failure = info, err
	if err == nil {
		f.list.Store(list)
		f.fresh = true
	}
	if f.cfg.Observe != nil {
		f.cfg.Observe(err)
	}
	return err
}

// same tells whether two files are one that has not changed. A file that was renamed into place is another one.
func same(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}
