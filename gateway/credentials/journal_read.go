package credentials

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// maxJournalLine is many times what a lease needs.
const maxJournalLine = 16 << 10

// Entry is a lease that is open as far as the journal knows.
type Entry struct {
	ID       string    `json:"id"` // Vault's; it shows no secret, but who has it and may revoke can end the session
	Role     string    `json:"role"`
	Username string    `json:"username"`
	Issued   time.Time `json:"issued"`
	Expires  time.Time `json:"expires"` // as issued: it may have been renewed since
}

// Hash names the lease as [Lease.IDHash] does.
func (e Entry) Hash() string { return Lease{ID: e.ID}.IDHash() }

// line is one line of the journal: exactly one of its fields is there.
type line struct {
	Opened *Entry `json:"opened,omitempty"`
	Ended  string `json:"ended,omitempty"` // its hash
}

// ReadJournal returns the leases that are open, the oldest first, also while a gateway uses the file.
func ReadJournal(path string) ([]Entry, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read lease journal: %w", err)
	}
	defer func() { _ = file.Close() }()
	open, _, err := entries(file)
	if err != nil {
		return nil, fmt.Errorf("read lease journal %s: %w", path, advised(err, path))
	}
	return slices.SortedFunc(maps.Values(open), func(a, b Entry) int { return a.Issued.Compare(b.Issued) }), nil
}

// entries reads what is open. The last line may be torn, and torn is how long it is: its lease was not used. Zeros are torn too, as a
// machine that crashed may leave them in place of what had not been synced.
func entries(r io.Reader) (open map[string]Entry, torn int64, err error) {
	open = make(map[string]Entry)
	lines := bufio.NewReaderSize(r, maxJournalLine)
	for n := 1; ; n++ {
		text, err := lines.ReadSlice('\n')
		zeros := bytes.IndexByte(text, 0)
		switch {
		case zeros >= 0:
			left, nothing := zeroed(io.MultiReader(bytes.NewReader(text[zeros:]), lines))
			if !nothing {
				return nil, 0, fmt.Errorf("line %d: %w", n, errZeroedWithin)
			}
			return open, int64(zeros) + left, nil
		case errors.Is(err, io.EOF):
			return open, int64(len(text)), nil
		case err != nil:
			return nil, 0, fmt.Errorf("line %d: %w", n, err)
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil || (l.Opened == nil) == (l.Ended == "") {
			return nil, 0, fmt.Errorf("line %d is not a journal's: move the file away, and look for roles that were left behind", n)
		}
		if l.Opened == nil {
			delete(open, l.Ended)
			continue
		}
		open[l.Opened.Hash()] = *l.Opened
	}
}

// errZeroedWithin is what no crash explains: a line is synced with all that stands before it.
var errZeroedWithin = errors.New("there are NUL bytes, and something follows them: the disk has lost leases that were open")

// zeroed says how long the rest is, and whether it is nothing but zeros.
func zeroed(r io.Reader) (length int64, nothing bool) {
	buffer := make([]byte, maxJournalLine)
	for {
		n, err := r.Read(buffer)
		length += int64(n)
		if bytes.ContainsFunc(buffer[:n], func(r rune) bool { return r != 0 }) {
			return length, false
		}
		if err != nil {
			return length, errors.Is(err, io.EOF)
		}
	}
}

// advised says what to do about an error, where the operator has to.
func advised(err error, path string) error {
	if !errors.Is(err, errZeroedWithin) {
		return err
	}
	file := "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	return fmt.Errorf("%w; keep a copy and go on without them: `cp %s %s.damaged && sed -i '/\\x00/d' %s`; then look for roles that were left behind (sallyport leases)",
		err, file, file, file)
}
