package backend

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"
)

var errClient = errors.New("the client says no")

// relayingSCRAM is a client with a password. told, if it is not nil, hears what the client was shown.
func relayingSCRAM(t testing.TB, password string, told *[]string) RelayedSCRAM {
	t.Helper()
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		t.Fatal(err)
	}
	conversation := client.NewConversation()
	first, err := conversation.Step("")
	if err != nil {
		t.Fatal(err)
	}
	tell := func(what []byte) {
		if told != nil {
			*told = append(*told, string(what))
		}
	}
	return RelayedSCRAM{
		First: []byte(first), Nonce: first[strings.LastIndex(first, "r=")+2:],
		Final: func(challenge []byte) ([]byte, error) {
			tell(challenge)
			final, err := conversation.Step(string(challenge))
			return []byte(final), err
		},
		Verify: func(answer []byte) error {
			tell(answer)
			_, err := conversation.Step(string(answer))
			return err
		},
	}
}

// relayingMD5 is the same for MD5.
func relayingMD5(user, password string) RelayedMD5 {
	return RelayedMD5{Answer: func(salt Salt) ([]byte, error) { return md5Response(user, []byte(password), salt), nil }}
}

// asksMD5 demands an MD5 response to a salt, and says yes if it is the right one.
func asksMD5(salt string) script {
	return func(f *fake) {
		if !f.began() {
			return
		}
		f.say('R', request(pgproto3.AuthTypeMD5Password, salt))
		if f.readPassword() != string(md5Response(fakeUser, []byte(fakePassword), Salt([]byte(salt))))+"\x00" {
			f.say('E', "SFATAL\x00VFATAL\x00C28P01\x00Mpassword authentication failed\x00\x00")
			return
		}
		f.say('R', request(pgproto3.AuthTypeOk, ""))
		f.greet(goodParameters())
	}
}

// TestMD5Response: what PostgreSQL 15 computes for this role, password and salt.
func TestMD5Response(t *testing.T) {
	// SELECT 'md5' || md5(convert_to(md5('secret' || 'ana'), 'UTF8') || '\x01020304'::bytea)
	if got, want := string(md5Response("ana", []byte("secret"), Salt{1, 2, 3, 4})), "md58f8b530763ed9afcdb2cb65189075c56"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOpenByMethod(t *testing.T) {
	id := newIdentity(t, fakeHost)
	withCertificate := func(c *Config) { c.TLS.Certificates = append(c.TLS.Certificates, id.certificate) }
	for name, test := range map[string]struct {
		method     Method
		change     func(*Config)
		credential Credential
		play       script
	}{
		"MD5":           {MethodMD5, nil, Password(fakePassword), asksMD5("salt")},
		"certificate":   {MethodCertificate, withCertificate, Password(fakePassword), accepts},
		"bound SCRAM":   {MethodSCRAMPlus, nil, Password(fakePassword), greets(goodParameters())},
		"relayed SCRAM": {MethodSCRAM, nil, relayingSCRAM(t, fakePassword, nil), edits(4096, same)},
		"relayed MD5":   {MethodMD5, nil, relayingMD5(fakeUser, fakePassword), asksMD5("\x00\x01\xff ")},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := serve(t, id, test.play)
			cfg.Authentication = test.method
			if test.change != nil {
				test.change(&cfg)
			}
			session, err := Open(t.Context(), cfg, fakeUser, test.credential, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = session.Conn.Close()
		})
	}
}

// accepts asks for nothing.
func accepts(f *fake) {
	if f.began() {
		f.say('R', request(pgproto3.AuthTypeOk, ""))
		f.greet(goodParameters())
	}
}

