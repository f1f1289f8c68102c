package gateway

import (
	"strconv"
	"testing"
	"time"
)

func TestHourSlides(t *testing.T) {
	began := time.Date(2026, 3, 2, 9, 0, 30, 0, time.UTC)
	bound := caps{rows: 3, bytes: 100}
	h := &hour{}
	steps := []struct {
		at    time.Duration
		bytes uint64
		want  limit
	}{
		{0, 10, limitNone},
		{59 * time.Minute, 10, limitNone},
		{60 * time.Minute, 10, limitNone},
		{60 * time.Minute, 0, limitRows},
		{61 * time.Minute, 0, limitNone}, // the first has left
		{61 * time.Minute, 0, limitRows},
		{30 * time.Minute, 0, limitRows}, // a clock that was set back forgets nothing
		{10 * time.Hour, 100, limitNone},
		{10 * time.Hour, 1, limitBytes},
		{10 * time.Hour, 0, limitNone},
	}
	for i, s := range steps {
		if got := h.take(began.Add(s.at), bound, s.bytes); got != s.want {
			t.Errorf("step %d: got %q, want %q", i, got, s.want)
		}
	}
	if h.empty(began.Add(10 * time.Hour)) {
		t.Error("empty within the hour")
	}
	if !h.empty(began.Add(12 * time.Hour)) {
		t.Error("not empty after it")
	}
}

func TestIdentities(t *testing.T) {
	now := time.Now()
	var all identities
	first, err := all.join("ana", now)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := all.join("ana", now); err != nil || second != first {
		t.Errorf("got %p, %v, want %p", second, err, first)
	}
	first.hour.take(now, caps{}, 1)
	all.leave("ana", now)
	all.leave("ana", now)
	if again, err := all.join("ana", now); err != nil || again != first {
		t.Error("what was delivered within the hour is forgotten")
	}
	if _, err := all.join("bob", now); err != nil {
		t.Fatal(err)
	}
	all.leave("bob", now)
	if all.known["bob"] != nil {
		t.Error("an identity that was delivered nothing is kept")
	}
}

func TestIdentitiesAreBounded(t *testing.T) {
	now := time.Now()
	var all identities
	for i := range maxIdentities {
		who, err := all.join(strconv.Itoa(i), now)
		if err != nil {
			t.Fatal(err)
		}
		who.hour.take(now, caps{}, 1)
		if i > 0 {
			all.leave(strconv.Itoa(i), now)
		}
	}
	if _, err := all.join("one more", now); err == nil {
		t.Error("more identities than there is room for")
	}
	if _, err := all.join("one more", now.Add(2*time.Hour)); err != nil {
		t.Errorf("those whose hour is over are in the way: %v", err)
	}
	if len(all.known) != 2 {
		t.Errorf("%d are kept, want the one with a session and the new one", len(all.known))
	}
}
