package credentials

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"
)

// fakeProvisioner is a backend that answers what a provisioner asks when it begins, and then what a test says: "" is success, a SQLSTATE
// an ERROR, "lost" the end of the connection before there is an answer.
type fakeProvisioner struct {
	mu      sync.Mutex
	opened  int
	refused error // by open
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
	go f.serve(theirs)
	return ours, nil
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

// newMinted makes a Minted that nobody runs. What it logs is in the buffer.
func newMinted(t *testing.T, f *fakeProvisioner) (*Minted, *bytes.Buffer) {
	t.Helper()
	var logged bytes.Buffer
	m, err := NewMinted(MintedConfig{Open: f.open, Owner: "app_owner", Groups: []string{"app_readonly"}}, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return m, &logged
}

func TestMintedIssue(t *testing.T) {
	for name, test := range map[string]struct {
		answers []string
		opened  int
		revoked int // leases that are given to be revoked
		kind    Kind
	}{
		"at once":                       {nil, 1, 0, 0},
		"no such group":                 {[]string{"42704"}, 1, 1, Refused},
		"no privilege":                  {[]string{"42501"}, 1, 1, Refused},
		"too many locks":                {[]string{"53200"}, 1, 1, Unavailable},
		"lost on a new connection":      {[]string{"lost"}, 1, 1, Unavailable},
		"lost on one that was there":    {[]string{"", "lost"}, 2, 1, 0},
		"lost twice, the second is new": {[]string{"", "lost", "lost"}, 2, 2, Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeProvisioner{answers: test.answers}
				m, logged := newMinted(t, f)
				m.pool.places = make(chan *provisioner, 1)
				m.pool.places <- nil
				if len(test.answers) > 0 && test.answers[0] == "" {
					if err := m.pool.look(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				lease, err := m.Issue(t.Context(), "app_readonly")
				failure, _ := errors.AsType[*Error](err)
				if (err != nil) != (test.kind != 0) || err != nil && (failure.Kind != test.kind || failure.Source != SourceMinted) {
					t.Fatalf("got %v", err)
				}
				if f.opened != test.opened || m.revoker.Pending() != test.revoked {
					t.Errorf("%d connections, %d roles to be dropped; want %d and %d", f.opened, m.revoker.Pending(), test.opened, test.revoked)
				}
				if err == nil {
					checkStatement(t, f.asked[len(f.asked)-1], lease)
				}
				for _, said := range append(f.asked, logged.String(), errorText(err)) {
					if lease.Password != "" && strings.Contains(said, lease.Password) || err != nil && strings.Contains(err.Error(), "SCRAM") {
						t.Errorf("it shows a secret: %s", said)
					}
				}
				if err := m.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// checkStatement wants the role to end by the backend's clock, which is an hour ahead.
func checkStatement(t *testing.T, statement string, lease Lease) {
	t.Helper()
	until := lease.Expires.Add(time.Hour).UTC().Format("2006-01-02 15:04:05.000-07")
	if !strings.HasPrefix(statement, `CREATE ROLE "`+lease.Username+`" LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 1 PASSWORD 'SCRAM-SHA-256$4096:`) ||
		!strings.HasSuffix(statement, `' VALID UNTIL '`+until+`' IN ROLE "app_readonly"`) {
		t.Errorf("the role is made by %s, its lease ends at %s", statement, lease.Expires)
	}
	if lease.Source != SourceMinted || !lease.Renewable || lease.ttl != defaultTTL || !minted.MatchString(lease.Username) {
		t.Errorf("got %#v", lease)
	}
}

// TestMintedBacksOff: a backend that is away is not asked by every login, and those are told at once.
func TestMintedBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeProvisioner{refused: errors.New("connection refused")}
		m, logged := newMinted(t, f)
		began := time.Now()
		for time.Since(began) < time.Minute {
			if _, err := m.Issue(t.Context(), "app_readonly"); err == nil {
				t.Fatal("a role was made")
			}
			time.Sleep(10 * time.Millisecond)
		}
		if f.opened < 10 || f.opened > 25 {
			t.Errorf("%d attempts in a minute", f.opened)
		}
		if m.Ready() == nil || m.revoker.Pending() != 0 {
			t.Errorf("ready: %v, %d roles to be dropped", m.Ready(), m.revoker.Pending())
		}
		if n := strings.Count(logged.String(), "the provisioning role cannot be used"); n != 1 {
			t.Errorf("the log says so %d times", n)
		}
		f.refused = nil
		time.Sleep(lastReconnect)
		if _, err := m.Issue(t.Context(), "app_readonly"); err != nil || m.Ready() != nil {
			t.Errorf("%v, %v", err, m.Ready())
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestMintedRenew: a role's time ends with MaxExpires, whatever is asked.
func TestMintedRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newMinted(t, &fakeProvisioner{})
		lease, err := m.Issue(t.Context(), "app_readonly")
		if err != nil {
			t.Fatal(err)
		}
		began, renewals := time.Now(), 0
		for ; lease.Renewable; renewals++ {
			time.Sleep(defaultTTL / 2)
			if lease, err = m.Renew(t.Context(), lease); err != nil {
				t.Fatal(err)
			}
		}
		if got := lease.Expires.Sub(began); got != defaultMaxTTL {
			t.Errorf("after %d renewals it ends after %s", renewals, got)
		}
		if _, err := m.Renew(t.Context(), lease); err == nil {
			t.Error("it is renewed beyond its end")
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestMintedRevokesItsOwn: a journal that somebody has written into has nobody else's role dropped.
func TestMintedRevokesItsOwn(t *testing.T) {
	f := &fakeProvisioner{}
	m, _ := newMinted(t, f)
	for _, name := range []string{
		"", "postgres", "app_readonly", "s-app-1", `s-a-aaaaaaaaaaaaaaaa-1700000000"; DROP ROLE x; --`, "s-A-aaaaaaaaaaaaaaaa-1700000000",
		"xs-a-aaaaaaaaaaaaaaaa-1700000000", "s-a-aaaaaaaaaaaaaaaa-1700000000\n",
	} {
		if err := m.Revoke(t.Context(), Lease{ID: name, Username: name}); err == nil || f.opened > 0 {
			t.Errorf("%q is dropped: %v", name, err)
		}
	}
}

func TestMintedName(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for group, want := range map[string]string{
		"app_readonly": "s-app_readonly-", "App Readonly": "s-app_readonly-", `a"b`: "s-a_b-", "größe": "s-gr__e-", strings.Repeat("x", 63): "s-" + strings.Repeat("x", 24) + "-",
	} {
		name := mintedName(group, now)
		if !strings.HasPrefix(name, want) || !strings.HasSuffix(name, "-1800000000") || len(name) > 63 || !minted.MatchString(name) {
			t.Errorf("%s: %s", group, name)
		}
		if name == mintedName(group, now) {
			t.Errorf("%s: two roles have one name", group)
		}
	}
}

// TestVerifier: who knows the password proves it against what PostgreSQL is told.
func TestVerifier(t *testing.T) {
	text, err := verifierOf("the password")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == '$' || r == ':' })
	if len(parts) != 5 || parts[0] != "SCRAM-SHA-256" || parts[1] != "4096" {
		t.Fatalf("got %d parts of %s…", len(parts), text[:14])
	}
	decode := func(s string) []byte {
		data, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	stored := scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(decode(parts[2])), Iters: 4096}, StoredKey: decode(parts[3]), ServerKey: decode(parts[4]),
	}
	for password, want := range map[string]bool{"the password": true, "another": false} {
		server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
		if err != nil {
			t.Fatal(err)
		}
		client, err := scram.SHA256.NewClient("", password, "")
		if err != nil {
			t.Fatal(err)
		}
		c, s := client.NewConversation(), server.NewConversation()
		message := ""
		for range 2 {
			if message, err = c.Step(message); err != nil {
				t.Fatal(err)
			}
			message, err = s.Step(message)
		}
		if s.Valid() != want || (err == nil) != want {
			t.Errorf("%s: valid %v, %v", password, s.Valid(), err)
		}
	}
}

func TestUnprovisioned(t *testing.T) {
	for code, want := range map[string]Kind{
		"08006": Unavailable, "40001": Unavailable, "53300": Unavailable, "55006": Unavailable, "57014": Unavailable, "57P01": Unavailable,
		"XX000": Unavailable, "42501": Refused, "42704": Refused, "2BP01": Refused, "28000": Refused,
	} {
		err := unprovisioned("op", &pgconn.PgError{Code: code, Message: "no\nline", Detail: "SCRAM-SHA-256$", Hint: "SCRAM-SHA-256$"})
		failure, ok := errors.AsType[*Error](err)
		if !ok || failure.Kind != want || strings.ContainsAny(err.Error(), "\n$") {
			t.Errorf("%s: %v", code, err)
		}
	}
}