// TestMethodNotConfigured: whatever a backend asks for besides what it may, it gets no answer.
func TestMethodNotConfigured(t *testing.T) {
	id := newIdentity(t, fakeHost)
	demands := map[string]script{
		"nothing":    accepts,
		"cleartext":  answered(pgproto3.AuthTypeCleartextPassword, ""),
		"MD5":        answered(pgproto3.AuthTypeMD5Password, "salt"),
		"SCRAM":      answered(pgproto3.AuthTypeSASL, "SCRAM-SHA-256\x00\x00"),
		"GSS":        answered(pgproto3.AuthTypeGSS, ""),
		"a fallback": answered(pgproto3.AuthTypeSASL, "PLAIN\x00\x00"),
	}
	for _, method := range []Method{MethodSCRAM, MethodSCRAMPlus, MethodMD5, MethodCertificate} {
		for demand, play := range demands {
			if demand == map[Method]string{MethodSCRAM: "SCRAM", MethodMD5: "MD5", MethodCertificate: "nothing"}[method] {
				continue
			}
			credentials := map[string]Credential{"password": Password(fakePassword)}
			switch method {
			case MethodSCRAM:
				credentials["relayed"] = relayingSCRAM(t, fakePassword, nil)
			case MethodMD5:
				credentials["relayed"] = relayingMD5(fakeUser, fakePassword)
			}
			for kind, credential := range credentials {
				t.Run(fmt.Sprintf("%s/%s/%s", method, demand, kind), func(t *testing.T) {
					cfg := serve(t, id, play)
					cfg.Authentication = method
					cfg.TLS.Certificates = append(cfg.TLS.Certificates, id.certificate)
					_, err := Open(t.Context(), cfg, fakeUser, credential, nil)
					var failure *Error
					if !errors.As(err, &failure) || failure.Stage != StageAuthenticate || failure.Unavailable() {
						t.Errorf("Open: got %v, want a refusal at authenticate", err)
					}
					if failure != nil && failure.SQLSTATE != "" {
						t.Errorf("the demand was answered: %v", err)
					}
				})
			}
		}
	}
}

// answered makes a demand and says so if it gets any answer at all.
func answered(kind uint32, data string) script {
	return func(f *fake) {
		if !f.began() {
			return
		}
		f.say('R', request(kind, data))
		if f.readPassword() != "" {
			f.say('E', "SFATAL\x00VFATAL\x00C28P01\x00Manswered\x00\x00")
		}
	}
}

// TestCredentialDoesNotFit refuses before anything is dialled.
func TestCredentialDoesNotFit(t *testing.T) {
	id := newIdentity(t, fakeHost)
	good := relayingSCRAM(t, fakePassword, nil)
	first := func(text string) RelayedSCRAM { return RelayedSCRAM{First: []byte(text), Nonce: "abc"} }
	for name, test := range map[string]struct {
		method     Method
		credential Credential
		want       string
	}{
		"relayed SCRAM to a bound one":  {MethodSCRAMPlus, good, "not scram-sha-256-plus"},
		"relayed SCRAM to MD5":          {MethodMD5, good, "not md5"},
		"relayed SCRAM to cert":         {MethodCertificate, good, "not cert"},
		"relayed MD5 to SCRAM":          {MethodSCRAM, RelayedMD5{}, "not scram-sha-256"},
		"relayed MD5 to a bound one":    {MethodSCRAMPlus, RelayedMD5{}, "not scram-sha-256-plus"},
		"relayed MD5 to cert":           {MethodCertificate, RelayedMD5{}, "not cert"},
		"a client that could bind":      {MethodSCRAM, first("y,,n=,r=abc"), "none that could be relayed"},
		"a client that binds":           {MethodSCRAM, first("p=tls-server-end-point,,n=,r=abc"), "none that could be relayed"},
		"on another's behalf":           {MethodSCRAM, first("n,a=root,n=,r=abc"), "none that could be relayed"},
		"NUL":                           {MethodSCRAM, first("n,,n=,r=abc\x00"), "none that could be relayed"},
		"too long":                      {MethodSCRAM, first("n,,n=,r=abc,x=" + strings.Repeat("y", maxSCRAM)), "none that could be relayed"},
		"no nonce":                      {MethodSCRAM, RelayedSCRAM{First: []byte("n,,n=,r=")}, "none that could be relayed"},
		"cert without a certificate":    {MethodCertificate, Password(fakePassword), "no client certificate"},
		"a method that does not exist":  {"password", Password(fakePassword), `unknown authentication method "password"`},
		"trust":                         {"trust", Password(fakePassword), `unknown authentication method "trust"`},
		"a method in capitals":          {"MD5", Password(fakePassword), `unknown authentication method "MD5"`},
		"pass-through is none of these": {"pass-through-md5", RelayedMD5{}, "unknown authentication method"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := serve(t, id, func(*fake) { t.Error("dialled") })
			cfg.Authentication = test.method
			if strings.HasSuffix(test.want, "not cert") {
				cfg.TLS.Certificates = append(cfg.TLS.Certificates, id.certificate)
			}
			_, err := Open(t.Context(), cfg, fakeUser, test.credential, nil)
			var failure *Error
			if !errors.As(err, &failure) || failure.Stage != StageConfig || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Open: got %v, want %q at config", err, test.want)
			}
		})
	}
}

