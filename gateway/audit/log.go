package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"syscall"
)

const (
	// initialBuffer holds nearly every event without growing.
	initialBuffer = 4 << 10
	// maxKeptBuffer is the largest buffer kept between events; one long text must not pin its escaped form for ever.
	maxKeptBuffer = 256 << 10
)

// ErrClosed is what Append answers after Close.
var ErrClosed = errors.New("audit log is closed")

// Config configures a Log.
type Config struct {
	// Path of the file. It is created with mode 0600 when there is none. It may be /dev/null (nothing is kept: for measurements).
	Path string
	// AllowPipe accepts a named pipe at Path. It needs a reader when the log is opened, and no line of more than PIPE_BUF is atomic.
	AllowPipe bool
	// MaxTextBytes bounds the texts made by Log.Text; 0 is DefaultMaxTextBytes.
	MaxTextBytes int
	// Logger hears about repairs, failures and recoveries; nil is silence.
	Logger *slog.Logger
}

// Log writes events to a file, one line and one write(2) each. It is safe for concurrent use.
//
// A write can fail, and callers must act on it: see Statement and Outcome. After a failure the log is unhealthy until an event was
// written again; every Append tries, and completes a torn line first.
type Log struct {
	path         string
	allowPipe    bool
	maxTextBytes int
	logger       *slog.Logger

	mu   sync.Mutex
	file sink // nil before Open and after Close
	buf  []byte
	err  error  // of the last write; nil when healthy
	lost uint64 // events refused since then
	torn bool   // the last line lacks its end

	closed bool
}

// sink is what Log needs of an *os.File.
type sink interface {
	io.WriteCloser
	Sync() error
}

// Open opens or creates the file. It refuses what is not a regular file (but see Config), what others may write, and symbolic links:
// whoever can place one chooses where the audit goes. A line that a crash has torn is completed and followed by a LogRepair.
func Open(cfg Config) (*Log, error) {
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{
		path:         cfg.Path,
		allowPipe:    cfg.AllowPipe,
		maxTextBytes: cfg.MaxTextBytes,
		logger:       logger,
		buf:          make([]byte, 0, initialBuffer),
	}
	if err := l.Reopen(); err != nil {
		return nil, err
	}
	return l, nil
}

// Text is NewText with the bound of this log.
func (l *Log) Text(sql string) Text { return NewText(sql, l.maxTextBytes) }

// PassingText is Text in the given memory, for an event that is appended before the next.
func (l *Log) PassingText(memory *PassingText, sql []byte) Text {
	return memory.Set(sql, l.maxTextBytes)
}

// Append writes one event. It returns after write(2): the line survives a killed process, not a crashed machine.
// The event was not accepted unless the error is nil.
func (l *Log) Append(event Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.append(event)
}

func (l *Log) append(event Event) error {
	if l.file == nil {
		return ErrClosed
	}
	buf := l.buf[:0]
	if l.torn || l.err != nil {
		buf = l.appendRepair(buf)
	}
	if event != nil {
		buf = append(event.AppendJSON(buf), '\n')
	}
	err := l.write(buf)
	if err != nil && event != nil {
		l.lost++
	}
	if cap(buf) <= maxKeptBuffer {
		l.buf = buf
	}
	return err
}

// appendRepair completes what a failed write left behind and says that something is missing.
func (l *Log) appendRepair(buf []byte) []byte {
	if l.torn {
		buf = append(buf, '\n')
	}
	cause := "open"
	if l.err != nil {
		cause = "write"
	}
	repair := LogRepair{Cause: cause, Lost: l.lost}
	return append(repair.AppendJSON(buf), '\n')
}

func (l *Log) write(buf []byte) error {
	n, err := l.file.Write(buf)
	if err == nil && n < len(buf) {
		err = io.ErrShortWrite
	}
	if n > 0 {
		l.torn = buf[n-1] != '\n'
	}
	if err != nil {
		if l.err == nil {
			l.logger.Error("audit log cannot be written", "error", err)
		}
		l.err = fmt.Errorf("append to audit log: %w", err)
		return l.err
	}
	if l.err != nil {
		l.logger.Info("audit log can be written again", "lost_events", l.lost)
	}
	l.err, l.lost = nil, 0
	return nil
}

// Healthy is the error of the last write, or nil. When there is one it tries to write a LogRepair, so that a log recovers without a client.
func (l *Log) Healthy() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return ErrClosed
	}
	if l.err == nil {
		return nil
	}
	return l.append(nil)
}

// Reopen opens the file by its name again, for use after logrotate has moved it. On an error the old file stays in use.
func (l *Log) Reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	file, torn, err := l.open()
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	old := l.file
	l.file, l.torn = file, torn
	if torn {
		l.logger.Warn("audit log ended in the middle of a line")
		if err := l.append(nil); err != nil {
			l.file = old
			return errors.Join(err, file.Close())
		}
	}
	if old != nil {
		return old.Close()
	}
	return nil
}

// Close syncs and closes the file. Append fails afterwards.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Sync()
	if errors.Is(err, syscall.EINVAL) { // a pipe, /dev/null
		err = nil
	}
	err = errors.Join(err, l.file.Close())
	l.file, l.closed = nil, true
	return err
}

// open opens the file and says whether its last line lacks its end.
func (l *Log) open() (file *os.File, torn bool, err error) {
	// O_NONBLOCK: a named pipe without a reader is an error instead of a wait. O_RDWR: the last byte is read once.
	flags := os.O_RDWR | os.O_APPEND | os.O_CREATE | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	if info, err := os.Lstat(l.path); err == nil {
		if err := l.acceptable(info); err != nil {
			return nil, false, err
		}
		if !info.Mode().IsRegular() {
			flags = os.O_WRONLY | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
		}
	}
	file, err = os.OpenFile(l.path, flags, 0o600)
	if err != nil {
		return nil, false, err
	}
	torn, err = l.inspect(file)
	if err != nil {
		return nil, false, errors.Join(err, file.Close())
	}
	return file, torn, nil
}

// inspect checks what was really opened.
func (l *Log) inspect(file *os.File) (torn bool, err error) {
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	if err := l.acceptable(info); err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return false, nil
	}
	var last [1]byte
	if _, err := file.ReadAt(last[:], info.Size()-1); err != nil {
		return false, fmt.Errorf("read its last byte: %w", err)
	}
	return last[0] != '\n', nil
}

func (l *Log) acceptable(info fs.FileInfo) error {
	mode := info.Mode()
	switch {
	case mode.IsRegular() && mode.Perm()&0o022 != 0:
		return fmt.Errorf("%s may be written by others (mode %#o): chmod 0600", l.path, mode.Perm())
	case mode.IsRegular():
		return nil
	case l.path == os.DevNull && mode&fs.ModeCharDevice != 0:
		return nil
	case mode&fs.ModeNamedPipe != 0 && l.allowPipe:
		return nil
	}
	return fmt.Errorf("%s is not a regular file (%s)", l.path, mode.Type())
}
