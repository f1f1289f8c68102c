package gateway

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/wire"
)

// exchanging is a standing judge with its reporter, and an audit log that keeps what it is given.
type exchanging struct {
	*standing
	reporter *reporter
	backend  bytes.Reader // what the backend answers
}

func newExchanging(tb testing.TB) *exchanging {
	tb.Helper()
	x := &exchanging{standing: newStanding(tb)}
	log, err := audit.Open(audit.Config{Path: filepath.Join(tb.TempDir(), "audit.log")})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = log.Close() })
	client, other := net.Pipe() // for its deadlines
	tb.Cleanup(func() { _, _ = client.Close(), other.Close() })
	r := x.judge.relay
	r.log, r.client = log, client
	x.reporter = &reporter{relay: r, pipe: wire.NewPipe(io.Discard, &x.backend, ofBackend)}
	return x
}

// turn has the judge dispose of what the client sends, and the reporter of what the backend answers.
func (x *exchanging) turn(tb testing.TB, asked, answered []byte) {
	x.client.Reset(asked)
	if err := x.judge.pipe.Fill(); err != nil {
		tb.Fatal(err)
	}
	if err := x.judge.dispose(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	x.backend.Reset(answered)
	if err := x.reporter.pipe.Fill(); err != nil {
		tb.Fatal(err)
	}
	if err := x.reporter.dispose(); err != nil {
		tb.Fatal(err)
	}
	if busy, _ := x.reporter.queue.busy(); busy {
		tb.Fatal("an answer is owed yet")
	}
}

// replies is messages as the backend sends them.
func replies(tb testing.TB, messages ...pgproto3.BackendMessage) []byte {
	tb.Helper()
	var all []byte
	for _, m := range messages {
		var err error
		if all, err = m.Encode(all); err != nil {
			tb.Fatal(err)
		}
	}
	return all
}

// turns are what a driver asks again and again, and what it is answered.
var turns = []struct {
	name string
	next func(tb testing.TB, x *exchanging) (asked func() []byte, answered []byte)
}{
	{"prepared", func(tb testing.TB, x *exchanging) (func() []byte, []byte) {
		x.turn(tb, encoded(tb, parse("s", preparedQuery), &pgproto3.Sync{}), replies(tb, &pgproto3.ParseComplete{}, readyIdle))
		describe := &pgproto3.Describe{ObjectType: 'P'}
		return same(encoded(tb, bind("", "s"), describe, execute(""), &pgproto3.Sync{})),
			replies(tb, &pgproto3.BindComplete{}, orderRows, orderRow, selected, readyIdle)
	}},
	{"literals-100B", func(tb testing.TB, _ *exchanging) (func() []byte, []byte) {
		return newVarying(tb, 100).next, replies(tb, orderRows, orderRow, selected, readyIdle)
	}},
}

// What the backend says to a SELECT of one row.
var (
	orderRows = &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("id"), DataTypeOID: 23, DataTypeSize: 4}}}
	orderRow  = &pgproto3.DataRow{Values: [][]byte{[]byte("1007")}}
	selected  = &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}
	readyIdle = &pgproto3.ReadyForQuery{TxStatus: wire.Idle}
)

// BenchmarkExchange is all that the gateway does about a statement between reading and writing, with an audit log.
func BenchmarkExchange(b *testing.B) {
	for _, test := range turns {
		b.Run(test.name, func(b *testing.B) {
			x := newExchanging(b)
			asked, answered := test.next(b, x)
			for range 10 {
				x.turn(b, asked(), answered)
			}
			measure(b, func() { x.turn(b, asked(), answered) })
		})
	}
}

// TestExchangeDoesNotAllocate: neither to judge a statement that is asked again nor to answer it, nor to record both.
func TestExchangeDoesNotAllocate(t *testing.T) {
	for _, test := range turns {
		t.Run(test.name, func(t *testing.T) {
			x := newExchanging(t)
			asked, answered := test.next(t, x)
			for range 10 {
				x.turn(t, asked(), answered)
			}
			const hashes = 4 // two leaves', and on the average two nodes'
			if n := testing.AllocsPerRun(200, func() { x.turn(t, asked(), answered) }); n > hashes*hashAllocations {
				t.Errorf("%v allocations for an exchange", n)
			}
		})
	}
}
