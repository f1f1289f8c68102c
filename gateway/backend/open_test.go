package backend

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

func open(t testing.TB, cfg Config, parameters ...Parameter) (*Session, error) {
	t.Helper()
	session, err := Open(t.Context(), cfg, fakeUser, Password(fakePassword), parameters)
	if err == nil {
		t.Cleanup(func() { _ = session.Conn.(*tls.Conn).NetConn().Close() })
	}
	return session, err
}

func TestOpen(t *testing.T) {
	const async = "A\x00\x00\x00\x0eafter ready"
	var startup []string
	cfg := serve(t, newIdentity(t, fakeHost), func(f *fake) {
		if !f.upgrade() {
			return
		}
		startup = f.readStartup()
		if !f.scram([]string{scramSHA256Plus, scramSHA256}, 4096, same) {
			return
		}
		// One write, so that one TLS record holds more than Open is to read.
		var tail bytes.Buffer
		tail.Write(frame('R', request(pgproto3.AuthTypeOk, "")))
		for _, p := range goodParameters() {
			tail.Write(status(p.Name, p.Value))
		}
		tail.Write(frame('N', "SWARNING\x00MThe password ends soon\x00\x00"))
		tail.Write(frame('K', "\x00\x00\x10\x92\x01\x02\x03\x04"))
		tail.Write(frame('Z', "I"))
		tail.WriteString(async)
		f.write(tail.Bytes())
		f.stall()
	})
	session, err := open(t, cfg, Parameter{"application_name", "sp-1"}, Parameter{"TimeZone", "UTC"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"user", fakeUser, "database", "app", "application_name", "sp-1", "TimeZone", "UTC", "", ""}
	if diff := cmp.Diff(want, startup); diff != "" {
		t.Errorf("startup message (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(goodParameters(), session.Parameters); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	if session.PID != 0x1092 || !bytes.Equal(session.Key, []byte{1, 2, 3, 4}) || len(session.Notices) != 1 || session.Host != fakeHost {
		t.Errorf("session = %+v", session)
	}
	rest := make([]byte, len(async))
	if _, err := io.ReadFull(session.Conn, rest); err != nil || string(rest) != async {
		t.Errorf("what follows ReadyForQuery: got %q, %v; want %q", rest, err, async)
	}
}

// TestOpenSaysItCouldBind checks the flag that lets a backend notice that somebody stripped its offer of channel binding.
func TestOpenSaysItCouldBind(t *testing.T) {
	for name, test := range map[string]struct {
		offered []string
		want    string
	}{
		"not offered":         {[]string{scramSHA256}, "SCRAM-SHA-256 y,,n=,r="},
		"offered":             {[]string{scramSHA256Plus, scramSHA256}, "SCRAM-SHA-256-PLUS p=tls-server-end-point,,n=,r="},
		"offered alone":       {[]string{scramSHA256Plus}, "SCRAM-SHA-256-PLUS p=tls-server-end-point,,n=,r="},
		"offered with others": {[]string{"OAUTHBEARER", scramSHA256, scramSHA256Plus}, "SCRAM-SHA-256-PLUS p=tls-server-end-point,,n=,r="},
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			cfg := serve(t, newIdentity(t, fakeHost), func(f *fake) {
				if !f.began() {
					return
				}
				f.offer(test.offered...)
				var initial pgproto3.SASLInitialResponse
				_ = initial.Decode([]byte(f.readPassword()))
				got = initial.AuthMechanism + " " + string(initial.Data)
			})
			if _, err := open(t, cfg); err == nil {
				t.Fatal("Open succeeded against a backend that hung up")
			}
			if !strings.HasPrefix(got, test.want) {
				t.Errorf("initial response = %q, want prefix %q", got, test.want)
			}
		})
	}
}

// without returns the good parameters, one of them changed, or left out if value is empty.
func without(name, value string) []Parameter {
	var changed []Parameter
	for _, p := range goodParameters() {
		if p.Name == name {
			p.Value = value
		}
		if p.Value != "" {
			changed = append(changed, p)
		}
	}
	return changed
}

func greets(parameters []Parameter) script {
	return func(f *fake) {
		if f.authenticated() {
			f.greet(parameters)
		}
	}
}

