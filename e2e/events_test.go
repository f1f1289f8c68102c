package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/e2e/stack"
)

// event is one line of the audit log, as far as tests look at it.
type event struct {
	Type         string
	Session      string
	Application  string `json:"application_name"`
	StatedReason string `json:"stated_reason"`
	ClaimedUser  string `json:"claimed_user"`
	Client       string `json:"client_address"`
	User         string
	Method       string
	Allow        bool
	ID           string
	Decision     string
	Reasons      []string
	Groups       []string
	Text         string
	TextDigest   string `json:"text_digest"`
	Protocol     string
	Status       string
	Command      string
	SQLState     string `json:"sqlstate"`
	Rows, Bytes  int
	Duration     int64  `json:"duration_us"`
	Judge        int64  `json:"judge_us"`
	Wait         int64  `json:"wait_us"`
	Backend      int64  `json:"backend_us"`
	BackendHost  string `json:"backend_host"`
	Normalized   string
	Reason       string
	Revocation   string
	BackendRole  string `json:"backend_role"`
	Lease        string
	Credential   string
	Claimed      bool
	Statements   int
	Observe      bool
	Revision     string `json:"policy_revision"`
	Action       string
	Ended        bool
	State        string
}

// followed are the audit logs that were read before, by path: that of the shared gateway grows to some hundred megabytes.
var followed sync.Map

// log is what was read of an audit log so far.
type log struct {
	mu     sync.Mutex
	file   os.FileInfo
	read   int64 // bytes
	events []event
	texts  map[string]string // by digest: the log has each once
}

// events reads the whole audit log of a gateway. A torn line is an error.
func events(t *testing.T, g *stack.Gateway) []event {
	t.Helper()
	l, _ := followed.LoadOrStore(g.Audit, new(log))
	out, err := l.(*log).follow(g.Audit)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// follow reads on where it ended, or from the start where the file is another.
func (l *log) follow(path string) ([]event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(info, l.file) || info.Size() < l.read {
		l.read, l.events, l.texts = 0, nil, make(map[string]string)
	}
	l.file = info
	data, err := io.ReadAll(io.NewSectionReader(file, l.read, math.MaxInt64-l.read))
	if err != nil {
		return nil, err
	}
	// The last line may be being written.
	data = data[:bytes.LastIndexByte(data, '\n')+1]
	for line := range bytes.Lines(data) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("audit line %q: %w", line, err)
		}
		if e.Text != "" {
			l.texts[e.TextDigest] = e.Text
		}
		e.Text = l.texts[e.TextDigest]
		l.events = append(l.events, e)
	}
	l.read += int64(len(data))
	return slices.Clip(l.events), nil
}

// ended waits for the end of the one session with this application_name and
// returns its events, in order.
func ended(t *testing.T, g *stack.Gateway, application string) []event {
	t.Helper()
	return allEnded(t, g, application, 1)[0]
}

// allEnded is the same for a client that connects n times, in the order in
// which it did.
func allEnded(t *testing.T, g *stack.Gateway, application string, n int) [][]event {
	t.Helper()
	var out [][]event
	eventually(t, 10*time.Second, func() error {
		out = bySession(events(t, g), application)
		if len(out) > n {
			t.Fatalf("%d sessions with application_name %q, want %d", len(out), application, n)
		}
		ends := 0
		for _, session := range out {
			ends += count(session, "session_end")
		}
		if ends < n {
			return fmt.Errorf("%d of %d session_end for application_name %q", ends, n, application)
		}
		return nil
	})
	return out
}

// bySession are the events of each session with this application_name.
func bySession(all []event, application string) [][]event {
	var out [][]event
	position := make(map[string]int)
	for _, e := range all {
		if e.Type == "session_start" && e.Application == application {
			position[e.Session] = len(out)
			out = append(out, nil)
		}
		if i, ok := position[e.Session]; ok {
			out[i] = append(out[i], e)
		}
	}
	return out
}

// count counts the events of a type.
func count(all []event, kind string) int {
	n := 0
	for _, e := range all {
		if e.Type == kind {
			n++
		}
	}
	return n
}

// sequence is the types of the events of a session, in one string.
func sequence(all []event) string {
	types := make([]string, len(all))
	for i, e := range all {
		types[i] = e.Type
	}
	return strings.Join(types, " ")
}

// find returns the events of a type whose text contains something.
func find(all []event, kind, text string) []event {
	var out []event
	for _, e := range all {
		if e.Type == kind && strings.Contains(e.Text, text) {
			out = append(out, e)
		}
	}
	return out
}

// backendLog is what PostgreSQL has logged so far.
func backendLog(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(shared.services.Postgres.Log)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