// TestRelayedSCRAMRefuses: what a backend says to a client through us is bounded as if it were said to us.
func TestRelayedSCRAMRefuses(t *testing.T) {
	id := newIdentity(t, fakeHost)
	final := func(text string) script {
		return edits(4096, func(step int, said string) string { return map[int]string{1: said, 2: text}[step] })
	}
	for name, test := range map[string]struct {
		play script
		want string
		told int // how many of the backend's messages the client is shown
	}{
		"only -PLUS":                   {asks(pgproto3.AuthTypeSASL, "SCRAM-SHA-256-PLUS\x00\x00"), "without channel binding", 0},
		"only OAUTHBEARER":             {asks(pgproto3.AuthTypeSASL, "OAUTHBEARER\x00\x00"), "without channel binding", 0},
		"trust":                        {accepts, "asked for nothing", 0},
		"one iteration":                {edits(1, same), "1 iterations are not between", 0},
		"4095 iterations":              {edits(4095, same), "4095 iterations are not between", 0},
		"a billion iterations":         {edited(1, "i=4096", "i=1000000000"), "1000000000 iterations are not between", 0},
		"iterations beyond int":        {edited(1, "i=4096", "i=99999999999999999999"), "no number", 0},
		"another nonce":                {edited(1, "r=", "r=x"), "not our nonce", 0},
		"an extension":                 {edited(1, "r=", "m=ext,r="), "not three attributes", 0},
		"NUL in server-first":          {edited(1, ",s=", "\x00,s="), "malformed", 0},
		"oversized server-first":       {edited(1, ",i=", strings.Repeat("A", maxSCRAM)+",i="), "malformed", 0},
		"no salt":                      {edited(1, "s=MDEyMzQ1Njc4OWFiY2RlZg==", "s="), "salt", 0},
		"success before the signature": {skips, "asked for nothing", 1},
		"SASLFinal first":              {asks(pgproto3.AuthTypeSASLFinal, "v="), "asked for SASLFinal", 0},
		"wrong signature": {
			final("v=" + strings.Repeat("A", 43) + "="), "server validation failed", 2, // the client sees it
		},
		"server error":            {final("e=invalid-proof"), "not a signature", 1},
		"short signature":         {final("v=AAAA"), "not a signature", 1},
		"no signature":            {final(""), "not a signature", 1},
		"signature and more":      {final("v=" + strings.Repeat("A", 43) + "=,x=y"), "not a signature", 1},
		"NUL in the signature":    {final("v=" + strings.Repeat("A", 42) + "\x00="), "malformed", 1},
		"oversized signature":     {final("v=" + strings.Repeat("A", maxSCRAM)), "malformed", 1},
		"hangs up":                {func(f *fake) { f.began() }, "connection lost", 0},
		"hangs up after an offer": {func(f *fake) { f.began(); f.offer(scramSHA256) }, "connection lost", 0},
		"refuses after all":       {refusesAfterAll, "28000", 1},
	} {
		t.Run(name, func(t *testing.T) {
			var told []string
			_, err := Open(t.Context(), serve(t, id, test.play), fakeUser, relayingSCRAM(t, fakePassword, &told), nil)
			var failure *Error
			if !errors.As(err, &failure) || failure.Stage != StageAuthenticate || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Open: got %v, want %q at authenticate", err, test.want)
			}
			if len(told) != test.told {
				t.Errorf("the client is shown %q", told)
			}
		})
	}
}

