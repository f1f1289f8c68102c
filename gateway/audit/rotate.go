package audit

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// Rotation says when the log goes over to a new file, and what becomes of the old ones. They are named after the log and the time:
// audit.log.20260302T091407Z, with .gz when they are compressed; what is beside the log goes with it:
// audit.log.20260302T091407Z.texts. The zero value leaves rotation to others.
type Rotation struct {
	Size     int64         // a file of so many bytes is full; 0: none is
	Age      time.Duration // a file is written for so long; 0: for ever
	Compress bool          // with gzip
	Keep     int           // so many old files are kept; 0: all
	KeepFor  time.Duration // and none that ended longer ago; 0: no matter when
}

const (
	rotatedTime = "20060102T150405Z"
	packed      = ".gz"
	packing     = ".gz.part"
)

// due says whether it is time for a new file.
func (l *Log) due(now time.Time) bool {
	r := l.rotation
	return l.regular && !now.Before(l.retry) && l.size > l.start && (r.Size > 0 && l.size+l.aside.size >= r.Size || r.Age > 0 && now.Sub(l.since) >= r.Age)
}

// retryRotation is how long a rotation that failed is not tried again.
const retryRotation = time.Minute

// rotate gives the file another name and begins a new one; it returns the old one, for its end. When that cannot be done the old file is
// written on.
func (l *Log) rotate(now time.Time) (old sink, err error) {
	l.retry = now.Add(retryRotation)
	name, err := l.rotatedName(now)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(l.path, name); err != nil {
		return nil, err
	}
	// Should the gateway be killed now, the next one goes on here; see pairTexts.
	if err := renameIfThere(l.aside.path, name+Beside); err != nil {
		return nil, errors.Join(err, os.Rename(name, l.path))
	}
	if old, err = l.reopen(); err != nil {
		return nil, errors.Join(err, renameIfThere(name+Beside, l.aside.path), os.Rename(name, l.path))
	}
	l.retry = time.Time{}
	return old, nil
}

// pairTexts gives what is beside the log the name of the last old file, unless that has its own: a gateway was killed between the two
// renames. It is called when the log has no file yet.
func (l *Log) pairTexts() error {
	info, err := os.Lstat(l.aside.path)
	if err != nil || acceptableAside(l.aside.path, info) != nil { // which is said when the file is opened
		return nil
	}
	files, err := l.rotated("", packed)
	if err != nil || len(files) == 0 {
		return err
	}
	last := besideRotated(files[len(files)-1].name)
	if slices.ContainsFunc(last, func(name string) bool { return !gone(name) }) {
		return nil
	}
	l.logger.Warn("audit log was not rotated to the end: the texts beside it get their name now", "file", last[0])
	return os.Rename(l.aside.path, last[0])
}

