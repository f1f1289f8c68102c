package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/e2e/stack"
)

// resident is the memory of the gateway in bytes.
func resident(t *testing.T, g *stack.Gateway) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// heapGoal is at what size of its heap the gateway collects garbage next: twice what was alive at the last collection.
func heapGoal(t *testing.T, g *stack.Gateway) int {
	t.Helper()
	_, body := ask(t, g, http.MethodGet, "/metrics", "")
	for line := range strings.Lines(body) {
		if number, ok := strings.CutPrefix(line, "go_memstats_next_gc_bytes "); ok {
			goal, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(goal)
		}
	}
	t.Fatal("no heap goal among the metrics")
	return 0
}

// garbage is what a connection begins with that is not a client's.
func garbage(r *rand.Rand) []byte {
	random := make([]byte, r.IntN(200))
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	switch r.IntN(8) {
	case 0:
		return random
	case 1:
		return startup("user", "a", "database", "b")[:r.IntN(20)]
	case 2:
		return append(binary.BigEndian.AppendUint32(nil, 0x7fffffff), random...)
	case 3:
		return append(binary.BigEndian.AppendUint32(nil, uint32(r.IntN(10))), random...)
	case 4:
		return append([]byte{0, 0, 0, 8, 4, 210, 22, 47}, random...) // SSLRequest, no TLS
	case 5:
		return append([]byte{0, 0, 0, 16, 4, 210, 22, 46}, random...) // a cancel request
	case 6:
		return []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	return append(startup("user", string(random)), random...)
}

func TestGarbage(t *testing.T) {
	const connections, atOnce = 10000, 50
	g := ownGateway(t, nil)
	value(t, login{gateway: g, account: stack.Analyst}.connect(t), "SELECT 'before'")
	throw := func(n int, seed uint64) {
		var group sync.WaitGroup
		for worker := range atOnce {
			group.Add(1)
			go func() {
				defer group.Done()
				r := rand.New(rand.NewPCG(seed, uint64(worker)))
				for range n / atOnce {
					conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(g.Port)))
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = conn.Write(garbage(r))
					if r.IntN(2) == 0 {
						_ = conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
						_, _ = conn.Read(make([]byte, 64))
					}
					_ = conn.Close()
				}
			}()
		}
		group.Wait()
	}
	memory := resident
	if raceDetector {
		memory = heapGoal // the detector keeps memory of its own of goroutines that have ended
	}
	throw(connections, 1) // what is allocated once: a leak would show in the second ten thousand too
	before := memory(t, g)
	throw(connections, 2)
	value(t, login{gateway: g, account: stack.Analyst}.connect(t), "SELECT 'after'")
	if after := memory(t, g); after > before+16<<20 {
		t.Errorf("memory grew from %d to %d MiB", before>>20, after>>20)
	}
	if err := checkLog(g.Log); err != nil {
		t.Error(err)
	}
}

// TestMonsters: texts that would be the end of a recursive parser, or of its memory, are refused in little time by a gateway that does not
// notice: its statement workers are the same ones, the session goes on, and it does not grow.
func TestMonsters(t *testing.T) {
	const eachWithin = 5 * time.Second
	g := ownGateway(t, nil)
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	before := resident(t, g)
	for name, test := range map[string]struct{ text, want string }{
		"20,000 parentheses":          {"SELECT " + strings.Repeat("(", 20_000) + "1" + strings.Repeat(")", 20_000), "54001"},
		"an expression of 100,000":    {"SELECT 1" + strings.Repeat("+1", 100_000), "54001"},
		"a condition of 100,000":      {"SELECT 1 WHERE true" + strings.Repeat(" OR a", 100_000), "54001"},
		"50,000 UNIONs":               {"SELECT 1" + strings.Repeat(" UNION SELECT 1", 50_000), "54001"},
		"10,000 statements":           {strings.Repeat("SELECT 1;", 10_000), "54001"},
		"an IN list of a megabyte":    {"SELECT 1 FROM orders WHERE id IN (" + strings.Repeat("1,", 500_000) + "1)", "54001"},
		"an array of a megabyte":      {"SELECT ARRAY[" + strings.Repeat("1,", 500_000) + "1]", "54001"},
		"20,000 subqueries":           {"SELECT " + strings.Repeat("(SELECT ", 20_000) + "1" + strings.Repeat(")", 20_000), "54001"},
		"a literal beyond a megabyte": {"SELECT '" + strings.Repeat("x", 1<<20) + "'", "54000"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, queried := conn.PgConn().Exec(t.Context(), test.text).ReadAll()
			_, prepared := conn.PgConn().Prepare(t.Context(), "", test.text, nil)
			for _, err := range []error{queried, prepared} {
				var refused *pgconn.PgError
				if !errors.As(err, &refused) || refused.Code != test.want {
					t.Errorf("got %v, want %s", err, test.want)
				}
			}
			if took := time.Since(start); took > 2*eachWithin {
				t.Errorf("it took %v", took)
			}
			value(t, conn, "SELECT 'still here'")
		})
	}
	if restarts := counted(t, g, "sallyport_statement_worker_restarts_total"); restarts != 0 {
		t.Errorf("%d statement workers died", restarts)
	}
	allowed := 64 << 20
	if raceDetector {
		allowed *= 4
	}
	if after := resident(t, g); after > before+allowed {
		t.Errorf("memory grew from %d to %d MiB", before>>20, after>>20)
	}
	select {
	case <-g.Done():
		t.Error("the gateway has ended")
	default:
	}
}