func says(kind byte, body string) script {
	return func(f *fake) {
		if f.authenticated() {
			f.say(kind, body)
		}
	}
}

func asks(kind uint32, data string) script {
	return func(f *fake) {
		if f.began() {
			f.say('R', request(kind, data))
			f.say('Z', "I")
		}
	}
}

func edits(iterations int, edit func(step int, text string) string) script {
	return func(f *fake) {
		if f.began() && f.scram([]string{scramSHA256}, iterations, edit) {
			f.say('R', request(pgproto3.AuthTypeOk, ""))
			f.greet(goodParameters())
		}
	}
}

// edited replaces one text by another in what the server says at step.
func edited(step int, before, after string) script {
	return edits(4096, func(at int, text string) string {
		if at == step {
			return strings.Replace(text, before, after, 1)
		}
		return text
	})
}

func answers(data string) script {
	return func(f *fake) {
		if f.readSSLRequest() {
			f.write([]byte(data))
		}
	}
}

func TestOpenRefusesCertificate(t *testing.T) {
	trusted := newIdentity(t, fakeHost)
	for name, test := range map[string]struct {
		shown identity
		host  string
		want  string
	}{
		"of another authority": {newIdentity(t, fakeHost), fakeHost, "certificate signed by unknown authority"},
		"for another host":     {trusted, "other.test", "not other.test"},
		"for another address":  {trusted, "127.0.0.2", "127.0.0.2"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := serve(t, test.shown, func(f *fake) { f.upgrade() })
			cfg.TLS = trusted.trust()
			cfg.Host = test.host
			_, err := open(t, cfg)
			var failure *Error
			if !errors.As(err, &failure) || failure.Stage != StageTLS || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Open: got %v, want %q at tls", err, test.want)
			}
			if failure != nil && failure.Unavailable() {
				t.Error("a certificate that is not the backend's is called unavailability")
			}
		})
	}
}

// TestOpenConfig refuses before anything is dialled.
func TestOpenConfig(t *testing.T) {
	for name, test := range map[string]struct {
		change     func(*Config)
		user       string
		parameters []Parameter
		want       string
	}{
		"no host":              {func(c *Config) { c.Host = "" }, fakeUser, nil, "no host"},
		"a port out of range":  {func(c *Config) { c.Port = 65536 }, fakeUser, nil, "out of range"},
		"no TLS":               {func(c *Config) { c.TLS = nil }, fakeUser, nil, "no TLS configuration"},
		"skipped verification": {func(c *Config) { c.TLS = &tls.Config{InsecureSkipVerify: true} }, fakeUser, nil, "skips verification"},
		"no user":              {nil, "", nil, "no user"},
		"a user of 64 bytes":   {nil, strings.Repeat("u", 64), nil, "longer than 63"},
		"NUL in the user":      {nil, "u\x00database\x00x", nil, "NUL"},
		"no database":          {func(c *Config) { c.Database = "" }, fakeUser, nil, "no database"},
		"NUL in a value":       {nil, fakeUser, []Parameter{{"application_name", "x\x00user\x00admin"}}, "NUL"},
		"NUL in a name":        {nil, fakeUser, []Parameter{{"a\x00b", "x"}}, "NUL"},
		"an empty name":        {nil, fakeUser, []Parameter{{"", "x"}}, "empty"},
		"a second user":        {nil, fakeUser, []Parameter{{"user", "postgres"}}, "given twice"},
		"the same twice":       {nil, fakeUser, []Parameter{{"TimeZone", "UTC"}, {"timezone", "CET"}}, "given twice"},
		"a protocol option":    {nil, fakeUser, []Parameter{{"_pq_.x", "1"}}, "protocol option"},
		"too much":             {nil, fakeUser, []Parameter{{"a", strings.Repeat("x", maxStartup)}}, "longer than PostgreSQL accepts"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Host: fakeHost, Database: "app", TLS: &tls.Config{}, Dial: func(context.Context, string, string) (net.Conn, error) {
				t.Error("dialled")
				return nil, errors.New("no")
			}}
			if test.change != nil {
				test.change(&cfg)
			}
			_, err := Open(t.Context(), cfg, test.user, Password(fakePassword), test.parameters)
			var failure *Error
			if !errors.As(err, &failure) || failure.Stage != StageConfig || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Open: got %v, want %q at config", err, test.want)
			}
		})
	}
}

