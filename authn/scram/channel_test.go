package scram

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	xdgscram "github.com/xdg-go/scram"
)

// endPoint stands for the hash of a certificate.
var endPoint = bytes.Repeat([]byte{7}, 32)

// plusInput is an honest client's c=.
func plusInput(data []byte) string {
	return base64.StdEncoding.EncodeToString(append([]byte("p=tls-server-end-point,,"), data...))
}

// boundClient plays the client's side of SCRAM-SHA-256-PLUS with the library.
func boundClient(t testing.TB, kind xdgscram.ChannelBindingType, data []byte, password string) *xdgscram.ClientConversation {
	t.Helper()
	c, err := xdgscram.SHA256.NewClient("", password, "")
	if err != nil {
		t.Fatal(err)
	}
	return c.NewConversationWithChannelBinding(xdgscram.ChannelBinding{Type: kind, Data: data})
}

// TestPlusExchange is RFC 7677's example with channel binding. No RFC publishes one; this was computed with Python's hashlib and
// hmac, by a program that gives RFC 7677's own proof for c=biws. The channel's data are the bytes 0 to 31.
func TestPlusExchange(t *testing.T) {
	verifier, err := ParseVerifier(published)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 32)
	for i := range data {
		data[i] = byte(i)
	}
	server := serverFor(t, verifier)
	server.nonce = func() string { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" }
	exchange := server.Begin("ana", data)
	if err := exchange.Select(MechanismPlus); err != nil {
		t.Fatal(err)
	}
	out, done, err := exchange.Step([]byte("p=tls-server-end-point,,n=user,r=rOprNGfwEbeRWgbNEkqO"))
	if err != nil || done || string(out) != "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096" {
		t.Fatalf("Step(first) = %q, %v, %v", out, done, err)
	}
	out, done, err = exchange.Step([]byte("c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=," +
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=nY1Wus9a+gM2DrbQ1msXFgyhW6KM5ktOxWiU+/P/EGY="))
	if err != nil || !done || string(out) != "v=RwppMGddhz/J0lFYaRReBjXcQeNUFP5Qc76Lo5Exrig=" || !exchange.Valid() {
		t.Errorf("Step(final) = %q, %v, %v, valid %v", out, done, err, exchange.Valid())
	}
}

func TestMechanisms(t *testing.T) {
	server := newServer(t, "secret")
	both, one := []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}, []string{"SCRAM-SHA-256"}
	tests := map[string]struct {
		user    string
		binding []byte
		want    []string
	}{
		"bound":                 {"ana", endPoint, both},
		"bound, unknown user":   {"eve", endPoint, both},
		"unbound":               {"ana", nil, one},
		"unbound, unknown user": {"eve", nil, one},
		"a hash of no length":   {"ana", []byte{}, one},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, server.Begin(tt.user, tt.binding).Mechanisms()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSelect(t *testing.T) {
	server := newServer(t, "secret")
	tests := map[string]struct {
		binding    []byte
		mechanisms []string // the last is the one in question
		ok         bool
	}{
		"plus":                       {endPoint, []string{MechanismPlus}, true},
		"plain although bound":       {endPoint, []string{Mechanism}, true},
		"plain":                      {nil, []string{Mechanism}, true},
		"plus that was not offered":  {nil, []string{MechanismPlus}, false},
		"no name":                    {endPoint, []string{""}, false},
		"small letters":              {endPoint, []string{"scram-sha-256"}, false},
		"other hash":                 {endPoint, []string{"SCRAM-SHA-1-PLUS"}, false},
		"blank behind":               {endPoint, []string{"SCRAM-SHA-256 "}, false},
		"both":                       {endPoint, []string{"SCRAM-SHA-256-PLUS,SCRAM-SHA-256"}, false},
		"twice":                      {endPoint, []string{MechanismPlus, MechanismPlus}, false},
		"plain after plus":           {endPoint, []string{MechanismPlus, Mechanism}, false},
		"a good one after a bad one": {endPoint, []string{"x", Mechanism}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			exchange := server.Begin("ana", tt.binding)
			var err error
			for _, mechanism := range tt.mechanisms {
				err = exchange.Select(mechanism)
			}
			if (err == nil) != tt.ok || (err != nil && !errors.Is(err, ErrProtocol)) {
				t.Fatalf("Select = %v, want ok %v", err, tt.ok)
			}
			if !tt.ok {
				if _, done, err := exchange.Step([]byte("n,,n=,r=abc")); !errors.Is(err, ErrProtocol) || !done {
					t.Errorf("Step afterwards = %v, %v", done, err)
				}
			}
		})
	}
	t.Run("after the first step", func(t *testing.T) {
		exchange := begin(t, server, "ana")
		if _, _, err := exchange.Step([]byte("n,,n=,r=abc")); err != nil {
			t.Fatal(err)
		}
		if err := exchange.Select(Mechanism); !errors.Is(err, ErrProtocol) {
			t.Errorf("Select = %v", err)
		}
	})
	t.Run("never", func(t *testing.T) {
		if _, done, err := server.Begin("ana", nil).Step([]byte("n,,n=,r=abc")); !errors.Is(err, ErrProtocol) || !done {
			t.Errorf("Step = %v, %v", done, err)
		}
	})
}

// TestFlags holds what the client says of channel binding to what was offered and what it chose.
func TestFlags(t *testing.T) {
	tests := map[string]struct {
		bound     bool
		mechanism string
		flag      string
		want      error
	}{
		"plus":                                {true, MechanismPlus, "p=tls-server-end-point", nil},
		"plain, cannot bind":                  {true, Mechanism, "n", nil},
		"unbound, cannot bind":                {false, Mechanism, "n", nil},
		"unbound, could bind":                 {false, Mechanism, "y", nil},
		"plus was taken off the list":         {true, Mechanism, "y", ErrNegotiation},
		"plus without binding":                {true, MechanismPlus, "n", ErrProtocol},
		"plus, client thinks it not offered":  {true, MechanismPlus, "y", ErrProtocol},
		"plus by tls-unique":                  {true, MechanismPlus, "p=tls-unique", ErrProtocol},
		"plus by tls-exporter":                {true, MechanismPlus, "p=tls-exporter", ErrProtocol},
		"plus by an unknown type":             {true, MechanismPlus, "p=x", ErrProtocol},
		"plus without a type":                 {true, MechanismPlus, "p=", ErrProtocol},
		"plus, type in capitals":              {true, MechanismPlus, "p=TLS-SERVER-END-POINT", ErrProtocol},
		"plus, type with more behind":         {true, MechanismPlus, "p=tls-server-end-point2", ErrProtocol},
		"plus, flag in capitals":              {true, MechanismPlus, "P=tls-server-end-point", ErrProtocol},
		"plus, no equals sign":                {true, MechanismPlus, "p", ErrProtocol},
		"plus, no flag":                       {true, MechanismPlus, "", ErrProtocol},
		"plain with binding":                  {true, Mechanism, "p=tls-server-end-point", ErrProtocol},
		"plain with another binding":          {true, Mechanism, "p=tls-unique", ErrProtocol},
		"unbound with binding":                {false, Mechanism, "p=tls-server-end-point", ErrProtocol},
		"unbound, unknown flag":               {false, Mechanism, "x", ErrProtocol},
		"taken off the list, with more on it": {true, Mechanism, "yy", ErrProtocol},
	}
	for name, tt := range tests {
		for _, user := range []string{"ana", "eve"} { // known and unknown alike
			t.Run(name+", "+user, func(t *testing.T) {
				var binding []byte
				if tt.bound {
					binding = endPoint
				}
				exchange := newServer(t, "secret").Begin(user, binding)
				if err := exchange.Select(tt.mechanism); err != nil {
					t.Fatal(err)
				}
				out, done, err := exchange.Step([]byte(tt.flag + ",,n=,r=abc"))
				if !errors.Is(err, tt.want) || (out == nil) != (tt.want != nil) || done != (tt.want != nil) {
					t.Errorf("Step = %q, %v, %v, want %v", out, done, err, tt.want)
				}
			})
		}
	}
}

// TestNegotiationErrorText: PostgreSQL's words, by which drivers and people find help.
func TestNegotiationErrorText(t *testing.T) {
	for err, want := range map[error]string{ErrNegotiation: "SCRAM channel binding negotiation error", ErrBinding: "SCRAM channel binding check failed"} {
		if err.Error() != want || errors.Is(err, ErrProtocol) || errors.Is(err, ErrFailed) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestPlusLogin(t *testing.T) {
	other := bytes.Repeat([]byte{8}, 32)
	endPointType := xdgscram.ChannelBindingTLSServerEndpoint
	tests := map[string]struct {
		user     string
		kind     xdgscram.ChannelBindingType
		data     []byte // what the client saw
		password string
		want     error
	}{
		"good":                               {"ana", endPointType, endPoint, "secret", nil},
		"wrong password":                     {"ana", endPointType, endPoint, "Secret", ErrFailed},
		"unknown user":                       {"eve", endPointType, endPoint, "secret", ErrFailed},
		"another certificate":                {"ana", endPointType, other, "secret", ErrBinding},
		"another certificate, unknown user":  {"eve", endPointType, other, "secret", ErrBinding},
		"another certificate, wrong secret":  {"ana", endPointType, other, "Secret", ErrBinding},
		"the hash cut short":                 {"ana", endPointType, endPoint[:31], "secret", ErrBinding},
		"the hash with a byte more":          {"ana", endPointType, append(bytes.Clone(endPoint), 7), "secret", ErrBinding},
		"another type with the same content": {"ana", xdgscram.ChannelBindingTLSExporter, endPoint, "secret", ErrProtocol},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			exchange := newServer(t, "secret").Begin(tt.user, endPoint)
			if err := exchange.Select(MechanismPlus); err != nil {
				t.Fatal(err)
			}
			c := boundClient(t, tt.kind, tt.data, tt.password)
			message, err := c.Step("")
			if err != nil {
				t.Fatal(err)
			}
			out, done, err := exchange.Step([]byte(message))
			if !done {
				if message, err = c.Step(string(out)); err != nil {
					t.Fatal(err)
				}
				out, _, err = exchange.Step([]byte(message))
			}
			if !errors.Is(err, tt.want) || exchange.Valid() != (tt.want == nil) || (out == nil) != (tt.want != nil) {
				t.Fatalf("login = %q, %v, valid %v, want %v", out, err, exchange.Valid(), tt.want)
			}
			if tt.want == nil {
				if _, err := c.Step(string(out)); err != nil || !c.Valid() {
					t.Errorf("client does not accept the server: %v", err)
				}
			}
		})
	}
}

// TestPlusFinal: c= is compared to the byte, so that nothing decodes to the right data in another spelling.
func TestPlusFinal(t *testing.T) {
	proof := base64.StdEncoding.EncodeToString(make([]byte, keyBytes))
	good := plusInput(endPoint)
	want := clientFinal{binding: channel{data: endPoint, selected: true}.input("p=tls-server-end-point,,"), nonce: "abc", bound: true}
	tests := map[string]struct {
		binding string
		want    error
	}{
		"good":                     {"c=" + good, nil},
		"gs2 header alone":         {"c=" + plusInput(nil), ErrBinding},
		"header of n":              {"c=biws", ErrBinding},
		"header of y":              {"c=eSws", ErrBinding},
		"header of n, with data":   {"c=" + base64.StdEncoding.EncodeToString(append([]byte("n,,"), endPoint...)), ErrBinding},
		"another type's header":    {"c=" + base64.StdEncoding.EncodeToString(append([]byte("p=tls-unique,,"), endPoint...)), ErrBinding},
		"data twice":               {"c=" + plusInput(bytes.Repeat(endPoint, 2)), ErrBinding},
		"data without header":      {"c=" + base64.StdEncoding.EncodeToString(endPoint), ErrBinding},
		"without padding":          {"c=" + strings.TrimRight(good, "="), ErrBinding},
		"padding doubled":          {"c=" + good + "=", ErrBinding},
		"a line break in it":       {"c=" + good[:8] + "\n" + good[8:], ErrBinding},
		"a blank behind":           {"c=" + good + " ", ErrBinding},
		"hexadecimal":              {"c=0707", ErrBinding},
		"empty":                    {"c=", ErrBinding},
		"attribute in capitals":    {"C=" + good, ErrProtocol},
		"another attribute":        {"d=" + good, ErrProtocol},
		"no attribute":             {"x", ErrProtocol},
		"binding as an extension":  {"x=y,c=" + good, ErrProtocol},
		"authorization identity":   {"a=x,c=" + good, ErrProtocol},
		"a second one as the rest": {"c=" + good + ",c=" + good, ErrProtocol},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := want.check([]byte(tt.binding + ",r=abc,p=" + proof)); !errors.Is(err, tt.want) {
				t.Errorf("check = %v, want %v", err, tt.want)
			}
		})
	}
}

// TestBindingIsCopied: the caller may reuse its bytes while the exchange lasts.
func TestBindingIsCopied(t *testing.T) {
	data := bytes.Clone(endPoint)
	exchange := newServer(t, "secret").Begin("ana", data)
	clear(data)
	if err := exchange.Select(MechanismPlus); err != nil {
		t.Fatal(err)
	}
	if _, err := login(t, exchange, boundClient(t, xdgscram.ChannelBindingTLSServerEndpoint, endPoint, "secret")); err != nil {
		t.Errorf("login: %v", err)
	}
}
