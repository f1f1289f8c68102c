package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeBackend answers like PostgreSQL as far as the order of answers, errors, skipping, copying and names go. What a text does is
// told by its first word: "fail" raises an error, "copyin" copies in, "copybroken" starts to and fails by itself when it is released,
// "wait" takes until it is, "begin", "commit", "prepare NAME", "deallocate NAME", "declare NAME" and "fetch NAME" do what they say, "execute
// NAME" does what was prepared if that is no query, a nonce cannot parse, and all else returns one row.
type fakeBackend struct {
	socket net.Conn
	conn   *pgproto3.Backend

	mu  sync.Mutex
	ran []string // texts executed, in order

	speaking sync.Mutex // held while it answers, or says something unasked

	statements map[string]string
	portals    map[string]string
	skipping   bool
	status     byte
	release    chan struct{} // closed: what waits goes on
}

func newFakeBackend(conn net.Conn) *fakeBackend {
	return &fakeBackend{
		socket: conn, conn: pgproto3.NewBackend(conn, conn), statements: map[string]string{}, portals: map[string]string{}, status: 'I',
		release: make(chan struct{}),
	}
}

func (f *fakeBackend) executed() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.ran...)
}

// run answers until the connection ends.
func (f *fakeBackend) run() {
	for {
		m, err := f.conn.Receive()
		if err != nil {
			return
		}
		if _, goodbye := m.(*pgproto3.Terminate); goodbye {
			return
		}
		f.answer(m)
	}
}

// say sends something that was not asked for.
func (f *fakeBackend) say(messages ...pgproto3.BackendMessage) {
	f.speaking.Lock()
	defer f.speaking.Unlock()
	for _, m := range messages {
		f.conn.Send(m)
	}
	_ = f.conn.Flush()
}

// timeOut raises the error of a statement whose time is up amid a pipeline.
func (f *fakeBackend) timeOut() {
	f.speaking.Lock()
	defer f.speaking.Unlock()
	f.fail("57014", "canceling statement due to statement timeout")
}

// hangUp closes the connection.
func (f *fakeBackend) hangUp() { _ = f.socket.Close() }

func (f *fakeBackend) answer(m pgproto3.FrontendMessage) {
	f.speaking.Lock()
	defer f.speaking.Unlock()
	if _, isSync := m.(*pgproto3.Sync); f.skipping && !isSync {
		return
	}
	switch m := m.(type) {
	case *pgproto3.Query:
		delete(f.statements, "")
		f.query(m.String)
		f.ready()
	case *pgproto3.Parse:
		f.parse(m)
	case *pgproto3.Bind:
		text, ok := f.statements[cutName(m.PreparedStatement)]
		if !ok {
			f.fail("26000", "prepared statement does not exist")
			return
		}
		f.portals[cutName(m.DestinationPortal)] = text
		f.conn.Send(&pgproto3.BindComplete{})
	case *pgproto3.Describe:
		f.conn.Send(&pgproto3.NoData{})
	case *pgproto3.Execute:
		text, ok := f.portals[cutName(m.Portal)]
		if !ok {
			f.fail("34000", "portal does not exist")
			return
		}
		f.execute(text)
	case *pgproto3.Close:
		if m.ObjectType == 'P' {
			delete(f.portals, cutName(m.Name))
		} else {
			delete(f.statements, cutName(m.Name))
		}
		f.conn.Send(&pgproto3.CloseComplete{})
	case *pgproto3.Sync:
		f.skipping = false
		if f.status == 'I' {
			clear(f.portals)
		}
		f.ready()
	case *pgproto3.Flush:
		_ = f.conn.Flush()
	}
}

// cutName is what PostgreSQL's hash tables keep of a name (string_compare, utils/hash/dynahash.c).
func cutName(name string) string { return name[:min(len(name), 63)] }

func (f *fakeBackend) ready() {
	f.conn.Send(&pgproto3.ReadyForQuery{TxStatus: f.status})
	_ = f.conn.Flush()
}

func (f *fakeBackend) fail(code, message string) {
	f.skipping = true
	f.error(code, message)
	_ = f.conn.Flush() // as send_message_to_frontend does
}

func (f *fakeBackend) error(code, message string) {
	if f.status == 'T' {
		f.status = 'E'
	}
	f.conn.Send(&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: message})
}

func (f *fakeBackend) parse(m *pgproto3.Parse) {
	if m.Name == "" {
		delete(f.statements, "")
	}
	name := cutName(m.Name)
	switch _, exists := f.statements[name]; {
	case strings.HasPrefix(m.Query, noncePrefix):
		f.fail("42601", `syntax error at or near "`+m.Query+`"`)
	case strings.HasPrefix(m.Query, "noparse"):
		f.fail("42P01", "relation does not exist")
	case exists:
		f.fail("42P05", "prepared statement already exists")
	default:
		f.statements[name] = m.Query
		f.conn.Send(&pgproto3.ParseComplete{})
	}
}

// query runs the statements of a Query: separated by ";", until one fails.
func (f *fakeBackend) query(text string) {
	if strings.HasPrefix(text, noncePrefix) {
		f.error("42601", `syntax error at or near "`+text+`"`)
		return
	}
	for _, part := range strings.Split(text, ";") {
		if !f.execute(strings.TrimSpace(part)) {
			f.skipping = false
			return
		}
	}
}

