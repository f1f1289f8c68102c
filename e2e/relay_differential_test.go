package e2e

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/e2e/stack"
)

// step is what a client writes at once, and the message types it reads up to: "ZZ" is the second ReadyForQuery from here, "!" the one
// behind a row that says the end.
type step struct {
	send  string
	until string
}

func send(until string, messages ...[]byte) step {
	var all []byte
	for _, m := range messages {
		all = append(all, m...)
	}
	return step{send: string(all), until: until}
}

// The messages of a client; parse and bind have no types, parameters or formats.
func pQuery(text string) []byte       { return message('Q', text+"\x00") }
func pParse(name, text string) []byte { return message('P', name+"\x00"+text+"\x00\x00\x00") }
func pBind(portal, name string) []byte {
	return message('B', portal+"\x00"+name+"\x00\x00\x00\x00\x00\x00\x00")
}

func pExecute(portal string, rows uint32) []byte {
	return message('E', string(binary.BigEndian.AppendUint32([]byte(portal+"\x00"), rows)))
}
func pDescribe(kind byte, name string) []byte { return message('D', string(kind)+name+"\x00") }
func pClose(kind byte, name string) []byte    { return message('C', string(kind)+name+"\x00") }
func pData(data string) []byte                { return message('d', data) }

// differentialCases are conversations that PostgreSQL and the gateway must answer in the same bytes. Those that an engineer may have
// are held with one, too: there every statement is judged.
func differentialCases() map[string]struct {
	engineer bool
	steps    []step
} {
	sync, flush, done, fail := message('S', ""), message('H', ""), message('c', ""), message('f', "enough\x00")
	long := strings.Repeat("n", 63)
	rows := "SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, 'c')) AS v (n, s)"
	wide := "SELECT '" + strings.Repeat("w", 300_000) + "'"
	table := send("Z", pQuery("CREATE TEMP TABLE moved (a int, b text)"))
	copyIn := []step{table, send("G", pParse("", "COPY pg_temp.moved FROM STDIN"), pBind("", ""), pExecute("", 0))}
	return map[string]struct {
		engineer bool
		steps    []step
	}{
		"simple":                   {true, []step{send("Z", pQuery(rows)), send("Z", pQuery("")), send("Z", pQuery(" ; ; ")), send("Z", pQuery("SELECT 1; SELECT 2;; VALUES (3)"))}},
		"simple, pipelined":        {true, []step{send("ZZZ", pQuery(rows), pQuery("SELECT 1/0"), pQuery("SELECT 2"))}},
		"error amid a Query":       {true, []step{send("Z", pQuery("SELECT 1; SELECT 1/0; SELECT 2"))}},
		"transaction":              {true, []step{send("Z", pQuery("BEGIN")), send("Z", pQuery("SELECT 1/0")), send("Z", pQuery("SELECT 1")), send("Z", pQuery("COMMIT")), send("Z", pQuery("COMMIT"))}},
		"savepoints":               {true, []step{send("ZZZZZZ", pQuery("BEGIN"), pQuery("SAVEPOINT s"), pQuery("SELECT 1/0"), pQuery("ROLLBACK TO s"), pQuery("SELECT 1"), pQuery("COMMIT"))}},
		"extended":                 {true, []step{send("Z", pParse("", rows), pDescribe('S', ""), pBind("", ""), pDescribe('P', ""), pExecute("", 0), sync)}},
		"named, again and again":   {true, []step{send("Z", pParse("s", rows), sync), send("ZZ", pBind("", "s"), pExecute("", 0), sync, pBind("", "s"), pExecute("", 0), sync), send("Z", pParse("s", "SELECT 2"), sync), send("Z", pClose('S', "s"), pClose('S', "s"), sync), send("Z", pBind("", "s"), pExecute("", 0), sync)}},
		"row limits":               {true, []step{send("Z", pQuery("BEGIN")), send("Z", pParse("", rows), pBind("c", ""), pExecute("c", 1), sync), send("Z", pExecute("c", 1), pExecute("c", 0), pExecute("c", 0), sync), send("ZZ", pClose('P', "c"), pExecute("c", 0), sync, pQuery("ROLLBACK"))}},
		"flush instead of sync":    {true, []step{send("1", pParse("", rows), flush), send("2", pBind("", ""), flush), send("s", pExecute("", 2), flush), send("C", pExecute("", 0), flush), send("Z", sync)}},
		"error amid a pipeline":    {true, []step{send("Z", pParse("", "SELECT 1/0"), pBind("", ""), pExecute("", 0), pParse("", rows), pBind("", ""), pExecute("", 0), pQuery("SELECT 5"), sync), send("Z", pQuery("SELECT 1"))}},
		"two pipelines":            {true, []step{send("ZZ", pParse("", "SELECT nothing"), pBind("", ""), sync, pParse("", "SELECT 2"), pBind("", ""), pExecute("", 0), sync)}},
		"Query amid a pipeline":    {true, []step{send("ZZ", pParse("", "SELECT 1"), pBind("", ""), pExecute("", 0), pQuery("SELECT 2"), sync), send("ZZ", pParse("", "SELECT 1"), pQuery("SELECT 2"), pBind("", ""), sync)}},
		"sync and nothing else":    {true, []step{send("ZZZ", sync, sync, sync), send("Z", flush, flush, sync)}},
		"the unnamed statement":    {true, []step{send("ZZ", pParse("", "SELECT 1"), sync, pBind("", ""), pExecute("", 0), sync), send("ZZ", pParse("", "SELECT 1"), sync, pParse("", "SELECT nothing"), sync), send("Z", pBind("", ""), sync)}},
		"PREPARE and Bind":         {true, []step{send("ZZ", pQuery("PREPARE p AS SELECT 7"), pBind("", "p"), pExecute("", 0), sync), send("Z", pQuery("EXECUTE p")), send("ZZ", pQuery("DEALLOCATE p"), pBind("", "p"), sync)}},
		"Parse and EXECUTE":        {true, []step{send("Z", pParse("p", "SELECT 7"), sync), send("Z", pQuery("EXECUTE p")), send("ZZ", pQuery("DEALLOCATE ALL"), pBind("", "p"), sync)}},
		"DEALLOCATE ALL, unnamed":  {true, []step{send("Z", pParse("", "DEALLOCATE ALL"), pBind("", ""), pExecute("", 0), pBind("", ""), pExecute("", 0), sync)}},
		"cursors":                  {true, []step{send("ZZZ", pQuery("BEGIN"), pQuery("DECLARE c CURSOR FOR "+rows), pQuery("FETCH 2 FROM c")), send("Z", pDescribe('P', "c"), pExecute("c", 1), pExecute("c", 1), sync), send("ZZ", pQuery("CLOSE c"), pQuery("COMMIT"))}},
		"portals in SQL":           {true, []step{send("Z", pQuery("BEGIN")), send("Z", pParse("", rows), pBind("c", ""), sync), send("ZZ", pQuery("FETCH 1 FROM c"), pQuery("MOVE 1 FROM c")), send("ZZ", pQuery("FETCH ALL FROM c"), pQuery("COMMIT"))}},
		"cursor with hold":         {true, []step{send("ZZZ", pQuery("DECLARE h CURSOR WITH HOLD FOR "+rows), pQuery("FETCH 1 FROM h"), pQuery("CLOSE h"))}},
		"long names":               {true, []step{send("Z", pParse(long+"A", "SELECT 1"), pClose('S', long+"B"), pParse(long+"C", "SELECT 2"), sync), send("Z", pBind("", long+"A"), pExecute("", 0), sync)}},
		"large messages":           {true, []step{send("Z", pQuery(wide)), send("Z", pParse("", wide), pBind("", ""), pExecute("", 0), sync), send("Z", pQuery("SELECT 1/0 AS \""+strings.Repeat("x", 60)+"\""))}},
		"many small ones":          {true, []step{send(strings.Repeat("Z", 300), []byte(strings.Repeat(string(pParse("", "SELECT 1"))+string(pBind("", ""))+string(pExecute("", 0))+string(sync), 300)))}},
		"copy out":                 {true, []step{send("Z", pQuery("COPY (SELECT 1, 'a') TO STDOUT; SELECT 2")), send("Z", pParse("", "COPY (VALUES (1), (2)) TO STDOUT"), pBind("", ""), pExecute("", 0), sync)}},
		"stray copy messages":      {true, []step{send("Z", pData("x"), done, fail, pQuery("SELECT 1"))}},
		"syntax error":             {false, []step{send("Z", pQuery("THIS IS NOTHING")), send("Z", pParse("", "NOR THIS"), pBind("", ""), sync)}},
		"notices and settings":     {false, []step{send("Z", pQuery("DO $$BEGIN RAISE NOTICE 'x'; END$$; SET TimeZone = 'UTC'; SET DateStyle = 'German'")), send("ZZ", pQuery("BEGIN"), pQuery("BEGIN"))}},
		"DISCARD ALL":              {false, []step{send("Z", pParse("s", "SELECT 1"), pParse("", "SELECT 2"), sync), send("ZZ", pParse("d", "DISCARD ALL"), pBind("d", "d"), pExecute("d", 0), sync, pBind("", ""), pExecute("", 0), sync)}},
		"deferred error at Sync":   {false, []step{send("Z", pQuery("CREATE TEMP TABLE later (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")), send("Z", pParse("", "INSERT INTO pg_temp.later VALUES (1), (1)"), pBind("", ""), pExecute("", 0), sync)}},
		"EXECUTE of a COPY":        {false, []step{table, send("Z", pParse("s", "COPY pg_temp.moved FROM STDIN"), sync), send("G", pQuery("EXECUTE s")), send("Z", pData("1\ta\n"), done)}},
		"copy in":                  {false, []step{table, send("G", pQuery("COPY pg_temp.moved FROM STDIN")), send("Z", pData("1\ta\n"), pData("2\tb\n"), done), send("Z", pQuery("SELECT a + 0, b || '' FROM pg_temp.moved"))}},
		"copy in, two at once":     {false, []step{table, send("G", pQuery("COPY pg_temp.moved FROM STDIN; COPY pg_temp.moved FROM STDIN")), send("G", pData("1\ta\n"), done), send("Z", pData("2\tb\n"), done)}},
		"copy in, bad data":        {false, []step{table, send("G", pQuery("COPY pg_temp.moved FROM STDIN")), send("Z", pData("x\n"), pData("y\n"), done), send("Z", pQuery("SELECT 1"))}},
		"copy in, given up":        {false, []step{table, send("G", pQuery("COPY pg_temp.moved FROM STDIN")), send("Z", pData("1\ta\n"), fail), send("Z", pQuery("SELECT 1"))}},
		"copy in, extended":        {false, append(append([]step(nil), copyIn...), send("Z", flush, sync, pData("1\ta\n"), done, sync), send("Z", pQuery("SELECT a + 0, b || '' FROM pg_temp.moved")))},
		"copy in, extended, bad":   {false, append(append([]step(nil), copyIn...), send("Z", pData("x\n"), done, sync), send("Z", pQuery("SELECT a + 0, b || '' FROM pg_temp.moved")))},
		"copy in, given up twice":  {false, append(append([]step(nil), copyIn...), send("Z", fail, fail, sync), send("Z", pQuery("SELECT 1")))},
		"Query amid a copy in":     {false, append(append([]step(nil), copyIn...), send("$", pQuery("SELECT 1")))},
		"Bind amid a copy in":      {false, []step{table, send("G", pQuery("COPY pg_temp.moved FROM STDIN")), send("$", pBind("", ""), sync)}},
		"function call":            {false, []step{send("Z", message('F', "\x00\x00\x05\x46\x00\x00\x00\x01\x00\x00\x00\x01-\x00\x00")), send("ZZ", pParse("", "SELECT 1"), message('F', "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"), sync)}},
		"Terminate behind a Query": {true, []step{send("Z$", pQuery("SELECT 1"), message('X', ""))}},
	}
}