func renameIfThere(from, to string) error {
	if err := os.Rename(from, to); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// rotatedName is a name that no file has. It never overwrites: two files of one second have different ones. And it is behind all others,
// also where the clock was set back: by their names it is known which is the last, and which are the oldest.
func (l *Log) rotatedName(now time.Time) (string, error) {
	const tries = 60
	others, err := l.rotated("", packed)
	if err != nil {
		return "", err
	}
	if len(others) > 0 && !now.UTC().Truncate(time.Second).After(others[len(others)-1].ended) {
		now = others[len(others)-1].ended.Add(time.Second)
	}
	for range tries {
		name := l.path + "." + now.UTC().Format(rotatedTime)
		if !slices.ContainsFunc(forms, func(form string) bool { return !gone(name + form) }) {
			return name, nil
		}
		now = now.Add(time.Second)
	}
	return "", fmt.Errorf("there are too many files like %s", l.path)
}

// forms are the ends of the names that an old file can have, and what was beside it.
var forms = []string{"", packed, Beside, Beside + packed}

func gone(name string) bool {
	_, err := os.Lstat(name)
	return errors.Is(err, fs.ErrNotExist)
}

// old is a file that was rotated away.
type old struct {
	name  string
	ended time.Time
}

// rotated lists the old files, the oldest first. What has another form of name is somebody else's.
func (l *Log) rotated(suffixes ...string) ([]old, error) {
	entries, err := os.ReadDir(filepath.Dir(l.path))
	if err != nil {
		return nil, err
	}
	var files []old
	for _, entry := range entries {
		stamp, ours := strings.CutPrefix(entry.Name(), filepath.Base(l.path)+".")
		for _, suffix := range suffixes {
			ended, err := time.Parse(rotatedTime+suffix, stamp)
			if ours && err == nil && entry.Type().IsRegular() {
				files = append(files, old{filepath.Join(filepath.Dir(l.path), entry.Name()), ended})
			}
		}
	}
	slices.SortFunc(files, func(a, b old) int { return a.ended.Compare(b.ended) })
	return files, nil
}

// tidy compresses old files and removes those that need not be kept. It is called by one goroutine only.
func (l *Log) tidy(ctx context.Context, now time.Time) error {
	if l.rotation.Compress {
		if err := l.compress(ctx); err != nil {
			return err
		}
	}
	files, err := l.rotated("", packed)
	if err != nil {
		return err
	}
	for i, file := range files {
		tooMany := l.rotation.Keep > 0 && len(files)-i > l.rotation.Keep
		tooOld := l.rotation.KeepFor > 0 && now.Sub(file.ended) > l.rotation.KeepFor
		if !tooMany && !tooOld {
			continue
		}
		l.logger.Info("old audit log is removed", "file", file.name)
		if err := retire(file.name); err != nil {
			return err
		}
	}
	return nil
}

// retire removes an old file. What was beside it goes first: it would not be found again.
func retire(name string) error {
	for _, texts := range besideRotated(name) {
		if err := os.Remove(texts); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Remove(name)
}

func besideRotated(name string) []string {
	base := strings.TrimSuffix(name, packed) + Beside
	return []string{base, base + packed}
}

// TextsBeside are the names that the texts beside a file of a log can have: audit.log.1.texts, and where others have rotated both,
// audit.log.texts.1 or audit.log.texts-20260302.
func TextsBeside(name string) []string {
	names := besideRotated(name)
	base := strings.TrimSuffix(name, packed)
	if i := strings.LastIndexAny(base, ".-"); i > strings.LastIndexByte(base, filepath.Separator) {
		rotated := base[:i] + Beside + base[i:]
		names = append(names, rotated, rotated+packed)
	}
	return names
}

// compress packs what is not packed yet, also what a gateway that was killed has left.
func (l *Log) compress(ctx context.Context) error {
	parts, err := l.rotated(packing, Beside+packing)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if err := os.Remove(part.name); err != nil {
			return err
		}
	}
	files, err := l.rotated("", Beside)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := pack(ctx, file.name); err != nil {
			return fmt.Errorf("compress %s: %w", file.name, err)
		}
	}
	return nil
}

// pack compresses a file. The file is removed when its compressed form is on the disk under its name.
func pack(ctx context.Context, name string) error {
	from, err := os.Open(name)
	if err != nil {
		return err
	}
	to, err := os.OpenFile(name+packing, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return errors.Join(err, from.Close())
	}
	writer := gzip.NewWriter(to)
	_, err = io.Copy(writer, until(ctx, from))
	if err == nil {
		err = errors.Join(writer.Close(), to.Sync())
	}
	if err = errors.Join(err, to.Close(), from.Close()); err != nil {
		return errors.Join(err, os.Remove(name+packing))
	}
	if err := os.Rename(name+packing, name+packed); err != nil {
		return err
	}
	if err := syncDirectory(name); err != nil {
		return err
	}
	return os.Remove(name)
}

// readerFunc is an io.Reader.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// until reads from r until ctx ends: packing a large file must not hold up the end of the gateway.
func until(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}

// predecessor reads the state of the file before this one, for a log whose own file is gone or empty: the gateway ended between giving
// it another name and beginning the next.
func (l *Log) predecessor() (s proof.State, err error) {
	files, err := l.rotated("", packed)
	if err != nil || len(files) == 0 {
		return s, err
	}
	last := files[len(files)-1].name
	file, err := os.Open(last)
	if err != nil {
		return s, err
	}
	var r io.Reader = file
	if strings.HasSuffix(last, packed) {
		if r, err = gzip.NewReader(file); err != nil {
			return s, errors.Join(fmt.Errorf("read %s: %w", last, err), file.Close())
		}
	}
	s, err = proof.Resume(r)
	if err != nil {
		err = fmt.Errorf("%s, which this log goes on from, does not fit its checkpoints (%w): move it away", last, err)
	}
	s.Torn = nil // it stays where it is
	return s, errors.Join(err, file.Close())
}
