package gateway

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/catalog"
	"github.com/sallyport/sallyport/gateway/metrics"
	"github.com/sallyport/sallyport/gateway/wire"
)

// discard takes events and keeps none.
type discard struct{ auditLog }

func (discard) Append(audit.Event) error { return nil }

// standing is a judge with everything real behind it but the connections and the log: the default policy and a statement worker.
type standing struct {
	judge    *judge
	client   bytes.Reader // what the client sends
	finished []*run
}

func newStanding(tb testing.TB) *standing {
	tb.Helper()
	engine, err := authz.New(authz.Config{Directory: "../policies", Timeout: time.Minute})
	if err != nil {
		tb.Fatal(err)
	}
	log, err := audit.Open(audit.Config{Path: os.DevNull})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = log.Close() })
	identity := authz.Identity{User: "analyst@example.com", Method: "oidc", Issuer: "https://issuer.example", Subject: "1", Groups: []string{"a", "b"}}
	session := authz.Session{ID: "0123456789abcdef", Database: "app", ClientAddress: "192.0.2.1", Application: "app", SearchPath: []string{"app", "pg_temp"}}
	r := &relay{
		id: session.ID, limits: new(Limits{}.withDefaults()), timeouts: new(Timeouts{Decision: time.Minute}.withDefaults()), policy: engine,
		grant:    grant{policy: engine.Policy(), input: authz.ConnectInput{Identity: identity, Session: session}},
		analyzer: runPool(tb), log: discard{log}, metrics: newSessionMetrics(metrics.New(Labels()...)),
		logger: slog.New(slog.DiscardHandler), queue: newQueue(), names: &names{},
		catalog: known{ordersCatalog()},
		who:     audit.NewWho(audit.Statements{Session: session.ID, Identity: &audit.Identity{User: identity.User}, Database: session.Database}),
	}
	session.Role = "readonly"
	r.grant.Role = session.Role
	r.input = authz.StatementInput{Identity: identity, Session: session}
	s := &standing{}
	s.judge = newJudge(r)
	s.judge.pipe = wire.NewPipe(io.Discard, &s.client, r.limits.ofClient)
	return s
}

// known is a catalog that nothing changes in.
type known struct{ snapshot *catalog.Snapshot }

func (k known) Current(context.Context) (*catalog.Snapshot, error) { return k.snapshot, nil }
func (k known) Fresh(context.Context) (*catalog.Snapshot, error)   { return k.snapshot, nil }
func (k known) Now(time.Time) (*catalog.Snapshot, bool)            { return k.snapshot, true }
func (k known) Latest() *catalog.Snapshot                          { return k.snapshot }
func (k known) Changed()                                           {}

// ordersCatalog knows what the texts below name.
func ordersCatalog() *catalog.Snapshot {
	s := catalogOf("")
	orders := &catalog.Relation{Name: statement.Name{Schema: "app", Name: "orders"}, Kind: catalog.KindTable, Columns: []string{"id", "amount"}}
	s.Relations[orders.Name] = orders
	s.BuiltinOperators = map[string]bool{"=": true}
	return s
}

func runPool(tb testing.TB) *statement.Pool {
	tb.Helper()
	pool, err := statement.NewPool(statement.Config{Command: []string{os.Args[0], "statement-worker"}, Workers: 1, Timeout: 10 * time.Second})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = pool.Run(ctx) }()
	tb.Cleanup(func() { cancel(); <-ended })
	if err := pool.Wait(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return pool
}

