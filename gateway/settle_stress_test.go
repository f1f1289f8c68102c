package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/audit"
)

// traffic makes statements of which no two have the same words.
type traffic struct {
	random *rand.Rand
	count  int
	ends   bool // somebody cancels what is endless
}

// word is a statement that is complete at once.
func (m *traffic) word() string {
	m.count++
	return fmt.Sprintf("w%d", m.count)
}

// statement is one that a pipeline or a Query may have.
func (m *traffic) statement() string {
	switch m.random.IntN(12) {
	case 0:
		return "forbidden"
	case 1:
		return "fail"
	case 2:
		return "rows 40"
	case 3:
		if m.ends {
			return "endless 1"
		}
	case 4:
		return "copyout 30"
	}
	return m.word()
}

// next is what a client sends as one write.
func (m *traffic) next() (send []pgproto3.FrontendMessage) {
	switch m.random.IntN(6) {
	case 0:
		return []pgproto3.FrontendMessage{query(m.word() + "; " + m.statement())}
	case 1:
		send = append(send, query("copyin"))
		for range m.random.IntN(4) {
			send = append(send, &pgproto3.CopyData{Data: bytes.Repeat([]byte("x"), m.random.IntN(40_000))})
		}
		return append(send, &pgproto3.CopyDone{}, query(m.word()))
	case 2, 3:
		for range 1 + m.random.IntN(5) {
			send = append(send, parse("", m.statement()), bind("", ""), execute(""))
		}
		if m.random.IntN(4) == 0 {
			return append(send, &pgproto3.Flush{})
		}
		return append(send, syncMessage)
	}
	return []pgproto3.FrontendMessage{query(m.statement()), query(m.word())}
}

// limitsOfStress has some of the statements end by limits of their own.
func limitsOfStress(r *relay) {
	r.policy = &fakePolicy{obligations: map[string]authz.StatementDecision{
		"ROWS": {MaxRows: 20}, "ENDLESS": {StatementTimeout: 3 * time.Millisecond},
	}}
}

// TestSettleAtAnyMoment ends sessions amid whatever they do. Each must end in time, with whole messages and one FATAL that is the last, and with
// one outcome for each statement, which is what the backend did.
func TestSettleAtAnyMoment(t *testing.T) {
	ends := map[string]func(b *bench){
		"killed":     func(b *bench) { b.relay.end(fail(ReasonKilled, nil)) },
		"twice":      func(b *bench) { b.relay.end(fail(ReasonKilled, nil)); b.relay.end(fail(ReasonShutdown, nil)) },
		"drained":    func(b *bench) { b.relay.drain(); time.Sleep(time.Millisecond); b.relay.end(fail(ReasonShutdown, nil)) },
		"gone":       func(b *bench) { _ = b.conn.Close() },
		"no backend": func(b *bench) { b.backend.hangUp() },
	}
	for how, end := range ends {
		for name, pair := range transports {
			t.Run(how+" "+name, func(t *testing.T) {
				for range stressRounds {
					seed := rand.Uint64()
					t.Run(fmt.Sprint(seed), func(t *testing.T) { endAmid(t, pair, seed, how, end) })
				}
			})
		}
	}
}

// stressRounds are as many as the tests of every day have time for.
const stressRounds = 4

func endAmid(t *testing.T, pair transport, seed uint64, how string, end func(b *bench)) {
	m := &traffic{random: rand.New(rand.NewPCG(seed, 0)), ends: how != "gone" && how != "no backend"} // #nosec -- a test's
	limited, late := m.random.IntN(2) == 0, time.Duration(m.random.IntN(6_000))*time.Microsecond
	pause := time.Duration(m.random.IntN(500)) * time.Microsecond
	b := startOn(t, pair, func(r *relay) {
		if limited {
			limitsOfStress(r)
		}
		inner := r.cancel
		r.cancel = func(ctx context.Context) error { time.Sleep(pause); return inner(ctx) }
	})
	heard := make(chan []byte, 1)
	go func() {
		raw, _ := io.ReadAll(b.conn)
		heard <- raw
	}()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range 200 {
			for _, f := range m.next() {
				b.client.Send(f)
			}
			if b.client.Flush() != nil {
				return
			}
		}
	}()
	time.Sleep(late)
	began := time.Now()
	end(b)
	b.cause()
	if took := time.Since(began); took > settleTime-500*time.Millisecond {
		t.Errorf("ended after %v", took)
	}
	raw := <-heard
	_ = b.conn.Close()
	<-sent
	if how != "gone" {
		checkLastWords(t, b, raw, how)
	}
	b.checkTruth(t)
}

