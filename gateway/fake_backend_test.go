package gateway

import (
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgproto3"
)

// fakeBackend answers like PostgreSQL as far as the order of answers, errors, skipping, copying and names go. What a text does is
// told by its first word: "fail" raises an error, "copyin" copies in, "copybroken" starts to and fails by itself when it is released,
// "wait" takes until it is, "shut" too and is the end, "rows N" and "copyout N" return so many rows, "endless N" and "copyendless N" the same and then go on until
// they are cancelled, "planless" does so when it is bound, "slowplan" takes as long as "wait" then, "faulty N" fails after so many, "begin", "commit", "prepare NAME", "deallocate NAME", "declare NAME" and "fetch NAME" do what they say, "execute
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
	release    chan struct{}  // closed: what waits goes on
	cancelled  chan struct{}  // a cancel request has come
	returned   map[string]int // by portal: the rows of "rows N" that an Execute with a limit left behind it
}

func newFakeBackend(conn net.Conn) *fakeBackend {
	return &fakeBackend{
		socket: conn, conn: pgproto3.NewBackend(conn, conn), statements: map[string]string{}, portals: map[string]string{}, status: 'I',
		release: make(chan struct{}), cancelled: make(chan struct{}, 1), returned: map[string]int{},
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
		switch text {
		case "planless":
			<-f.cancelled
			f.fail("57014", "canceling statement due to user request")
			return
		case "slowplan":
			<-f.release
		}
		f.portals[cutName(m.DestinationPortal)] = text
		delete(f.returned, cutName(m.DestinationPortal))
		f.conn.Send(&pgproto3.BindComplete{})
	case *pgproto3.Describe:
		if m.ObjectType == 'S' && f.statements[cutName(m.Name)] == "describe" {
			f.conn.Send(&pgproto3.ParameterDescription{ParameterOIDs: []uint32{23}})
		}
		f.conn.Send(&pgproto3.NoData{})
	case *pgproto3.Execute:
		text, ok := f.portals[cutName(m.Portal)]
		if !ok {
			f.fail("34000", "portal does not exist")
			return
		}
		if !f.suspend(m, text) {
			f.execute(text)
		}
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
	case "rows", "copyout", "endless", "copyendless", "faulty":
		return f.deliver(word, rest)
	case "wait":
		_ = f.conn.Flush()
		<-f.release
	case "shut":
		<-f.release
		f.conn.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P01", Message: "terminating connection due to administrator command"})
		_ = f.conn.Flush()
		f.hangUp()
		return false
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

// cancel is a cancel request: what goes on for ever ends.
func (f *fakeBackend) cancel() {
	select {
	case f.cancelled <- struct{}{}:
	default:
	}
}

// deliver returns as many rows as the text says, and ends as its word says.
func (f *fakeBackend) deliver(word, rest string) bool {
	n, _ := strconv.Atoi(rest)
	copying := strings.HasPrefix(word, "copy")
	if copying {
		f.conn.Send(&pgproto3.CopyOutResponse{ColumnFormatCodes: []uint16{0}})
	}
	for range n {
		f.sendRow(copying)
	}
	if strings.HasSuffix(word, "endless") {
		_ = f.conn.Flush()
		<-f.cancelled
		f.fail("57014", "canceling statement due to user request")
		return false
	}
	if word == "faulty" {
		f.fail("22012", "division by zero")
		return false
	}
	if copying {
		f.conn.Send(&pgproto3.CopyDone{})
	}
	f.conn.Send(&pgproto3.CommandComplete{CommandTag: []byte(strings.ToUpper(word) + " 1")})
	return true
}

func (f *fakeBackend) sendRow(copying bool) {
	if copying {
		f.conn.Send(&pgproto3.CopyData{Data: []byte("1")})
		return
	}
	f.conn.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("1")}})
}

// suspend answers an Execute with a limit of a portal that returns rows. It says whether it did.
func (f *fakeBackend) suspend(m *pgproto3.Execute, text string) bool {
	word, rest, _ := strings.Cut(text, " ")
	if word != "rows" || m.MaxRows == 0 {
		return false
	}
	n, _ := strconv.Atoi(rest)
	for range m.MaxRows {
		if f.returned[m.Portal] == n {
			f.conn.Send(&pgproto3.CommandComplete{CommandTag: []byte("ROWS 1")})
			return true
		}
		f.returned[m.Portal]++
		f.sendRow(false)
	}
	f.conn.Send(&pgproto3.PortalSuspended{})
	return true
}

func (f *fakeBackend) copyIn() bool {
	f.conn.Send(&pgproto3.CopyInResponse{ColumnFormatCodes: []uint16{0}})
	_ = f.conn.Flush()
	for {
		m, err := f.conn.Receive()
		if err != nil {
			f.fail("08006", "unexpected EOF on client connection with an open transaction")
			f.hangUp()
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
