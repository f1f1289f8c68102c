package backend

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

const oneRow = "\x00\x01\x00\x00\x00\x02on"

// asked opens a session at a fake that answers a question with these messages, and asks it.
func asked(t *testing.T, answer func(f *fake)) (string, error) {
	t.Helper()
	cfg := serve(t, newIdentity(t, fakeHost), func(f *fake) {
		if !f.authenticated() {
			return
		}
		f.greet(goodParameters())
		if got, err := readMessage(f.conn); err != nil || got.kind != 'Q' || string(got.body) != "SHOW x\x00" {
			t.Errorf("asked %q, %v", got.body, err)
		}
		answer(f)
	})
	session, err := Open(t.Context(), cfg, fakeUser, Password(fakePassword), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	return session.Ask(ctx, "SHOW x")
}

func TestAsk(t *testing.T) {
	got, err := asked(t, func(f *fake) {
		f.say('N', "SNOTICE\x00\x00")
		f.say('T', "\x00\x01x\x00"+strings.Repeat("\x00", 18))
		f.say('D', oneRow)
		f.say('C', "SHOW\x00")
		f.say('Z', "I")
	})
	if got != "on" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestAskRefuses: what is no answer is none, and the session's error says at which stage it was.
func TestAskRefuses(t *testing.T) {
	for name, answer := range map[string]func(f *fake){
		"nothing":        func(f *fake) { f.say('Z', "I") },
		"two rows":       func(f *fake) { f.say('D', oneRow); f.say('D', oneRow); f.say('Z', "I") },
		"NULL":           func(f *fake) { f.say('D', "\x00\x01\xff\xff\xff\xff"); f.say('Z', "I") },
		"two values":     func(f *fake) { f.say('D', "\x00\x02"+oneRow[2:]+oneRow[2:]); f.say('Z', "I") },
		"too short":      func(f *fake) { f.say('D', "\x00\x01\x00"); f.say('Z', "I") },
		"trailing bytes": func(f *fake) { f.say('D', oneRow+"x"); f.say('Z', "I") },
		"an error":       func(f *fake) { f.say('E', "SERROR\x00C42501\x00Mno\x00\x00"); f.say('Z', "I") },
		"in transaction": func(f *fake) { f.say('D', oneRow); f.say('Z', "T") },
		"a question":     func(f *fake) { f.say('R', request(pgproto3.AuthTypeOk, "")) },
		"no end": func(f *fake) {
			for range maxAnswer {
				f.say('N', "SNOTICE\x00\x00")
			}
		},
		"silence": func(f *fake) { f.stall() },
		"the end": func(*fake) {},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := asked(t, answer)
			failure, ok := errors.AsType[*Error](err)
			if got != "" || !ok || failure.Stage != StageTarget {
				t.Errorf("got %q, %v", got, err)
			}
			if name == "silence" && !failure.Unavailable() {
				t.Errorf("nobody answered in time, and that is final: %v", err)
			}
		})
	}
}

// FuzzReadAnswer wants an answer to be refused, or to be one value before ReadyForQuery, and nothing behind that to be read.
func FuzzReadAnswer(f *testing.F) {
	f.Add(append(frame('D', oneRow), frame('Z', "I")...))
	f.Add(frame('D', "\x00\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		reader := bytes.NewReader(data)
		answer, err := readAnswer(reader)
		if err != nil {
			return
		}
		taken := data[:len(data)-reader.Len()]
		if !bytes.HasSuffix(taken, frame('Z', "I")) || !bytes.Contains(taken, []byte(answer)) {
			t.Errorf("%q is the answer of %q", answer, taken)
		}
	})
}