// origin is where PostgreSQL's source raises the error of a name that means nothing. The gateway says it in the same words, from elsewhere.
var origin = regexp.MustCompile(`^(E "SERROR\\x00VERROR\\x00C(?:26000|34000)\\x00M.*?\\x00)F.*$`)

// temporary is the number of a session's schema for temporary tables.
var temporary = regexp.MustCompile(`pg_temp_[0-9]+`)

// TestRelayDifferential holds the same conversations with PostgreSQL and through the gateway: the answers are the same, byte for byte.
func TestRelayDifferential(t *testing.T) {
	for name, c := range differentialCases() {
		t.Run(name, func(t *testing.T) {
			want := converse(t, shared.services.Postgres.DSN(stack.App), c.steps)
			accounts := []string{stack.DBA}
			if c.engineer {
				accounts = append(accounts, stack.Engineer)
			}
			for _, account := range accounts {
				got := converse(t, login{account: account}.dsn(t), c.steps)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("as %s (-PostgreSQL +gateway):\n%s", account, diff)
				}
			}
		})
	}
}

// converse returns the messages that came, a line each.
func converse(t *testing.T, dsn string, steps []step) []string {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hijacked.Conn.Close() }()
	_ = hijacked.Conn.SetDeadline(time.Now().Add(20 * time.Second))
	var lines []string
	in := bufio.NewReader(hijacked.Conn)
	for i, s := range steps {
		if _, err := hijacked.Conn.Write([]byte(s.send)); err != nil {
			return append(lines, fmt.Sprintf("step %d cannot be sent", i))
		}
		lines = append(lines, fmt.Sprintf("step %d", i))
		last := false
		for until := s.until; until != ""; {
			kind, body, err := receive(in)
			if err != nil {
				lines = append(lines, ending(err))
				return lines
			}
			lines = append(lines, shown(kind, body))
			last = last || bytes.HasSuffix(body, []byte("the end"))
			if kind == until[0] || until == "!" && last && kind == 'Z' {
				until = until[1:]
			}
		}
	}
	_, _ = hijacked.Conn.Write(message('X', ""))
	for { // nothing may come unasked
		kind, body, err := receive(in)
		if err != nil {
			return append(lines, ending(err))
		}
		lines = append(lines, "unasked: "+shown(kind, body))
	}
}

func receive(in io.Reader) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err = io.ReadFull(in, body)
	return head[0], body, err
}

// ending says how a connection ended; a reset and a close are the same to a client.
func ending(err error) string {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "nothing more came"
	}
	return "end"
}

// shown is a message as a line.
func shown(kind byte, body []byte) string {
	line := fmt.Sprintf("%c %q", kind, body)
	if len(line) > 2000 {
		line = fmt.Sprintf("%s… (%d bytes)", line[:2000], len(body))
	}
	line = temporary.ReplaceAllString(line, "pg_temp")
	return origin.ReplaceAllString(line, `$1\x00"`)
}