// checkLastWords wants what the client has read to be whole, and FATAL at its end; and what it was told to be complete to be so.
func checkLastWords(t *testing.T, b *bench, raw []byte, how string) {
	t.Helper()
	told := pgproto3.NewFrontend(bytes.NewReader(raw), io.Discard)
	fatal, completions := 0, map[string]int{}
	partly, left := false, len(raw)
	for {
		m, err := told.Receive()
		if err != nil {
			break
		}
		encoded, err := m.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		left -= len(encoded)
		if fatal > 0 {
			t.Errorf("%s after FATAL", word(m))
		}
		switch m := m.(type) {
		case *pgproto3.ErrorResponse:
			if m.Severity == "FATAL" {
				fatal++
				partly = strings.Contains(m.Detail, "not all of its rows")
			}
		case *pgproto3.CommandComplete:
			completions[string(m.CommandTag)]++
		}
	}
	if left != 0 {
		t.Errorf("%d bytes are no message", left)
	}
	if fatal != 1 {
		t.Errorf("%d FATAL", fatal)
	}
	if how == "no backend" || partly {
		return
	}
	for _, ran := range b.backend.executed() {
		if strings.HasPrefix(ran, "w") && completions[strings.ToUpper(ran)+" 1"] != 1 {
			t.Errorf("the client was told %d times that %q is complete", completions[strings.ToUpper(ran)+" 1"], ran)
		}
	}
}

// checkTruth wants one outcome for each statement, and none that did not happen.
func (b *bench) checkTruth(t *testing.T) {
	t.Helper()
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	outcomes := map[uint64]audit.Outcome{}
	for _, o := range b.log.outcomes {
		if was, twice := outcomes[o.Number]; twice {
			t.Errorf("statement %d has the outcomes %s and %s", o.Number, was.Status, o.Status)
		}
		outcomes[o.Number] = o
	}
	ran := b.backend.executed()
	known, happened := map[string]bool{}, map[string]bool{}
	for _, s := range b.log.statements { // a Bind behind a Parse that was denied is of the text before, and discarded
		switch o := outcomes[s.Number]; o.Status {
		case audit.StatusSkipped, audit.StatusDenied, audit.StatusBound:
		default:
			happened[s.Text.String()] = true
		}
	}
	for _, s := range b.log.statements {
		o, ok := outcomes[s.Number]
		if !ok {
			t.Errorf("%s has no outcome", s.Text.String())
			continue
		}
		parts := strings.Split(s.Text.String(), "; ")
		for i, part := range parts {
			known[part] = true
			if !strings.HasPrefix(part, "w") {
				continue
			}
			did := slices.Contains(ran, part)
			switch o.Status {
			case audit.StatusSkipped, audit.StatusDenied, audit.StatusBound:
				if did && !happened[s.Text.String()] {
					t.Errorf("%q has run, and is %s", s.Text.String(), o.Status)
				}
			case audit.StatusUnknown:
			case audit.StatusCompleted:
				if !did {
					t.Errorf("%q has not run, and is %s", s.Text.String(), o.Status)
				}
			default:
				if len(parts) == 1 || i == 0 && !did {
					t.Errorf("%q is %s", s.Text.String(), o.Status)
				}
			}
		}
	}
	for _, text := range ran {
		if text == "forbidden" || !known[text] {
			t.Errorf("%q has run", text)
		}
	}
}