// answers reads until ReadyForQuery or the end, as a line of message types;
// errors are shown by their SQLSTATE, ReadyForQuery by its status.
func answers(t *testing.T, f *pgproto3.Frontend) string {
	t.Helper()
	var out []string
	for {
		message, err := f.Receive()
		if err != nil {
			return strings.Join(append(out, "end"), " ")
		}
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			out = append(out, m.Code)
		case *pgproto3.ReadyForQuery:
			return strings.Join(append(out, "Z="+string(m.TxStatus)), " ")
		case *pgproto3.NoticeResponse, *pgproto3.ParameterStatus:
		default:
			out = append(out, strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3."))
		}
	}
}

func message(kind byte, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...)
}

func TestWire(t *testing.T) {
	parse := func(name, text string) []byte { return message('P', name+"\x00"+text+"\x00\x00\x00") }
	bind := func(portal, name string) []byte {
		return message('B', portal+"\x00"+name+"\x00\x00\x00\x00\x00\x00\x00")
	}
	run := message('E', "\x00\x00\x00\x00\x00")
	sync := message('S', "")
	query := func(text string) []byte { return message('Q', text+"\x00") }
	for name, test := range map[string]struct {
		send [][]byte
		want []string // one for every ReadyForQuery
	}{
		"denied statement in a multi-statement query": {
			[][]byte{query("SELECT 1; SELECT * FROM secrets")}, []string{"42501 Z=I"},
		},
		"query inside a failed pipeline is discarded": {
			[][]byte{parse("", "SELECT * FROM secrets"), query("SELECT 1"), sync}, []string{"42501 Z=I"},
		},
		"query inside a good pipeline": {
			[][]byte{parse("", "SELECT 1"), bind("", ""), run, query("SELECT 2"), sync},
			[]string{"ParseComplete BindComplete DataRow CommandComplete RowDescription DataRow CommandComplete Z=I", "Z=I"},
		},
		"denied statement prepared by SQL, bound by protocol": {
			[][]byte{query("PREPARE sneaky AS SELECT * FROM secrets"), bind("", "sneaky"), run, sync}, []string{"42501 Z=I", "26000 Z=I"},
		},
		"allowed statement prepared by SQL, bound by protocol": {
			[][]byte{query("PREPARE honest AS SELECT 1"), bind("", "honest"), run, sync},
			[]string{"CommandComplete Z=I", "BindComplete DataRow CommandComplete Z=I"},
		},
		"prepared by protocol, run by SQL": {
			[][]byte{parse("p1", "SELECT 1"), sync, query("EXECUTE p1")}, []string{"ParseComplete Z=I", "RowDescription DataRow CommandComplete Z=I"},
		},
		"function call": {
			[][]byte{message('F', "\x00\x00\x08\x1e\x00\x00\x00\x00\x00\x01")}, []string{"42501 Z=I"},
		},
		"replaced named statement after a failed pipeline": {
			[][]byte{parse("s", "SELECT 1"), sync, parse("", "SELECT * FROM secrets"), message('C', "Ss\x00"), parse("s", "SELECT 2"), sync, bind("", "s"), run, sync},
			[]string{"ParseComplete Z=I", "42501 Z=I", "BindComplete DataRow CommandComplete Z=I"},
		},
		"NUL in a query": {[][]byte{query("SELECT 1\x00; DROP TABLE orders")}, []string{"08P01"}},
		"invalid UTF-8":  {[][]byte{query("SELECT '\xff\xfe'")}, []string{"22021 Z=I"}},
		"trailing bytes in Sync": {
			[][]byte{message('S', "x")}, []string{"08P01"},
		},
		"stray CopyData": {
			[][]byte{message('d', "x"), message('c', ""), message('f', "x\x00"), query("SELECT 1")}, []string{"RowDescription DataRow CommandComplete Z=I"},
		},
		"unknown message": {[][]byte{message('@', "")}, []string{"08P01 end"}},
		"password again":  {[][]byte{message('p', "x\x00")}, []string{"08P01 end"}},
		"gigantic length": {[][]byte{{'Q', 0x7f, 0xff, 0xff, 0xff}}, []string{"08P01 end"}},
		"beyond a limit":  {[][]byte{{'Q', 0x10, 0, 0, 0}}, []string{"54000 end"}},
		"negative length": {[][]byte{{'Q', 0xff, 0xff, 0xff, 0xff}}, []string{"08P01 end"}},
	} {
		t.Run(name, func(t *testing.T) {
			conn := login{account: stack.Analyst}.connect(t)
			hijacked, err := conn.PgConn().Hijack()
			if err != nil {
				t.Fatal(err)
			}
			defer hijacked.Conn.Close()
			if err := hijacked.Conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := hijacked.Conn.Write(bytes.Join(test.send, nil)); err != nil {
				t.Fatal(err)
			}
			f := pgproto3.NewFrontend(hijacked.Conn, hijacked.Conn)
			for _, want := range test.want {
				got := answers(t, f)
				// After a protocol violation the session may go on or end.
				if want == "08P01" && strings.HasPrefix(got, "08P01 ") {
					continue
				}
				if got != want {
					t.Fatalf("got  %s\nwant %s", got, want)
				}
			}
		})
	}
}
