package gateway

import (
	"encoding/binary"
	"testing"
	"time"
)

func cancelBody(pid uint32, secret []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, pid), secret...)
}

func newKeys() *cancelKeys { return &cancelKeys{sessions: map[uint32]*session{}} }

func TestCancelKeys(t *testing.T) {
	for version, length := range map[uint32]int{protocol30: 4, protocol32: 32} {
		keys, s, other := newKeys(), &session{id: "s"}, &session{id: "other"}
		key := keys.issue(s, version)
		foreign := keys.issue(other, version)
		if len(key.secret) != length {
			t.Fatalf("protocol %x: a secret of %d bytes, want %d", version, len(key.secret), length)
		}
		if key.pid == 0 || key.pid>>31 != 0 || key.pid == foreign.pid {
			t.Errorf("process id %d", key.pid)
		}
		wrong := append([]byte(nil), key.secret...)
		wrong[length-1] ^= 1
		tests := map[string]struct {
			body []byte
			want *session
		}{
			"right":                    {cancelBody(key.pid, key.secret), s},
			"the other's":              {cancelBody(foreign.pid, foreign.secret), other},
			"empty":                    {nil, nil},
			"process id only":          {cancelBody(key.pid, nil), nil},
			"three bytes":              {cancelBody(key.pid, key.secret[:3]), nil},
			"a byte short":             {cancelBody(key.pid, key.secret[:length-1]), nil},
			"a byte more":              {cancelBody(key.pid, append(append([]byte(nil), key.secret...), 0)), nil},
			"a bit wrong":              {cancelBody(key.pid, wrong), nil},
			"another's secret":         {cancelBody(key.pid, foreign.secret), nil},
			"unknown process id":       {cancelBody(key.pid^1<<30, key.secret), nil},
			"longer than any key":      {cancelBody(key.pid, make([]byte, 257)), nil},
			"process id of no session": {cancelBody(0, make([]byte, length)), nil},
		}
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				got := keys.find(tt.body, time.Unix(1, 0))
				if got != tt.want {
					t.Errorf("found %v, want %v", got, tt.want)
				}
				if got != nil {
					keys.done()
				}
			})
		}
		keys.withdraw(key)
		if keys.find(cancelBody(key.pid, key.secret), time.Unix(9, 0)) != nil {
			t.Error("a withdrawn key still works")
		}
	}
}

// TestCancelKeysBoundGuesses: guesses for one process id are bounded by the second, and cost nobody else anything.
func TestCancelKeysBoundGuesses(t *testing.T) {
	keys, s, other := newKeys(), &session{}, &session{}
	key, foreign := keys.issue(s, protocol30), keys.issue(other, protocol30)
	now := time.Unix(100, 0)
	wrong := []byte{key.secret[0] ^ 1, 0, 0, 0}
	for range cancelRate {
		if keys.find(cancelBody(key.pid, wrong), now) != nil {
			t.Fatal("a wrong secret works")
		}
	}
	if keys.find(cancelBody(key.pid, key.secret), now) != nil {
		t.Error("guesses are not bounded: the next one is looked at")
	}
	if keys.find(cancelBody(foreign.pid, foreign.secret), now) != other {
		t.Error("guesses at one key cost the session of another its cancel")
	}
	keys.done()
	if keys.find(cancelBody(key.pid, key.secret), now.Add(time.Second)) != s {
		t.Error("the right secret does not work in the next second")
	}
}

func TestCancelKeysBoundWork(t *testing.T) {
	keys, s := newKeys(), &session{}
	key := keys.issue(s, protocol32)
	body := cancelBody(key.pid, key.secret)
	for range maxCancels {
		if keys.find(body, time.Unix(1, 0)) != s {
			t.Fatal("not found")
		}
	}
	if keys.find(body, time.Unix(1, 0)) != nil {
		t.Error("more requests are worked on than maxCancels")
	}
	keys.done()
	if keys.find(body, time.Unix(1, 0)) != s {
		t.Error("a request that is done leaves no room")
	}
}