// skips lets in after the client's first message.
func skips(f *fake) {
	if f.began() {
		f.scram([]string{scramSHA256}, 4096, func(step int, text string) string {
			if step == 2 {
				f.say('R', request(pgproto3.AuthTypeOk, ""))
				f.greet(goodParameters())
			}
			return text
		})
	}
}

// refusesAfterAll says that the proof is right, and then no.
func refusesAfterAll(f *fake) {
	if f.began() && f.scram([]string{scramSHA256}, 4096, same) {
		f.say('E', "SFATAL\x00VFATAL\x00C28000\x00Mcertificate authentication failed\x00\x00")
	}
}

// TestRelayedClient: one that gives up, or sends what is not passed on.
func TestRelayedClient(t *testing.T) {
	id := newIdentity(t, fakeHost)
	says := func(answer []byte, err error) RelayedSCRAM {
		r := relayingSCRAM(t, fakePassword, nil)
		r.Final = func([]byte) ([]byte, error) { return answer, err }
		return r
	}
	rejects := relayingSCRAM(t, fakePassword, nil)
	rejects.Verify = func([]byte) error { return errClient }
	md5 := func(answer string, err error) RelayedMD5 {
		return RelayedMD5{Answer: func(Salt) ([]byte, error) { return []byte(answer), err }}
	}
	for name, test := range map[string]struct {
		method     Method
		credential Credential
		client     bool // the error is the client's own
		answered   bool // the backend gets an answer
	}{
		"gone at server-first":         {MethodSCRAM, says(nil, errClient), true, false},
		"oversized client-final":       {MethodSCRAM, says([]byte(strings.Repeat("c", maxSCRAM+1)), nil), false, false},
		"NUL in client-final":          {MethodSCRAM, says([]byte("c=biws\x00"), nil), false, false},
		"does not like the signature":  {MethodSCRAM, relayingSCRAM(t, fakePassword, nil), false, true},
		"does not trust the signature": {MethodSCRAM, rejects, true, true},
		"gone at the salt":             {MethodMD5, md5("", errClient), true, false},
		"sends its password":           {MethodMD5, md5(fakePassword, nil), false, false},
		"sends 31 digits":              {MethodMD5, md5("md5"+strings.Repeat("0", 31), nil), false, false},
		"sends 33 digits":              {MethodMD5, md5("md5"+strings.Repeat("0", 33), nil), false, false},
		"sends capitals":               {MethodMD5, md5("md5"+strings.Repeat("A", 32), nil), false, false},
		"sends a line more":            {MethodMD5, md5("md5"+strings.Repeat("0", 32)+"\n", nil), false, false},
		"sends NUL":                    {MethodMD5, md5("md5"+strings.Repeat("0", 32)+"\x00", nil), false, false},
		"sends nothing":                {MethodMD5, md5("", nil), false, false},
		"sends a wrong response":       {MethodMD5, md5("md5"+strings.Repeat("0", 32), nil), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			answers := make(chan string, 1)
			cfg := serve(t, id, func(f *fake) { answers <- f.askedBy(test.method) })
			cfg.Authentication = test.method
			_, err := Open(t.Context(), cfg, fakeUser, test.credential, nil)
			var failure *Error
			if !errors.As(err, &failure) || failure.Stage != StageAuthenticate || errors.Is(err, errClient) != test.client {
				t.Errorf("Open: got %v", err)
			}
			if got := <-answers; (got != "") != test.answered {
				t.Errorf("the backend is sent %q", got)
			}
		})
	}
}

