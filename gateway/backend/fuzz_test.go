package backend

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// FuzzReadMessage wants exactly one message to be taken, or none.
func FuzzReadMessage(f *testing.F) {
	f.Add([]byte("Z\x00\x00\x00\x05Irest"))
	f.Add([]byte("R\xff\xff\xff\xff"))
	f.Add([]byte("E\x7f\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		reader := bytes.NewReader(data)
		got, err := readMessage(reader)
		if err != nil {
			return
		}
		whole := append(frame(got.kind, string(got.body)), data[len(data)-reader.Len():]...)
		if !bytes.Equal(whole, data) {
			t.Errorf("read %q of %q", whole, data)
		}
	})
}

// FuzzReadGreeting wants what a backend says to be refused, or to be a greeting within its bounds that ends with ReadyForQuery.
func FuzzReadGreeting(f *testing.F) {
	var good bytes.Buffer
	for _, p := range goodParameters() {
		good.Write(status(p.Name, p.Value))
	}
	good.Write(frame('K', "\x00\x00\x10\x92\x01\x02\x03\x04"))
	good.Write(frame('Z', "I"))
	f.Add(good.Bytes())
	f.Add(frame('N', "SWARNING\x00\x00"))
	f.Add(frame('E', "C57P03\x00Mstarting\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		reader := bytes.NewReader(data)
		g, err := readGreeting(reader)
		if err != nil {
			return
		}
		taken := data[:len(data)-reader.Len()]
		if !bytes.HasSuffix(taken, frame('Z', "I")) {
			t.Errorf("a greeting ended with %q", taken)
		}
		if len(g.parameters) > maxParameters || len(g.notices) > maxNotices || len(g.key) > maxKey || g.key != nil && len(g.key) < minKey {
			t.Errorf("beyond its bounds: %+v", g)
		}
		_ = g.check(&Config{}, fakeUser)
	})
}

// FuzzBackendError wants a loggable line whatever an ErrorResponse says.
func FuzzBackendError(f *testing.F) {
	f.Add([]byte("SFATAL\x00VFATAL\x00C28P01\x00Mpassword authentication failed\x00\x00"))
	f.Add([]byte("Mline\nbreak\xff\x00\x00"))
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, body []byte) {
		got := backendError(StageAuthenticate, body)
		if got.SQLSTATE != "" && !validSQLSTATE(got.SQLSTATE) || len(got.Message) > maxErrorText {
			t.Errorf("error = %#v", got)
		}
		for _, c := range []byte(got.Error()) {
			if c < ' ' || c == 0x7f {
				t.Fatalf("error %q has control characters", got.Error())
			}
		}
	})
}

// FuzzServerFirst wants no more work than maxIterations, and an answer only to what extends our nonce.
func FuzzServerFirst(f *testing.F) {
	const nonce = "fyko+d2lbbFgONRv9qkxdawL" // RFC 5802's, section 5
	f.Add([]byte("r=" + nonce + "3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"))
	f.Add([]byte("r=" + nonce + ",s=QSXCR+Q6sek8bf92,i=1000000000"))
	f.Add([]byte("m=x,r=,s=,i="))
	f.Fuzz(func(t *testing.T, challenge []byte) {
		if checkServerFirst(challenge, nonce) == nil && !bytes.HasPrefix(challenge, []byte("r="+nonce)) {
			t.Errorf("accepted %q", challenge)
		}
	})
}

// FuzzAuthenticate plays any bytes at all as the backend's side: none of them may end in success, because none of them can know the
// password.
func FuzzAuthenticate(f *testing.F) {
	sasl := frame('R', request(pgproto3.AuthTypeSASL, "SCRAM-SHA-256\x00\x00"))
	f.Add(sasl)
	f.Add(bytes.Join([][]byte{sasl, frame('R', request(pgproto3.AuthTypeSASLContinue, "r=,s=,i=")), frame('R', request(pgproto3.AuthTypeSASLFinal, "v=")), frame('R', request(pgproto3.AuthTypeOk, ""))}, nil))
	f.Add(frame('R', request(pgproto3.AuthTypeOk, "")))
	f.Add(frame('R', request(pgproto3.AuthTypeMD5Password, "salt")))
	f.Fuzz(func(t *testing.T, data []byte) {
		if Password(fakePassword).prove(&played{reader: bytes.NewReader(data)}, MethodSCRAM, fakeUser) == nil {
			t.Errorf("authenticated by %q", data)
		}
	})
}