// encoded is messages as the client sends them.
func encoded(tb testing.TB, messages ...pgproto3.FrontendMessage) []byte {
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

// take has the judge dispose of messages, and answers them as a backend would that does what it is asked.
func (s *standing) take(tb testing.TB, messages []byte) {
	s.client.Reset(messages)
	if err := s.judge.pipe.Fill(); err != nil {
		tb.Fatal(err)
	}
	if err := s.judge.step(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	if err := s.judge.pipe.Flush(); err != nil {
		tb.Fatal(err)
	}
	for e, ok := s.judge.queue.head(); ok; e, ok = s.judge.queue.head() {
		if e.run != nil && !e.bound {
			s.finished = append(s.finished, e.run)
		}
		if e.denial != nil {
			tb.Fatalf("denied: %s %s", e.denial.message, e.denial.detail)
		}
		if e.ready == 0 {
			s.judge.names.commit(e.ops)
			s.judge.queue.pop()
			continue
		}
		s.judge.names.commitCompletion(e.ops, -1)
		s.judge.names.transactionEnded()
		s.judge.queue.ready(wire.Idle)
		s.judge.spare.give(s.finished)
		s.finished = s.finished[:0]
	}
}

// varying is a Query of about size bytes that is another with every call of next, by its literals alone.
type varying struct {
	message []byte
	number  []byte // in message
}

func newVarying(tb testing.TB, size int) *varying {
	const number = "1000000"
	text := "SELECT id, amount FROM app.orders WHERE id = " + number
	for len(text) < size {
		text += " OR status = '" + strings.Repeat("x", min(30, max(5, size-len(text)-15))) + "'"
	}
	message := encoded(tb, query(text))
	at := bytes.Index(message, []byte(number))
	return &varying{message: message, number: message[at : at+len(number)]}
}

func (v *varying) next() []byte {
	for i := len(v.number) - 1; i > 0; i-- {
		if v.number[i]++; v.number[i] <= '9' {
			break
		}
		v.number[i] = '0'
	}
	return v.message
}

const (
	plainQuery    = "SELECT id, amount FROM app.orders WHERE id = 1007"
	preparedQuery = "SELECT id, amount FROM app.orders WHERE id = $1"
)

// again are the texts that are judged again and must cost next to nothing: how they are found, and the messages that bring them.
var again = []struct {
	name  string
	judge func(tb testing.TB, s *standing) func() (*prepared, error)
	next  func(tb testing.TB) func() []byte
}{
	{
		"prepared",
		func(tb testing.TB, s *standing) func() (*prepared, error) {
			s.take(tb, encoded(tb, parse("s", preparedQuery), &pgproto3.Sync{}))
			name := []byte("s")
			return func() (*prepared, error) { return s.judge.statementNamed(name) }
		},
		func(tb testing.TB) func() []byte {
			messages := encoded(tb, bind("", "s"), execute(""), &pgproto3.Sync{})
			return func() []byte { return messages }
		},
	},
	{"known-text", findingFacts(func(testing.TB) func() []byte { return same([]byte(plainQuery)) }), func(tb testing.TB) func() []byte {
		return same(encoded(tb, query(plainQuery)))
	}},
	{"literals-100B", findingFacts(varyingText(100)), varyingQuery(100)},
	{"literals-1kB", findingFacts(varyingText(1000)), varyingQuery(1000)},
}

func same(b []byte) func() []byte { return func() []byte { return b } }

func varyingQuery(size int) func(tb testing.TB) func() []byte {
	return func(tb testing.TB) func() []byte { return newVarying(tb, size).next }
}

func varyingText(size int) func(tb testing.TB) func() []byte {
	return func(tb testing.TB) func() []byte {
		v := newVarying(tb, size)
		return func() []byte { m := v.next(); return m[5 : len(m)-1] } // without type, length and NUL
	}
}

// findingFacts finds the facts of a Query's text.
func findingFacts(texts func(tb testing.TB) func() []byte) func(tb testing.TB, s *standing) func() (*prepared, error) {
	return func(tb testing.TB, s *standing) func() (*prepared, error) {
		next := texts(tb)
		return func() (*prepared, error) { return s.judge.read(tb.Context(), next()), nil }
	}
}

// judge decides about a text and records that.
func (s *standing) judgeAgain(tb testing.TB, find func() (*prepared, error)) {
	s.judge.began, s.judge.waited = time.Now(), 0
	p, err := find()
	if err != nil {
		tb.Fatal(err)
	}
	v, err := s.judge.decide(tb.Context(), p)
	if err != nil {
		tb.Fatal(err)
	}
	r, d := s.judge.record(p, v, audit.ProtocolQuery, "", "")
	if d != nil {
		tb.Fatalf("denied: %s %s", d.message, d.detail)
	}
	s.finished = append(s.finished[:0], r)
	s.judge.spare.give(s.finished)
}

// BenchmarkJudge is what judging costs when nothing has changed: to find the facts of a text, to decide, and to record it in a log that keeps
// nothing.
func BenchmarkJudge(b *testing.B) {
	for _, test := range again {
		b.Run(test.name, func(b *testing.B) {
			s := newStanding(b)
			find := test.judge(b, s)
			for range 10 {
				s.judgeAgain(b, find)
			}
			measure(b, func() { s.judgeAgain(b, find) })
		})
	}
}

// BenchmarkRelay is all that is done about the same texts between reading them and writing them to the backend, and to take their answers off
// the queue. For prepared it is a Bind, an Execute and a Sync.
func BenchmarkRelay(b *testing.B) {
	for _, test := range again {
		b.Run(test.name, func(b *testing.B) {
			s := newStanding(b)
			test.judge(b, s)
			next := test.next(b)
			for range 10 {
				s.take(b, next())
			}
			measure(b, func() { s.take(b, next()) })
		})
	}
}

func TestJudgingAgainDoesNotAllocate(t *testing.T) {
	for _, test := range again {
		t.Run(test.name, func(t *testing.T) {
			s := newStanding(t)
			find, next := test.judge(t, s), test.next(t)
			for range 10 {
				s.judgeAgain(t, find)
				s.take(t, next())
			}
			if n := testing.AllocsPerRun(200, func() { s.judgeAgain(t, find) }); n != 0 {
				t.Errorf("%v allocations to judge", n)
			}
			if n := testing.AllocsPerRun(200, func() { s.take(t, next()) }); n != 0 {
				t.Errorf("%v allocations to judge and forward", n)
			}
		})
	}
}

// measure also reports the processor time, which a machine that does something else beside leaves as it is.
func measure(b *testing.B, f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ReportAllocs()
	began := threadTime(b)
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(threadTime(b)-began)/float64(b.N), "cpu-ns/op")
}

func threadTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
