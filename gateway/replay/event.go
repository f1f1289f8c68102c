package replay

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
)

// maxLineBytes bounds a line. The longest text that a log may keep is a mebibyte, and each byte of it takes six at most.
const maxLineBytes = 8 << 20

// event is what a replay reads of a line; see package audit for the fields.
type event struct {
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`
	Session string    `json:"session"`

	Database      string `json:"database"`
	ClientAddress string `json:"client_address"`
	Application   string `json:"application_name"`
	Replication   string `json:"replication"`

	User       string   `json:"user"`
	Method     string   `json:"method"`
	Issuer     string   `json:"issuer"`
	Subject    string   `json:"subject"`
	Name       string   `json:"name"`
	Groups     []string `json:"groups"`
	Allow      bool     `json:"allow"`
	Reasons    []string `json:"reasons"`
	Role       string   `json:"role"`
	Route      string   `json:"route"`
	Observe    bool     `json:"observe"`
	SearchPath []string `json:"search_path"`

	ID         string  `json:"id"`
	Protocol   string  `json:"protocol"`
	Decision   string  `json:"decision"`
	SQLSTATE   string  `json:"sqlstate"`
	Text       *string `json:"text"`
	Truncated  bool    `json:"text_truncated"`
	Redacted   bool    `json:"text_redacted"`
	Digest     string  `json:"text_digest"`
	Incomplete bool    `json:"incomplete"`
	Resolved   bool    `json:"resolved"`

	Relations []string `json:"relations"`
}

func (e *event) identity() authz.Identity {
	groups := e.Groups
	if groups == nil {
		groups = []string{}
	}
	return authz.Identity{User: e.User, Method: e.Method, Issuer: e.Issuer, Subject: e.Subject, Name: e.Name, Groups: groups}
}

// more is how a list ends that was too long for the log.
var more = regexp.MustCompile(`^\+[0-9]+ more$`)

// otherMeaning says whether a statement that was judged by what its names meant is about other relations now. It does not when the log does not
// hold all that was known.
func (e *event) otherMeaning(relations []string) bool {
	cut := func(line string) bool { return strings.HasSuffix(line, "…") }
	if !e.Resolved || isCut(e.Relations) || slices.ContainsFunc(e.Relations, cut) {
		return false
	}
	return !slices.Equal(e.Relations, relations)
}

func isCut(list []string) bool {
	return len(list) > 0 && more.MatchString(list[len(list)-1])
}

// lines reads a log line by line.
type lines struct {
	reader *bufio.Reader
	buf    []byte
}

var errLong = errors.New("the line is longer than an event can be")

// next returns the next line, which is good until the next call; io.EOF at the end.
func (l *lines) next() ([]byte, error) {
	l.buf = l.buf[:0]
	for {
		part, err := l.reader.ReadSlice('\n')
		if len(l.buf) <= maxLineBytes {
			l.buf = append(l.buf, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(l.buf) == 0:
			return nil, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		case len(l.buf) > maxLineBytes:
			return nil, errLong
		}
		return bytes.TrimSuffix(l.buf, []byte("\n")), nil
	}
}

// outcomeMark is in the first bytes of the lines that are of no interest and half of all.
var outcomeMark = []byte(`"type":"outcome",`)

// headBytes are enough for time and type.
const headBytes = 64

// parse reads a line. ok is false when it is not an event, e.g. the torn end of a log whose gateway was killed.
func parse(line []byte, e *event) (ok bool) {
	*e = event{}
	if bytes.Contains(line[:min(len(line), headBytes)], outcomeMark) {
		e.Type = "outcome"
		return true
	}
	return json.Unmarshal(line, e) == nil && e.Type != ""
}