func (f *fakeBackend) execute(text string) bool {
	f.mu.Lock()
	f.ran = append(f.ran, text)
	f.mu.Unlock()
	word, rest, _ := strings.Cut(text, " ")
	if inner := f.statements[rest]; word == "execute" && !strings.HasPrefix(inner, "select") {
		return f.execute(inner)
	}
	switch word {
	case "wait":
		_ = f.conn.Flush()
		<-f.release
	case "copybroken":
		f.conn.Send(&pgproto3.CopyInResponse{ColumnFormatCodes: []uint16{0}})
		_ = f.conn.Flush()
		<-f.release
		f.fail("P0001", "the trigger raises")
		return false
	case "declare":
		f.portals[rest] = text
	case "fail":
		f.fail("22012", "division by zero")
		return false
	case "copyin":
		return f.copyIn()
	case "begin":
		f.status = 'T'
	case "commit", "rollback":
		f.status = 'I'
	case "prepare":
		name, _, _ := strings.Cut(rest, " ")
		f.statements[name] = text
	case "deallocate":
		delete(f.statements, rest)
		if rest == "all" { // the unnamed statement is not in the table (DropAllPreparedStatements, commands/prepare.c)
			unnamed, ok := f.statements[""]
			clear(f.statements)
			if ok {
				f.statements[""] = unnamed
			}
		}
	default:
		f.conn.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("1")}})
	}
	f.conn.Send(&pgproto3.CommandComplete{CommandTag: []byte(strings.ToUpper(word) + " 1")})
	return true
}

func (f *fakeBackend) copyIn() bool {
	f.conn.Send(&pgproto3.CopyInResponse{ColumnFormatCodes: []uint16{0}})
	_ = f.conn.Flush()
	for {
		m, err := f.conn.Receive()
		if err != nil {
			return false
		}
		switch m := m.(type) {
		case *pgproto3.CopyData:
			if string(m.Data) == "bad" {
				f.fail("22P04", "extra data after last expected column")
				return false
			}
		case *pgproto3.CopyDone:
			f.conn.Send(&pgproto3.CommandComplete{CommandTag: []byte("COPY 1")})
			return true
		case *pgproto3.CopyFail:
			f.fail("57014", "COPY from stdin failed")
			return false
		case *pgproto3.Sync, *pgproto3.Flush: // ignored while copying (CopyGetData, commands/copyfromparse.c)
		default:
			f.conn.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "08P01", Message: "unexpected message during COPY"})
			_ = f.conn.Flush()
			return false
		}
	}
}

// fakeAnalyzer makes the sheet of the fake backend's language: one statement for each part of the text.
type fakeAnalyzer struct{}

func (fakeAnalyzer) Analyze(_ context.Context, text string) (*statement.Sheet, error) {
	if strings.HasPrefix(text, "garbled") {
		return nil, &statement.SyntaxError{Message: `syntax error at or near "garbled"`, Position: 1}
	}
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
	return sheet, nil
}

// fakePolicy denies texts with a statement whose command is FORBIDDEN, or that are incomplete, and fails on BROKEN ones.
type fakePolicy struct {
	policy    authz.Policy
	withdrawn bool // the connect decision is no longer what it was
}

func (f *fakePolicy) Policy() *authz.Policy { return &f.policy }

func (f *fakePolicy) Connect(context.Context, *authz.ConnectInput) (*authz.ConnectDecision, error) {
	return &authz.ConnectDecision{Allow: !f.withdrawn}, nil
}

func (f *fakePolicy) Statement(_ context.Context, in *authz.StatementInput) (*authz.StatementDecision, error) {
	d := &authz.StatementDecision{Allow: in.Statement.Complete, Cacheable: true, Revision: "r1"}
	if !d.Allow {
		d.Reasons = in.Statement.Incomplete
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
	broken     bool
}

func (f *fakeAudit) Text(sql string) audit.Text { return audit.NewText(sql, 0) }

func (f *fakeAudit) Append(e audit.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken {
		return errors.New("no space left on device")
	}
	switch e := e.(type) {
	case *audit.Statement:
		f.statements = append(f.statements, *e)
	case *audit.Outcome:
		f.outcomes = append(f.outcomes, *e)
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
	got     []string
}

// start runs a relay. change may alter it first.
func start(t *testing.T, change func(r *relay)) *bench {
	t.Helper()
	clientEnd, clientSide := tcpPair(t)
	backendSide, backendEnd := tcpPair(t)
	b := &bench{
		t: t, conn: clientEnd, client: pgproto3.NewFrontend(clientEnd, clientEnd), backend: newFakeBackend(backendEnd),
		log: &fakeAudit{}, result: make(chan *sessionError, 1),
	}
	b.relay = &relay{
		id: "s", client: clientSide, backend: backendSide, limits: Limits{}.withDefaults(), timeouts: Timeouts{}.withDefaults(),
		pins:      map[string]string{"standard_conforming_strings": "on"},
		clientPID: 1000, backendPID: 2000, analyzer: fakeAnalyzer{}, policy: &fakePolicy{}, log: b.log,
		metrics: newSessionMetrics(metrics.New(Labels()...)), logger: slog.New(slog.DiscardHandler),
		cancel: func(context.Context) error { return nil }, queue: newQueue(), names: newNames(),
	}
	if change != nil {
		change(b.relay)
	}
	if p, ok := b.relay.policy.(*fakePolicy); ok && !p.withdrawn {
		b.relay.granted = p.Policy()
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
