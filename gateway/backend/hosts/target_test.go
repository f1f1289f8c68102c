package hosts

import (
	"errors"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/gateway/backend"
)

// TestTargets: which server does for which target is libpq's table, whether the server reports what it is or has to be asked.
func TestTargets(t *testing.T) {
	w := newWorld(t)
	type server struct{ standby, readOnly bool }
	primary, frozen, standby := server{}, server{readOnly: true}, server{standby: true}
	for target, want := range map[Target][]server{
		Any:           {primary, frozen, standby},
		"":            {primary, frozen, standby},
		ReadWrite:     {primary},
		ReadOnly:      {frozen, standby},
		Primary:       {primary, frozen},
		Standby:       {standby},
		PreferStandby: {primary, frozen, standby},
		PreferPrimary: {primary, frozen, standby},
	} {
		for _, is := range []server{primary, frozen, standby} {
			for _, old := range []bool{false, true} {
				f := w.host(t, manner{standby: is.standby, readOnly: is.readOnly, old: old})
				_, err := at(t, set(t, target, f), Opening{})
				switch wanted := slices.Contains(want, is); {
				case wanted && err != nil:
					t.Errorf("%s refuses %+v (old: %v): %v", target, is, old, err)
				case !wanted && !errors.Is(err, backend.ErrUnsuited):
					t.Errorf("%s takes %+v (old: %v): %v", target, is, old, err)
				}
				var refused *backend.Error
				if errors.As(err, &refused) && !refused.Unavailable() {
					t.Errorf("%s: a failover cannot help: %v", target, err)
				}
			}
		}
	}
}

// TestQuestions: an older server is asked what libpq asks it, and any server only what has to be known.
func TestQuestions(t *testing.T) {
	w := newWorld(t)
	for target, want := range map[Target][]string{
		Any: nil, ReadWrite: {"SHOW transaction_read_only"}, ReadOnly: {"SHOW transaction_read_only"},
		Primary: {"SELECT pg_catalog.pg_is_in_recovery()"}, Standby: {"SELECT pg_catalog.pg_is_in_recovery()"},
	} {
		old, recent := w.host(t, manner{old: true}), w.host(t, manner{})
		_, _ = at(t, set(t, target, old), Opening{})
		_, _ = at(t, set(t, target, recent), Opening{})
		if got := old.questions(); !slices.Equal(got, want) {
			t.Errorf("%s: an old server was asked %q, want %q", target, got, want)
		}
		if got := recent.questions(); got != nil {
			t.Errorf("%s: a server that reports was asked %q", target, got)
		}
	}
}

// TestReadOnlyByTheGateway: what the gateway has set says nothing of the server.
func TestReadOnlyByTheGateway(t *testing.T) {
	w := newWorld(t)
	ours := Opening{Parameters: []backend.Parameter{{Name: "default_transaction_read_only", Value: "on"}}}
	for _, old := range []bool{false, true} {
		if _, err := at(t, set(t, ReadWrite, w.host(t, manner{old: old})), ours); err != nil {
			t.Errorf("old: %v: a primary: %v", old, err)
		}
		if _, err := at(t, set(t, ReadWrite, w.host(t, manner{old: old, standby: true})), ours); !errors.Is(err, backend.ErrUnsuited) {
			t.Errorf("old: %v: a standby: %v", old, err)
		}
		if _, err := at(t, set(t, ReadOnly, w.host(t, manner{old: old})), ours); !errors.Is(err, backend.ErrUnsuited) {
			t.Errorf("old: %v: a primary for read-only: %v", old, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("there may be no hosts")
	}
	if _, err := New(Config{Hosts: []backend.Config{{Host: "db"}}, Target: "master"}); err == nil {
		t.Error("any target may be named")
	}
}
