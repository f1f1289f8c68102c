package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/e2e/stack"
)

// lastScene is what a session is doing when it is ended, and what the log then says of it: status and SQLSTATE.
type lastScene struct {
	messages []pgproto3.FrontendMessage
	raw      string // bytes behind them
	heard    string // what the client hears of it but rows and other data
	want     []string
}

// lastScenes are statements that would all have written into the table, had they been left alone.
func lastScenes(table string) map[string]lastScene {
	query := func(text string) pgproto3.FrontendMessage {
		return &pgproto3.Query{String: strings.ReplaceAll(text, "TABLE", table)}
	}
	extended := func(texts ...string) (messages []pgproto3.FrontendMessage) {
		for _, text := range texts {
			messages = append(messages, &pgproto3.Parse{Query: strings.ReplaceAll(text, "TABLE", table)}, &pgproto3.Bind{}, &pgproto3.Execute{})
		}
		return messages
	}
	data := &pgproto3.CopyData{Data: []byte("copied\n")}
	one := func(messages ...pgproto3.FrontendMessage) []pgproto3.FrontendMessage { return messages }
	return map[string]lastScene{
		"two statements":      {one(query("SELECT pg_sleep(60); INSERT INTO TABLE VALUES ('x')")), "", "RowDescription", []string{"cancelled 57014"}},
		"a transaction":       {one(query("BEGIN; INSERT INTO TABLE VALUES ('x'); SELECT pg_sleep(60); COMMIT")), "", "CommandComplete CommandComplete RowDescription", []string{"cancelled 57014"}},
		"queries in a row":    {one(query("SELECT pg_sleep(60)"), query("SELECT pg_sleep(60)")), "", "RowDescription", []string{"cancelled 57014", "cancelled 57014"}},
		"an open transaction": {one(query("BEGIN"), query("INSERT INTO TABLE SELECT pg_sleep(60)::text")), "", "CommandComplete ReadyForQuery", []string{"completed ", "cancelled 57014"}},
		"a pipeline": {
			append(extended("INSERT INTO TABLE VALUES ('x')", "SELECT pg_sleep(60)", "INSERT INTO TABLE VALUES ('y')"), &pgproto3.Sync{}), "", "",
			[]string{"completed ", "cancelled 57014", "skipped "},
		},
		"a pipeline without an end": {
			append(extended("INSERT INTO TABLE VALUES ('x')", "SELECT pg_sleep(60)"), &pgproto3.Flush{}), "", "", []string{"completed ", "cancelled 57014"},
		},
		"a copy from the client":                {one(query("COPY TABLE FROM STDIN"), data), "", "CopyInResponse", []string{"cancelled 57014"}},
		"a copy from the client, in a pipeline": {append(extended("COPY TABLE FROM STDIN"), data), "", "", []string{"cancelled 57014"}},
		"a copy from the client, amid its data": {one(query("COPY TABLE FROM STDIN"), data), "d\x00\x00\x00\xffhalf a line", "CopyInResponse", []string{"error 08006"}},
		"a copy to the client":                  {one(query("COPY (SELECT a FROM generate_series(1, 100000) a, generate_series(1, 100000) b) TO STDOUT")), "", "CopyOutResponse", []string{"cancelled 57014"}},
		"rows":                                  {one(query("SELECT a FROM generate_series(1, 100000) a, generate_series(1, 100000) b")), "", "RowDescription", []string{"cancelled 57014"}},
	}
}

// heardUntilFatal reads to the FATAL, and renders what came but rows and data.
func heardUntilFatal(frontend *pgproto3.Frontend) (heard string, fatal *pgproto3.ErrorResponse, err error) {
	var words []string
	for {
		message, err := frontend.Receive()
		if err != nil {
			return strings.Join(words, " "), nil, err
		}
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			if m.Severity == "FATAL" {
				copied := *m
				return strings.Join(words, " "), &copied, nil
			}
			words = append(words, m.Severity+" "+m.Code)
		case *pgproto3.DataRow, *pgproto3.CopyData:
		default:
			words = append(words, strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3."))
		}
	}
}

// TestEndedWhenNothingRuns: whoever hears that an operator has ended his session knows that nothing of it runs any more, nor will have
// happened, and the log has what PostgreSQL said of it.
func TestEndedWhenNothingRuns(t *testing.T) {
	const table = "app.ended_sessions"
	admin := superuser(t, stack.App)
	execute(t, admin, "CREATE TABLE "+table+" (what text)", "GRANT ALL ON "+table+" TO PUBLIC")
	defer execute(t, admin, "DROP TABLE "+table)
	g := ownGateway(t, nil)
	o := onCall(t, g)
	t.Run("sessions", func(t *testing.T) {
		for name, scene := range lastScenes(table) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				endScene(t, g, o, table, "settle "+name, scene)
			})
		}
	})
}

// endScene has a session do what the scene has, ends it, and looks at what comes of it.
func endScene(t *testing.T, g *stack.Gateway, o operator, table, application string, scene lastScene) {
	admin := superuser(t, stack.App)
	conn := login{gateway: g, account: stack.DBA, application: application}.connect(t)
	frontend := conn.PgConn().Frontend()
	say(t, conn, scene)
	id, role := o.listedBy(t, application, "active")
	waitForBackend(t, admin, role)
	var ending sync.WaitGroup
	ending.Go(func() { o.must(t, "end", id, "--reason", "the test is over") })
	heard, fatal, err := heardUntilFatal(frontend)
	if err != nil {
		t.Fatalf("after %s: %v", heard, err)
	}
	if n := runningOf(t, admin, role); n != "0" {
		t.Errorf("%s statements run when the client is told", n)
	}
	if fatal.Code != "57P01" || fatal.Detail != "" {
		t.Errorf("the client hears %+v", fatal)
	}
	if scene.heard != "" && scene.heard != heard {
		t.Errorf("the client hears %s, want %s", heard, scene.heard)
	}
	if strings.Contains(heard, "ERROR") {
		t.Errorf("the client hears %s", heard)
	}
	ending.Wait()
	if n := value(t, admin, "SELECT count(*)::text FROM "+table); n != "0" {
		t.Errorf("%s rows are there", n)
	}
	wantOutcomes(t, g, application, scene.want, "killed")
}

