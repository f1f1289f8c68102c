package authz

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long the directory must be quiet before it is read: an editor or a mount writes several files one after another.
	settle = 200 * time.Millisecond
	// pollInterval finds what notification misses: network file systems, a directory that was replaced, a full event queue.
	pollInterval = 15 * time.Second
)

// directoryOrigin is a policy that lies in a directory of this machine.
type directoryOrigin struct {
	directory string
	logger    *slog.Logger
}

func (o *directoryOrigin) read(context.Context) (source, error) { return readSource(o.directory) }

func (o *directoryOrigin) kept(source) error { return nil }

// follow watches the directory. Where the system gives no notification it polls.
func (o *directoryOrigin) follow(ctx context.Context, again func()) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		o.logger.Warn("policy directory is polled, not watched", "error", err)
		return o.poll(ctx, again, func() {}, nil, nil)
	}
	defer watcher.Close()
	watch := func() {
		// The parent too: the directory itself may be a symbolic link that a deployment moves, or be replaced by a rename.
		for _, path := range []string{o.directory, filepath.Dir(o.directory)} {
			if err := watcher.Add(path); err != nil {
				o.logger.Debug("policy directory not watched", "path", path, "error", err)
			}
		}
	}
	return o.poll(ctx, again, watch, watcher.Events, watcher.Errors)
}

// poll calls again after events, once they have stopped for a while, and at every interval. watch renews the watches: that of a
// directory which was replaced is gone with it.
func (o *directoryOrigin) poll(ctx context.Context, again, watch func(), events <-chan fsnotify.Event, errs <-chan error) error {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	quiet := time.NewTimer(0) // what changed between New and Run
	defer quiet.Stop()
	watch()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-events:
			if !ok {
				events = nil
			} else if event.Name == o.directory || filepath.Dir(event.Name) == o.directory {
				quiet.Reset(settle) // not for what else happens in the parent
			}
		case err, ok := <-errs:
			if !ok {
				errs = nil
				continue
			}
			o.logger.Warn("policy watch", "error", err)
			quiet.Reset(settle)
		case <-poll.C:
			watch()
			again()
		case <-quiet.C:
			watch()
			again()
		}
	}
}
