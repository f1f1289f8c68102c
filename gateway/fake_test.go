package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/metrics"
)

// TestMain makes the test binary a statement worker when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "statement-worker" {
		os.Exit(statement.WorkerMain(os.Stdin, os.Stdout))
	}
	goleak.VerifyTestMain(m)
}

// fakeAnalyzer makes the sheet of the fake backend's language: one statement for each part of the text. It knows every text, so that all
// of them pass (read.go).
type fakeAnalyzer struct{}

// analyzed are the sheets it has made: the same for the same text.
var analyzed sync.Map

func (f fakeAnalyzer) AnalyzeAhead(_ context.Context, text string, _ func(*statement.Sheet)) (*statement.Sheet, error) {
	if strings.HasPrefix(text, "garbled") {
		return nil, &statement.SyntaxError{Message: `syntax error at or near "garbled"`, Position: 1}
	}
	sheet, _ := analyzed.LoadOrStore(text, f.sheet(text))
	return sheet.(*statement.Sheet), nil
}

func (f fakeAnalyzer) Known(text []byte, _ *statement.Memory) *statement.Sheet {
	sheet, _ := f.AnalyzeAhead(context.Background(), string(text), nil)
	return sheet
}

func (fakeAnalyzer) sheet(text string) *statement.Sheet {
	sheet := &statement.Sheet{Complete: true}
	for _, part := range strings.Split(text, ";") {
		word, rest, _ := strings.Cut(strings.TrimSpace(part), " ")
		name, _, _ := strings.Cut(rest, " ")
		s := statement.Statement{Command: strings.ToUpper(word), Class: statement.ClassQuery, Commands: []string{strings.ToUpper(word)}}
		switch word {
		case "begin", "commit", "rollback":
			s.Class = statement.ClassTransaction
		case "copyin", "copybroken":
			s.Class, s.Copy = statement.ClassCopy, &statement.Copy{Direction: "from", Endpoint: "client"}
		case "prepare", "deallocate", "execute", "declare", "fetch":
			s.Class, s.Prepared = statement.ClassSession, &statement.Prepared{Action: word, Name: name}
			if name == "all" {
				s.Prepared.Name = "*"
			}
		case "setpath":
			s.Class, s.Settings = statement.ClassSession, []statement.Setting{{Name: "search_path", Action: "set"}}
		case "setsome": // SELECT set_config(a, b, false), as the parser has it
			s.Settings = []statement.Setting{{Name: "*", Action: "set"}}
		case "dotted": // SELECT x.f FROM (SELECT 1) AS x
			s.Hints.Calls = []string{"f"}
		case "operated": // SELECT 1 @ 2
			s.Hints.Operators = []string{"@"}
		case "create":
			s.Class = statement.ClassDefinition
		default:
			s.Relations = []statement.Relation{{Name: "t", Access: []string{"select"}}}
		}
		if _, carries, _ := strings.Cut(rest, " "); carries == "setpath" {
			s.Settings = []statement.Setting{{Name: "search_path", Action: "set"}}
		}
		sheet.Statements = append(sheet.Statements, s)
	}
	return sheet
}

// fakePolicy denies texts with a statement whose command is FORBIDDEN, or that are incomplete, and fails on BROKEN ones.
type fakePolicy struct {
	policy      authz.Policy
	withdrawn   bool // the connect decision is no longer what it was
	grants      authz.ConnectDecision
	members     string                             // who is not in this group is not granted it; "": everybody is
	outcasts    string                             // who is in this group may read nothing; "": nobody is
	connects    atomic.Int32                       // connect decisions that were asked for
	obligations map[string]authz.StatementDecision // by command: what is allowed comes with these
}

func (f *fakePolicy) Policy() *authz.Policy { return &f.policy }

func (f *fakePolicy) Connect(_ context.Context, in *authz.ConnectInput) (*authz.ConnectDecision, error) {
	f.connects.Add(1)
	d := f.grants
	if d.Allow = !f.withdrawn && (f.members == "" || slices.Contains(in.Identity.Groups, f.members)); !d.Allow {
		d.Reasons = []string{"no longer granted"}
	}
	return &d, nil
}

func (f *fakePolicy) Statement(_ context.Context, in *authz.StatementInput) (*authz.StatementDecision, error) {
	d := &authz.StatementDecision{}
	if len(in.Statement.Statements) > 0 {
		*d = f.obligations[in.Statement.Statements[0].Command]
	}
	d.Allow, d.Cacheable, d.Revision = in.Statement.Complete, true, "r1"
	if !d.Allow {
		d.Reasons = in.Statement.Incomplete
	}
	if f.outcasts != "" && slices.Contains(in.Identity.Groups, f.outcasts) {
		d.Allow, d.Reasons = false, []string{"not for " + f.outcasts}
	}
	for _, s := range in.Statement.Statements {
		switch s.Command {
		case "FORBIDDEN":
			d.Allow, d.Reasons = false, []string{"forbidden is not granted"}
		case "BROKEN":
			return nil, errors.New("evaluation failed")
		}
	}
	return d, nil
}

// fakeAudit keeps the events, and refuses them while broken.
type fakeAudit struct {
	mu         sync.Mutex
	statements []audit.Statement
	outcomes   []audit.Outcome
	grants     []audit.GrantChange
	broken     bool
}

func (f *fakeAudit) Text(sql string) audit.Text { return audit.NewText(sql, 0) }

func (f *fakeAudit) PassingText(memory *audit.PassingText, sql []byte) audit.Text {
	return memory.Set(sql, 0)
}

