package credentials

import (
	"context"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// fakeProvisioner is a backend that answers what a provisioner asks when it begins, and then what a test says: "" is success, a SQLSTATE
// an ERROR, "lost" the end of the connection before there is an answer.
type fakeProvisioner struct {
	mu      sync.Mutex
	opened  int
	refused error // by open
	conns   []net.Conn
	answers []string
	asked   []string
	step    time.Duration        // of its clock, which is an hour ahead without
	roles   map[string]time.Time // that it has, and until when
	until   map[string]string    // as it was told
}

// clock is its time.
func (f *fakeProvisioner) clock() time.Time { return time.Now().Add(time.Hour + f.step) }

// result answers the queries that have one: which version and what time it is, which roles there are, which groups one has.
func (f *fakeProvisioner) result(query string) [][][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	var rows [][][]byte
	switch {
	case strings.Contains(query, "server_version_num"):
		rows = append(rows, [][]byte{[]byte("150000"), []byte(strconv.FormatInt(f.clock().UnixMilli(), 10))})
	case strings.Contains(query, "rolvaliduntil"):
		for name, until := range f.roles {
			left := strconv.FormatInt(until.Sub(f.clock()).Milliseconds(), 10)
			rows = append(rows, [][]byte{[]byte(name), []byte(f.until[name]), []byte(left)})
		}
	case strings.Contains(query, "LEFT JOIN"):
		rows = append(rows, [][]byte{[]byte("app_readonly")})
	}
	return rows
}

var (
	roleSet     = regexp.MustCompile(`^(?:CREATE|ALTER) ROLE "([^"]+)" .*VALID UNTIL '([^']+)'`)
	roleDropped = regexp.MustCompile(`DROP ROLE IF EXISTS "([^"]+)"`)
)

// execute does to the roles what a statement says.
func (f *fakeProvisioner) execute(statement string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if set := roleSet.FindStringSubmatch(statement); set != nil {
		until, err := time.Parse("2006-01-02 15:04:05.000-07", set[2])
		if err == nil {
			if f.roles == nil {
				f.roles, f.until = make(map[string]time.Time), make(map[string]string)
			}
			f.roles[set[1]], f.until[set[1]] = until, set[2]
		}
	}
	if dropped := roleDropped.FindStringSubmatch(statement); dropped != nil {
		delete(f.roles, dropped[1])
	}
}

func (f *fakeProvisioner) open(context.Context) (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened++
	if f.refused != nil {
		return nil, f.refused
	}
	ours, theirs := net.Pipe()
	f.conns = append(f.conns, theirs)
	go f.serve(theirs)
	return ours, nil
}

// lose ends all connections, and refuses those to come with err unless that is nil.
func (f *fakeProvisioner) lose(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = err
	for _, conn := range f.conns {
		_ = conn.Close()
	}
	f.conns = nil
}

func (f *fakeProvisioner) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	b := pgproto3.NewBackend(conn, conn)
	var query string
	for {
		m, err := b.Receive()
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *pgproto3.Parse:
			query = m.Query
		case *pgproto3.Execute:
			b.Send(&pgproto3.ParseComplete{})
			b.Send(&pgproto3.BindComplete{})
			rows := f.result(query)
			if len(rows) > 0 {
				description := &pgproto3.RowDescription{}
				for range rows[0] {
					description.Fields = append(description.Fields, pgproto3.FieldDescription{Name: []byte("a"), DataTypeOID: 25})
				}
				b.Send(description)
			}
			for _, row := range rows {
				b.Send(&pgproto3.DataRow{Values: row})
			}
			b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
		case *pgproto3.Sync:
			b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			if b.Flush() != nil {
				return
			}
		case *pgproto3.Query:
			answer := f.answer(m.String)
			switch answer {
			case "lost":
				return
			case "":
				f.execute(m.String)
				b.Send(&pgproto3.CommandComplete{CommandTag: []byte("CREATE ROLE")})
			default:
				b.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: answer, Message: "no", Detail: m.String})
			}
			b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			if b.Flush() != nil {
				return
			}
		}
	}
}

func (f *fakeProvisioner) answer(statement string) (answer string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, statement)
	if len(f.answers) > 0 {
		answer, f.answers = f.answers[0], f.answers[1:]
	}
	return answer
}