func TestOpenAllows(t *testing.T) {
	id := newIdentity(t, fakeHost)
	for name, test := range map[string]struct {
		parameters []Parameter
		change     func(*Config)
	}{
		"a superuser":        {without("is_superuser", "on"), func(c *Config) { c.AllowSuperuser = true }},
		"a LATIN1 server":    {without("server_encoding", "LATIN1"), func(c *Config) { c.ServerEncodings = []string{"LATIN1"} }},
		"a bound channel":    {goodParameters(), func(c *Config) { c.Authentication = MethodSCRAMPlus }},
		"an unnamed session": {without("session_authorization", ""), func(*Config) {}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := serve(t, id, greets(test.parameters))
			test.change(&cfg)
			if _, err := open(t, cfg); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("but not an unbound channel", func(t *testing.T) {
		cfg := serve(t, id, edits(4096, same))
		cfg.Authentication = MethodSCRAMPlus
		if _, err := open(t, cfg); err == nil {
			t.Error("Open succeeded without channel binding")
		}
	})
}

// TestOpenStalls has the backend fall silent at each stage: Open ends at its timeout, or with its caller.
func TestOpenStalls(t *testing.T) {
	id := newIdentity(t, fakeHost)
	for name, test := range map[string]struct {
		play  script
		stage Stage
	}{
		"at SSLRequest":        {func(f *fake) { f.stall() }, StageTLS},
		"in the handshake":     {func(f *fake) { f.readSSLRequest(); f.write([]byte{'S'}); f.stall() }, StageTLS},
		"after StartupMessage": {func(f *fake) { f.began(); f.stall() }, StageAuthenticate},
		"in SCRAM":             {func(f *fake) { f.began(); f.offer(scramSHA256); f.stall() }, StageAuthenticate},
		"in a message":         {func(f *fake) { f.began(); f.write([]byte("R\x00\x00\x00\x17\x00\x00")); f.stall() }, StageAuthenticate},
		"before ready":         {func(f *fake) { f.authenticated(); f.stall() }, StageParameters},
		"a byte a second": {func(f *fake) {
			f.began()
			for range 100 {
				time.Sleep(time.Second) // the bubble's clock
				f.write([]byte{'R'})
			}
		}, StageAuthenticate},
	} {
		for how, want := range map[string]error{"timeout": context.DeadlineExceeded, "cancelled": context.Canceled} {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := serve(t, id, test.play)
					cfg.ConnectTimeout = 3 * time.Second
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if how == "cancelled" {
						time.AfterFunc(2*time.Second, cancel)
					}
					started := time.Now()
					_, err := Open(ctx, cfg, fakeUser, Password(fakePassword), nil)
					var failure *Error
					if !errors.As(err, &failure) || failure.Stage != test.stage || !errors.Is(err, want) {
						t.Errorf("Open: got %v, want %v at %s", err, want, test.stage)
					}
					if took := time.Since(started); took > 3*time.Second {
						t.Errorf("Open took %s", took)
					}
				})
			})
		}
	}
}

// TestOpenCancelledAtTheLastByte: a session whose context ended has a deadline on its connection, or is about to, and is not handed out.
func TestOpenCancelledAtTheLastByte(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var last atomic.Bool
	cfg := serve(t, newIdentity(t, fakeHost), func(f *fake) {
		if f.authenticated() {
			for _, p := range goodParameters() {
				f.write(status(p.Name, p.Value))
			}
			last.Store(true)
			f.say('Z', "I")
			f.stall()
		}
	})
	dial := cfg.Dial
	cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return &cancelling{conn, &last, cancel}, err
	}
	if _, err := Open(ctx, cfg, fakeUser, Password(fakePassword), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Open: got %v, want %v", err, context.Canceled)
	}
}

// cancelling calls cancel when it has read something after last was set.
type cancelling struct {
	net.Conn
	last   *atomic.Bool
	cancel func()
}

