package tlsutil

import (
	"fmt"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// watcher tells of changes in the directories of some files. The nil watcher tells of none.
type watcher struct{ notify *fsnotify.Watcher }

// watch watches directories, not files: certificates are replaced by renaming, and Kubernetes swaps a symlink beside them. A file
// that is itself a link is also watched where it points.
func watch(files ...string) (*watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	for _, file := range files {
		directories := []string{filepath.Dir(file)}
		if target, err := filepath.EvalSymlinks(file); err == nil {
			directories = append(directories, filepath.Dir(target))
		}
		for _, directory := range directories {
			if err := notify.Add(directory); err != nil {
				_ = notify.Close()
				return nil, fmt.Errorf("watch %s: %w", directory, err)
			}
		}
	}
	return &watcher{notify: notify}, nil
}

func (w *watcher) events() <-chan fsnotify.Event {
	if w == nil {
		return nil
	}
	return w.notify.Events
}

func (w *watcher) errors() <-chan error {
	if w == nil {
		return nil
	}
	return w.notify.Errors
}

func (w *watcher) Close() {
	if w != nil {
		_ = w.notify.Close()
	}
}
