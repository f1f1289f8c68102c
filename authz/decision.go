package authz

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	// maxReasons and maxReasonRunes bound what a denial carries to the client and to the audit log: one text can name hundreds of tables.
	maxReasons     = 16
	maxReasonRunes = 300
	// maxSeconds bounds the durations a policy may give, at a year: a larger number is a unit mistaken, not a session length.
	maxSeconds = 366 * 24 * 60 * 60
	// maxCount bounds the numbers of rows, bytes and the like, at what every JSON reader can hold.
	maxCount = 1 << 53
)

// document reads a decision document key by key and remembers the first thing wrong with it. What is left over in the end is a key
// nobody knows: a typo in a policy must not silently be no limit.
type document struct {
	fields map[string]any
	err    error
}

func newDocument(value any) *document {
	fields, ok := value.(map[string]any)
	if !ok {
		return &document{err: errors.New("not an object")}
	}
	return &document{fields: fields}
}

func (d *document) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

func (d *document) take(key string) (any, bool) {
	value, ok := d.fields[key]
	delete(d.fields, key)
	return value, ok
}

func (d *document) boolean(key string, required bool) bool {
	value, ok := d.take(key)
	if !ok {
		if required {
			d.fail("%s is missing", key)
		}
		return false
	}
	b, ok := value.(bool)
	if !ok {
		d.fail("%s is not a boolean", key)
	}
	return b
}

func (d *document) text(key string) string {
	value, ok := d.take(key)
	if !ok {
		return ""
	}
	s, ok := value.(string)
	if !ok {
		d.fail("%s is not a string", key)
	}
	return s
}

// duration reads a whole number of units between 0 and maxSeconds.
func (d *document) duration(key string, unit time.Duration) time.Duration {
	return time.Duration(d.number(key, int64(maxSeconds*time.Second/unit))) * unit
}

// count reads a whole number between 0 and maxCount.
func (d *document) count(key string) uint64 {
	return uint64(d.number(key, maxCount)) // #nosec -- not negative
}

// number reads a whole number between 0 and the most.
func (d *document) number(key string, most int64) int64 {
	value, ok := d.take(key)
	if !ok {
		return 0
	}
	number, ok := value.(json.Number)
	if !ok {
		d.fail("%s is not a number", key)
		return 0
	}
	n, err := strconv.ParseInt(number.String(), 10, 64)
	if err != nil || n < 0 || n > most {
		d.fail("%s is not a whole number in its range", key)
		return 0
	}
	return n
}

// reasons reads the list of reasons, bounded and printable: they carry names a client chose.
func (d *document) reasons() []string {
	if _, ok := d.fields["reasons"]; !ok {
		d.fail("reasons is missing")
	}
	return d.texts("reasons")
}

// texts reads a list of texts, bounded and printable; nil when it is missing.
func (d *document) texts(key string) []string {
	value, ok := d.take(key)
	if !ok {
		return nil
	}
	list, err := texts(value)
	if err != nil {
		d.fail("%s: %w", key, err)
	}
	return list
}

func texts(value any) ([]string, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, errors.New("not a set or array of strings")
	}
	result := make([]string, 0, min(len(list), maxReasons+1))
	for i, item := range list {
		s, ok := item.(string)
		if !ok {
			return nil, errors.New("not a set or array of strings")
		}
		if i == maxReasons {
			return append(result, fmt.Sprintf("and %d more", len(list)-maxReasons)), nil
		}
		result = append(result, printable(s))
	}
	return result, nil
}

func (d *document) finish() error {
	if d.err == nil && len(d.fields) > 0 {
		d.fail("unknown key %s", slices.Sorted(maps.Keys(d.fields))[0])
	}
	return d.err
}

func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > maxReasonRunes {
		return string(runes[:maxReasonRunes-1]) + "…"
	}
	return s
}

// bindValues reads one of the words for what is kept of bind values; "off" is as if there was none.
func (d *document) bindValues() BindValues {
	switch v := BindValues(d.text("bind_values")); v {
	case "", BindValuesOff:
		return ""
	case BindValuesTypes, BindValuesRedacted, BindValuesFull:
		return v
	default:
		d.fail("bind_values is not off, types, redacted or full")
		return ""
	}
}

func decodeConnect(value any) (*ConnectDecision, error) {
	d := newDocument(value)
	decision := &ConnectDecision{
		Allow:            d.boolean("allow", true),
		Reasons:          d.reasons(),
		Role:             d.text("role"),
		Route:            d.text("route"),
		Observe:          d.boolean("observe", false),
		ReadOnly:         d.boolean("read_only", false),
		MaxSession:       d.duration("max_session_seconds", time.Second),
		IdleTimeout:      d.duration("idle_timeout_seconds", time.Second),
		StatementTimeout: d.duration("statement_timeout_ms", time.Millisecond),
		MaxRows:          d.count("max_rows"),
		MaxBytes:         d.count("max_bytes"),
		MaxRowsPerHour:   d.count("max_rows_per_hour"),
		MaxBytesPerHour:  d.count("max_bytes_per_hour"),
		MaxSessions:      d.count("max_sessions"),

		MaxStatementsPerSecond: d.count("max_statements_per_second"),

		BindValues: d.bindValues(),
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	if !decision.Allow {
		return &ConnectDecision{Reasons: decision.Reasons}, nil // a denial grants nothing
	}
	if decision.Role == "" {
		return nil, errors.New("allow without a role")
	}
	return decision, nil
}

func decodeStatement(value any) (*StatementDecision, error) {
	d := newDocument(value)
	decision := &StatementDecision{
		Allow:    d.boolean("allow", true),
		Reasons:  d.reasons(),
		ReadOnly: d.boolean("read_only", false),
		MaxRows:  d.count("max_rows"),
		MaxBytes: d.count("max_bytes"),
		Warnings: d.texts("warn"),

		StatementTimeout: d.duration("statement_timeout_ms", time.Millisecond),
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	if !decision.Allow {
		return &StatementDecision{Reasons: decision.Reasons}, nil
	}
	return decision, nil
}