// FuzzRelay plays any bytes at all as the backend's side of an exchange that is relayed: what the client is shown has the form and
// the bounds it should have, and nobody is let in without a demand and an answer.
func FuzzRelay(f *testing.F) {
	const nonce = "fyko+d2lbbFgONRv9qkxdawL"
	challenge := "r=" + nonce + "3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
	f.Add(bytes.Join([][]byte{
		frame('R', request(pgproto3.AuthTypeSASL, "SCRAM-SHA-256\x00\x00")), frame('R', request(pgproto3.AuthTypeSASLContinue, challenge)),
		frame('R', request(pgproto3.AuthTypeSASLFinal, "v="+strings.Repeat("A", 43)+"=")), frame('R', request(pgproto3.AuthTypeOk, "")),
	}, nil), false)
	f.Add(append(frame('R', request(pgproto3.AuthTypeMD5Password, "salt")), frame('R', request(pgproto3.AuthTypeOk, ""))...), true)
	f.Add(frame('R', request(pgproto3.AuthTypeOk, "")), true)
	f.Fuzz(func(t *testing.T, data []byte, md5 bool) {
		shown := 0
		show := func(text []byte, prefix string) {
			shown++
			if len(text) > maxSCRAM || containsNUL(text) || !bytes.HasPrefix(text, []byte(prefix)) {
				t.Errorf("the client is shown %q", text)
			}
		}
		conn, want, err := &played{reader: bytes.NewReader(data)}, 2, error(nil)
		if md5 {
			want = 1
			err = RelayedMD5{Answer: func(salt Salt) ([]byte, error) { shown++; return md5Response(fakeUser, nil, salt), nil }}.prove(conn, MethodMD5, fakeUser)
		} else {
			err = RelayedSCRAM{
				First: []byte("n,,n=,r=" + nonce), Nonce: nonce,
				Final:  func(challenge []byte) ([]byte, error) { show(challenge, "r="+nonce); return []byte("c=biws"), nil },
				Verify: func(answer []byte) error { show(answer, "v="); return nil },
			}.prove(conn, MethodSCRAM, fakeUser)
		}
		if err == nil && shown != want {
			t.Errorf("let in by %q after the client was shown %d messages", data, shown)
		}
	})
}

// played is a TLS connection on which everything has already been said.
type played struct {
	reader io.Reader
}

func (p *played) Read(data []byte) (int, error)        { return p.reader.Read(data) }
func (p *played) Write(data []byte) (int, error)       { return len(data), nil }
func (p *played) ConnectionState() tls.ConnectionState { return tls.ConnectionState{} }

// scriptedConn is a net.Conn whose peer has said everything already.
type scriptedConn struct {
	net.Conn
	reader io.Reader
}

func (c scriptedConn) Read(data []byte) (int, error)    { return c.reader.Read(data) }
func (c scriptedConn) Write(data []byte) (int, error)   { return len(data), nil }
func (c scriptedConn) SetWriteDeadline(time.Time) error { return nil }
func (c scriptedConn) Close() error                     { return nil }

// FuzzStartTLS plays any bytes before and in the handshake.
func FuzzStartTLS(f *testing.F) {
	for _, seed := range []string{"S", "N", "E", "SX", "S\x16\x03\x03\x00\x02\x02\x00", "S\x15\x03\x03\x00\x02\x02\x28"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := startTLS(t.Context(), scriptedConn{reader: &byteReader{data}}, &tls.Config{ServerName: fakeHost})
		if err == nil {
			t.Errorf("a session was secured by %q", data)
		}
	})
}

// byteReader gives one byte at a time, so that what follows S comes after it and reaches the handshake.
type byteReader struct{ data []byte }

func (r *byteReader) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	p[0] = r.data[0]
	r.data = r.data[1:]
	return 1, nil
}
