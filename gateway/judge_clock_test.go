package gateway

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/wire"
)

// TestClockIsReadAgain: what was read of the clock an hour ago is when a message was there, unless something was done since that takes time.
func TestClockIsReadAgain(t *testing.T) {
	const known = "SELECT amount FROM orders WHERE id = 1"
	tests := map[string]struct {
		since func(s *standing) error
		again bool
	}{
		"nothing":               {func(*standing) error { return nil }, false},
		"what runs nothing":     {func(s *standing) error { s.judge.begin(wire.Sync); return nil }, false},
		"another message":       {func(s *standing) error { s.judge.begin(wire.Parse); return nil }, false},
		"a text that is known":  {func(s *standing) error { return s.judge.prepare(t.Context(), []byte(known)).err }, false},
		"a text that is not":    {func(s *standing) error { return s.judge.prepare(t.Context(), []byte(known+"1")).err }, true},
		"a decision":            {func(s *standing) error { s.judge.ask(t.Context(), &statement.Sheet{}); return nil }, true},
		"the catalog":           {func(s *standing) error { _, err := s.judge.await(t.Context(), s.judge.catalog.Fresh); return err }, true},
		"a wait":                {func(s *standing) error { return s.judge.held(func() error { return nil }) }, true},
		"a write":               {func(s *standing) error { return s.judge.flush() }, true},
		"a message of our own":  {func(s *standing) error { return s.judge.askForAnswers() }, true},
		"a message and a write": {func(s *standing) error { s.judge.begin(wire.Bind); return s.judge.flush() }, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStanding(t)
			if p := s.judge.prepare(t.Context(), []byte(known)); p.err != nil {
				t.Fatal(p.err)
			}
			hourAgo := time.Now().Add(-time.Hour)
			s.judge.clock, s.judge.fresh = hourAgo, true
			if err := tt.since(s); err != nil {
				t.Fatal(err)
			}
			s.judge.begin(wire.Execute)
			if again := !s.judge.began.Equal(hourAgo); again != tt.again {
				t.Errorf("it was read again: %v, want %v", again, tt.again)
			}
		})
	}
}

// TestClockAfterRecord: what follows a statement begins when that is recorded, not when it was there.
func TestClockAfterRecord(t *testing.T) {
	s := newStanding(t)
	s.judge.began = time.Now().Add(-time.Hour)
	if _, d := s.judge.record(&prepared{known: &opinion{}}, verdict{allow: true}, audit.ProtocolBind, "", ""); d != nil {
		t.Fatal(d.message)
	}
	s.judge.begin(wire.Execute)
	if age := time.Since(s.judge.began); age > 30*time.Minute || age < 0 {
		t.Errorf("it began %v ago", age)
	}
}