func (f *fakeAudit) Append(e audit.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken {
		return errors.New("no space left on device")
	}
	switch e := e.(type) {
	case *audit.Statement:
		kept := *e
		kept.Text = e.Text.Clone()
		f.statements = append(f.statements, kept)
	case *audit.Outcome:
		f.outcomes = append(f.outcomes, *e)
	case *audit.GrantChange:
		f.grants = append(f.grants, *e)
	}
	return nil
}

func (f *fakeAudit) setBroken(broken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = broken
}

// lines renders the trail: one line a statement, with its outcome.
func (f *fakeAudit) lines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	outcomes := map[uint64][]string{}
	for _, o := range f.outcomes {
		line := string(o.Status)
		if o.SQLSTATE != "" {
			line += " " + o.SQLSTATE
		}
		outcomes[o.Number] = append(outcomes[o.Number], line)
	}
	var lines []string
	for _, s := range f.statements {
		lines = append(lines, strings.Join([]string{string(s.Protocol), s.Text.String(), "=", string(s.Decision), "→", strings.Join(outcomes[s.Number], " AND ")}, " "))
	}
	return lines
}

// bench is a relay between a scripted client and a fake backend.
type bench struct {
	t       *testing.T
	client  *pgproto3.Frontend
	conn    net.Conn
	backend *fakeBackend
	relay   *relay
	log     *fakeAudit
	result  chan *sessionError
}

// start runs a relay as in production. change may alter it first.
func start(t *testing.T, change func(r *relay)) *bench {
	t.Helper()
	return startOn(t, securePair, change)
}

// startOn runs a relay between connections of a kind.
func startOn(t *testing.T, pair transport, change func(r *relay)) *bench {
	t.Helper()
	clientEnd, clientSide := pair(t)
	backendEnd, backendSide := pair(t)
	b := &bench{
		t: t, conn: clientEnd, client: pgproto3.NewFrontend(clientEnd, clientEnd), backend: newFakeBackend(backendEnd),
		log: &fakeAudit{}, result: make(chan *sessionError, 1),
	}
	b.relay = &relay{
		id: "s", client: clientSide, backend: backendSide, limits: new(Limits{}.withDefaults()), timeouts: new(Timeouts{}.withDefaults()),
		clientPID: 1000, backendPID: 2000, analyzer: fakeAnalyzer{}, policy: &fakePolicy{}, log: b.log,
		metrics: newSessionMetrics(metrics.New(Labels()...)), logger: slog.New(slog.DiscardHandler),
		cancel: func(context.Context) error { b.backend.cancel(); return nil }, queue: newQueue(), names: &names{},
		who: audit.NewWho(audit.Statements{Session: "s", Identity: &audit.Identity{}}),
	}
	if change != nil {
		change(b.relay)
	}
	if p, ok := b.relay.policy.(*fakePolicy); ok && !p.withdrawn {
		b.relay.grant.policy = p.Policy()
	}
	ended := make(chan struct{})
	go func() { defer close(ended); b.backend.run() }()
	go func() {
		cause, _ := b.relay.run(context.Background())
		_ = clientSide.Close()
		_ = backendSide.Close()
		b.result <- cause
	}()
	t.Cleanup(func() {
		_ = clientEnd.Close()
		_ = backendEnd.Close()
		_ = clientSide.Close()
		_ = backendSide.Close()
		<-ended
	})
	_ = clientEnd.SetDeadline(time.Now().Add(10 * time.Second))
	return b
}

// tcpPair is a connection over loopback: the relay's deadlines and half-read messages must work as they do on sockets.
func tcpPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// send sends messages as one write.
func (b *bench) send(messages ...pgproto3.FrontendMessage) {
	b.t.Helper()
	for _, m := range messages {
		b.client.Send(m)
	}
	if err := b.client.Flush(); err != nil {
		b.t.Fatal(err)
	}
}

// receive reads up to n ReadyForQuery and renders what came, a word a message.
func (b *bench) receive(n int) []string {
	b.t.Helper()
	var got []string
	for n > 0 {
		m, err := b.client.Receive()
		if err != nil {
			b.t.Fatalf("after %q: %v", got, err)
		}
		got = append(got, word(m))
		if _, ready := m.(*pgproto3.ReadyForQuery); ready {
			n--
		}
	}
	return got
}

// rest reads to the end of the connection.
func (b *bench) rest() []string {
	b.t.Helper()
	var got []string
	for {
		m, err := b.client.Receive()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(err.Error(), "reset") {
				b.t.Fatalf("after %q: %v", got, err)
			}
			return got
		}
		got = append(got, word(m))
	}
}

// end closes the client and returns why the session ended.
func (b *bench) end() *sessionError {
	b.t.Helper()
	_ = b.conn.Close()
	return b.cause()
}

func (b *bench) cause() *sessionError {
	b.t.Helper()
	select {
	case cause := <-b.result:
		return cause
	case <-time.After(10 * time.Second):
		b.t.Fatal("the relay does not end")
		return nil
	}
}

func word(m pgproto3.BackendMessage) string {
	switch m := m.(type) {
	case *pgproto3.ReadyForQuery:
		return "Z" + string(m.TxStatus)
	case *pgproto3.ErrorResponse:
		if m.Severity != "ERROR" {
			return m.Severity + " " + m.Code
		}
		return "E" + m.Code
	case *pgproto3.CommandComplete:
		return string(m.CommandTag)
	case *pgproto3.DataRow:
		return "D"
	case *pgproto3.ParseComplete:
		return "1"
	case *pgproto3.BindComplete:
		return "2"
	case *pgproto3.CloseComplete:
		return "3"
	case *pgproto3.NoData:
		return "n"
	case *pgproto3.CopyInResponse:
		return "G"
	}
	b, _ := m.Encode(nil)
	return string(b[:1])
}