func (c *cancelling) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.last.Load() {
		c.cancel()
	}
	return n, err
}

func TestOpenDialFails(t *testing.T) {
	cfg := Config{Host: fakeHost, Database: "app", TLS: &tls.Config{}, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no route")
	}}
	_, err := Open(t.Context(), cfg, fakeUser, Password(fakePassword), nil)
	var failure *Error
	if !errors.As(err, &failure) || failure.Stage != StageDial || !failure.Unavailable() {
		t.Errorf("Open: got %v, want unavailable at dial", err)
	}
}

func TestConfigAddress(t *testing.T) {
	for want, cfg := range map[string]Config{
		"db.test:5432":   {Host: "db.test"},
		"[::1]:6543":     {Host: "::1", Port: 6543},
		"192.0.2.1:5432": {Host: "db.test", Port: 6543, Address: "192.0.2.1:5432"},
	} {
		if got := cfg.address(); got != want {
			t.Errorf("address of %q = %q, want %q", cfg.Host, got, want)
		}
	}
}

func TestUnavailable(t *testing.T) {
	for name, test := range map[string]struct {
		err  Error
		want bool
	}{
		"starting":         {Error{Stage: StageAuthenticate, SQLSTATE: "57P03"}, true},
		"full":             {Error{Stage: StageAuthenticate, SQLSTATE: "53300"}, true},
		"no such role":     {Error{Stage: StageAuthenticate, SQLSTATE: "28P01"}, false},
		"no such database": {Error{Stage: StageParameters, SQLSTATE: "3D000"}, false},
		"nobody there":     {Error{Stage: StageDial, Err: io.EOF}, true},
		"out of time":      {Error{Stage: StageTLS, Err: context.DeadlineExceeded}, true},
		"our refusal":      {Error{Stage: StageParameters, Err: errors.New("is_superuser")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.err.Unavailable(); got != test.want {
				t.Errorf("Unavailable() = %v, want %v", got, test.want)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	body := "SFATAL\x00VFATAL\x00C28P01\x00Mno\nlevel=ERROR forged\x1b[31m" + strings.Repeat("x", 2000) + "\x00\x00"
	got := backendError(StageAuthenticate, []byte(body))
	if strings.ContainsAny(got.Error(), "\n\x1b") || len(got.Message) > maxErrorText || got.SQLSTATE != "28P01" {
		t.Errorf("error = %q", got.Error())
	}
}

func TestCancel(t *testing.T) {
	id := newIdentity(t, fakeHost)
	key := []byte("0123456789abcdef0123456789abcdef")
	for name, test := range map[string]struct {
		then script // after the CancelRequest was read; nil: TLS is refused
		want string
	}{
		"the backend hangs up":   {func(*fake) {}, ""},
		"the backend says bye":   {func(f *fake) { _ = f.conn.(*tls.Conn).CloseWrite(); f.drain() }, ""},
		"the backend answers":    {func(f *fake) { f.say('E', "\x00") }, "answered a CancelRequest"},
		"the backend never ends": {func(f *fake) { f.stall() }, "deadline exceeded"},
		"no TLS":                 {nil, "does not offer TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := make([]byte, 12+len(key))
				cfg := serve(t, id, func(f *fake) {
					if test.then == nil {
						answers("N")(f)
					} else if f.upgrade() {
						_, _ = io.ReadFull(f.conn, got)
						test.then(f)
					}
				})
				err := Cancel(t.Context(), cfg, 4242, key)
				if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
					t.Errorf("Cancel: got %v, want %q", err, test.want)
				}
				synctest.Wait()
				want := "\x00\x00\x00\x2c\x04\xd2\x16\x2e\x00\x00\x10\x92" + string(key)
				if test.then != nil && string(got) != want {
					t.Errorf("CancelRequest = %x, want %x", got, want)
				}
			})
		})
	}
	for name, key := range map[string][]byte{"no key": nil, "short": []byte("abc"), "long": make([]byte, 257)} {
		t.Run(name, func(t *testing.T) {
			if err := Cancel(t.Context(), Config{Host: "x", TLS: &tls.Config{}}, 1, key); err == nil {
				t.Error("Cancel accepted the key")
			}
		})
	}
}