// askedBy asks the client for its proof by a method, returns it, and lets in whoever gave one by SCRAM, but nobody by MD5.
func (f *fake) askedBy(method Method) string {
	if !f.began() {
		return ""
	}
	if method == MethodMD5 {
		f.say('R', request(pgproto3.AuthTypeMD5Password, "salt"))
		answer := f.readPassword()
		f.say('E', "SFATAL\x00VFATAL\x00C28P01\x00Mno\x00\x00")
		return answer
	}
	f.offer(scramSHA256)
	var initial pgproto3.SASLInitialResponse
	if initial.Decode([]byte(f.readPassword())) != nil {
		return ""
	}
	challenge, _ := f.conversation(scramSHA256, 4096).Step(string(initial.Data))
	f.say('R', request(pgproto3.AuthTypeSASLContinue, challenge))
	answer := f.readPassword()
	f.say('R', request(pgproto3.AuthTypeSASLFinal, "v="+strings.Repeat("A", 43)+"="))
	f.say('R', request(pgproto3.AuthTypeOk, ""))
	f.greet(goodParameters())
	return answer
}

func TestMD5Refuses(t *testing.T) {
	id := newIdentity(t, fakeHost)
	for name, test := range map[string]struct {
		play script
		want string
	}{
		"no salt":              {asks(pgproto3.AuthTypeMD5Password, ""), "not four bytes"},
		"three bytes":          {asks(pgproto3.AuthTypeMD5Password, "sal"), "not four bytes"},
		"five bytes":           {asks(pgproto3.AuthTypeMD5Password, "salty"), "not four bytes"},
		"asks twice":           {thenAsks(pgproto3.AuthTypeMD5Password, "more"), "asked for an MD5 password where only nothing"},
		"cleartext after it":   {thenAsks(pgproto3.AuthTypeCleartextPassword, ""), "asked for a cleartext password"},
		"SASL after it":        {thenAsks(pgproto3.AuthTypeSASL, "SCRAM-SHA-256\x00\x00"), "asked for SASL"},
		"success and trailing": {thenAsks(pgproto3.AuthTypeOk, "x"), "trailing bytes"},
	} {
		for kind, credential := range map[string]Credential{"password": Password(fakePassword), "relayed": relayingMD5(fakeUser, fakePassword)} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				cfg := serve(t, id, test.play)
				cfg.Authentication = MethodMD5
				_, err := Open(t.Context(), cfg, fakeUser, credential, nil)
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("Open: got %v, want %q", err, test.want)
				}
			})
		}
	}
}

// thenAsks demands an MD5 response, and then something else.
func thenAsks(kind uint32, data string) script {
	return func(f *fake) {
		if f.began() {
			f.say('R', request(pgproto3.AuthTypeMD5Password, "salt"))
			f.readPassword()
			f.say('R', request(kind, data))
		}
	}
}

// TestPasswordIsNotPrinted, whatever prints it.
func TestPasswordIsNotPrinted(t *testing.T) {
	p := Password(fakePassword)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "password", p, "in", []any{p})
	encoded, err := json.Marshal(map[string]any{"password": p})
	if err != nil {
		t.Fatal(err)
	}
	printed := fmt.Sprintf("%v %+v %#v %s %q %x %d %v", p, p, p, p, p, p, p, []Password{p}) + log.String() + string(encoded)
	for _, form := range []string{fakePassword, fmt.Sprintf("%x", fakePassword), fmt.Sprint([]byte(fakePassword))} {
		if strings.Contains(printed, form) {
			t.Errorf("%q shows %q", printed, form)
		}
	}
}