// say sends what a scene has, and reads nothing of the answer.
func say(t *testing.T, conn *pgx.Conn, scene lastScene) {
	t.Helper()
	frontend := conn.PgConn().Frontend()
	for _, m := range scene.messages {
		frontend.Send(m)
	}
	if err := frontend.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.PgConn().Conn().Write([]byte(scene.raw)); err != nil {
		t.Fatal(err)
	}
}

// runningOf counts the statements that a role runs. What is discarding the rest of a pipeline is called active too; its transaction is over.
func runningOf(t *testing.T, admin *pgx.Conn, role string) string {
	t.Helper()
	return value(t, admin, "SELECT count(*)::text FROM pg_stat_activity WHERE usename = $1 AND state = 'active' AND xact_start IS NOT NULL", role)
}

// waitForBackend waits until a role's statement does not get on: it sleeps, or waits for its client.
func waitForBackend(t *testing.T, admin *pgx.Conn, role string) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		waits := value(t, admin, "SELECT coalesce(max(wait_event), '') FROM pg_stat_activity WHERE usename = $1 AND state = 'active'", role)
		if waits != "PgSleep" && waits != "ClientRead" && waits != "ClientWrite" {
			return fmt.Errorf("it waits for %q", waits)
		}
		return nil
	})
}

// wantOutcomes compares the outcomes in a session's log, which come before its end.
func wantOutcomes(t *testing.T, g *stack.Gateway, application string, want []string, reason string) {
	t.Helper()
	all := ended(t, g, application)
	pair(t, all)
	var got []string
	last := ""
	for _, e := range all {
		switch e.Type {
		case "outcome":
			got = append(got, e.Status+" "+e.SQLState)
			last = "outcome"
		case "session_end":
			last = e.Type + " " + e.Reason
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if last != "session_end "+reason {
		t.Errorf("the last event is %s", last)
	}
}

// TestLeftWhenNothingRuns: what a client leaves behind is cancelled, and the log has that.
func TestLeftWhenNothingRuns(t *testing.T) {
	const table = "app.left_sessions"
	admin := superuser(t, stack.App)
	execute(t, admin, "CREATE TABLE "+table+" (what text)", "GRANT ALL ON "+table+" TO PUBLIC")
	defer execute(t, admin, "DROP TABLE "+table)
	g := ownGateway(t, nil)
	conn := login{gateway: g, account: stack.DBA, application: "leaves"}.connect(t)
	say(t, conn, lastScenes(table)["two statements"])
	_, role := onCall(t, g).listedBy(t, "leaves", "active")
	waitForBackend(t, admin, role)
	_ = conn.PgConn().Conn().Close()
	wantOutcomes(t, g, "leaves", []string{"cancelled 57014"}, "client_gone")
	if n := value(t, admin, "SELECT count(*)::text FROM "+table); n != "0" {
		t.Errorf("%s rows are there", n)
	}
}

// TestShutdownWhenNothingRuns: the end of a drain is no other, in pass-through neither.
func TestShutdownWhenNothingRuns(t *testing.T) {
	own := ownRoles(t)
	name := own.role("pass-through-password", "")
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		c.Authentication.Rules = []stack.RuleConfig{{Method: "pass-through-password", Users: []string{name}, Databases: []string{stack.App}}}
		c.Authentication.Issuers, c.Admin.Operators, c.Admin.Audiences = nil, nil, nil
		c.Policy.Directory = readersPolicy(t, map[string]string{name: "pass-through-password"}, []string{stack.App})
		c.Timeouts = map[string]string{"drain": "1s"}
	})
	conn := login{gateway: g, account: name, password: own.password, application: "drained"}.connect(t)
	text := "SELECT count(*) FROM orders a, orders b, orders c"
	say(t, conn, lastScene{messages: []pgproto3.FrontendMessage{&pgproto3.Query{String: text}}})
	admin := superuser(t, stack.App)
	eventually(t, 10*time.Second, func() error {
		if runningOf(t, admin, name) != "1" {
			return fmt.Errorf("it does not run")
		}
		return nil
	})
	stopped := make(chan error, 1)
	began := time.Now()
	go func() { stopped <- g.Stop() }()
	heard, fatal, err := heardUntilFatal(conn.PgConn().Frontend())
	if err != nil {
		t.Fatalf("after %s: %v", heard, err)
	}
	if n := runningOf(t, admin, name); n != "0" {
		t.Errorf("%s statements run when the client is told", n)
	}
	if fatal.Code != "57P01" || !strings.Contains(fatal.Message, "shutting down") {
		t.Errorf("the client hears %+v", fatal)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it has stopped after %v", took)
	}
	wantOutcomes(t, g, "drained", []string{"cancelled 57014"}, "shutdown")
	if err := g.Start(context.WithoutCancel(t.Context())); err != nil { // there is one to be stopped at the end
		t.Error(err)
	}
}
