package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
)

// reading is a connection that holds what a client sent, and then ends.
type reading struct {
	net.Conn
	io.Reader
	most int // bytes taken at once
}

func (r *reading) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.most = max(r.most, len(b))
	return n, err
}

func sent(b []byte) *reading { return &reading{Reader: bytes.NewReader(b)} }

func passwordMessage(body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{'p'}, uint32(len(body)+4)), body...) // #nosec -- a test's length
}

func TestReadPassword(t *testing.T) {
	tests := map[string]struct {
		in   []byte
		want Reason
	}{
		"whole":                  {passwordMessage("secret\x00"), 0},
		"empty":                  {passwordMessage(""), 0},
		"at the limit":           {passwordMessage(string(make([]byte, 64))), 0},
		"above the limit":        {passwordMessage(string(make([]byte, 65))), ReasonProtocol},
		"length 3":               {[]byte("p\x00\x00\x00\x03"), ReasonProtocol},
		"length 0":               {[]byte("p\x00\x00\x00\x00"), ReasonProtocol},
		"length 0xffffffff":      {[]byte("p\xff\xff\xff\xff"), ReasonProtocol},
		"a Query":                {[]byte("Q\x00\x00\x00\x05\x00"), ReasonProtocol},
		"a StartupMessage again": {[]byte("\x00\x00\x00\x08\x00\x03\x00\x00"), ReasonProtocol},
		"nothing":                {nil, ReasonClientGone},
		"half a header":          {[]byte("p\x00\x00"), ReasonClientGone},
		"half a body":            {passwordMessage("secret\x00")[:8], ReasonClientGone},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			conn := sent(append(tt.in, "more"...))
			if tt.want == ReasonClientGone {
				conn = sent(tt.in)
			}
			body, err := readPassword(conn, 64)
			checkReason(t, err, tt.want)
			if err == nil && !bytes.Equal(body, tt.in[5:]) {
				t.Errorf("body %q", body)
			}
			if rest, _ := io.ReadAll(conn); err == nil && string(rest) != "more" {
				t.Errorf("%q is left, want what follows the message", rest)
			}
		})
	}
}

func initialResponse(mechanism string, length int32, data string) []byte {
	body := binary.BigEndian.AppendUint32(append([]byte(mechanism), 0), uint32(length)) // #nosec -- the bits are the point
	return passwordMessage(string(append(body, data...)))
}

func TestReadSASLInitial(t *testing.T) {
	tests := map[string]struct {
		in   []byte
		want Reason
		data string
	}{
		"with data":                     {initialResponse("SCRAM-SHA-256", 3, "n,,"), 0, "n,,"},
		"without data":                  {initialResponse("SCRAM-SHA-256", -1, ""), 0, ""},
		"empty data":                    {initialResponse("SCRAM-SHA-256", 0, ""), 0, ""},
		"a mechanism not offered":       {initialResponse("SCRAM-SHA-256-PLUS", 3, "n,,"), ReasonProtocol, ""},
		"a prefix of the mechanism":     {initialResponse("SCRAM-SHA", 3, "n,,"), ReasonProtocol, ""},
		"no mechanism":                  {initialResponse("", 3, "n,,"), ReasonProtocol, ""},
		"other case":                    {initialResponse("scram-sha-256", 3, "n,,"), ReasonProtocol, ""},
		"no NUL":                        {passwordMessage("SCRAM-SHA-256"), ReasonProtocol, ""},
		"no length":                     {passwordMessage("SCRAM-SHA-256\x00\x00\x00"), ReasonProtocol, ""},
		"length above the data":         {initialResponse("SCRAM-SHA-256", 4, "n,,"), ReasonProtocol, ""},
		"length below the data":         {initialResponse("SCRAM-SHA-256", 2, "n,,"), ReasonProtocol, ""},
		"length -1 with data":           {initialResponse("SCRAM-SHA-256", -1, "n,,"), ReasonProtocol, ""},
		"length -2":                     {initialResponse("SCRAM-SHA-256", -2, ""), ReasonProtocol, ""},
		"length 0x7fffffff":             {initialResponse("SCRAM-SHA-256", 1<<31-1, "n,,"), ReasonProtocol, ""},
		"longer than PostgreSQL allows": {initialResponse("SCRAM-SHA-256", 2000, string(make([]byte, 2000))), ReasonProtocol, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			mechanism, data, err := readSASLInitial(sent(tt.in), []string{"SCRAM-SHA-256"}, maxSASLMessage)
			checkReason(t, err, tt.want)
			if (err == nil) != (mechanism == "SCRAM-SHA-256") {
				t.Errorf("mechanism %q", mechanism)
			}
			if string(data) != tt.data {
				t.Errorf("data %q, want %q", data, tt.data)
			}
		})
	}
}

// checkReason checks why something failed; ReasonTerminate, the zero one, stands for success.
func checkReason(t *testing.T, err error, want Reason) {
	t.Helper()
	var e *sessionError
	switch {
	case want == 0 && err != nil:
		t.Errorf("failed: %v", err)
	case want != 0 && !errors.As(err, &e):
		t.Errorf("got %v, want a session error", err)
	case want != 0 && e.reason != want:
		t.Errorf("failed for %v (%v), want %v", e.reason, err, want)
	}
}

func FuzzReadSASLInitial(f *testing.F) {
	f.Add(initialResponse("SCRAM-SHA-256", 3, "n,,"))
	f.Add(initialResponse("SCRAM-SHA-256", -1, ""))
	f.Add(initialResponse("SCRAM-SHA-256", -2, "x"))
	f.Add([]byte("p\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		conn := sent(in)
		_, data, err := readSASLInitial(conn, []string{"SCRAM-SHA-256"}, maxSASLMessage)
		if conn.most > maxSASLMessage {
			t.Errorf("%d bytes were taken at once", conn.most)
		}
		if err != nil {
			var e *sessionError
			if !errors.As(err, &e) {
				t.Errorf("%v is no session error", err)
			}
			return
		}
		if len(in) < 5+14+4 || len(data) > len(in) {
			t.Errorf("took %q for a response with %q", in, data)
		}
	})
}

// FuzzReadPasswordString: what is taken is one string, and the message was nothing else.
func FuzzReadPasswordString(f *testing.F) {
	f.Add(passwordMessage("secret\x00"))
	f.Add(passwordMessage("\x00"))
	f.Add(passwordMessage("secret"))
	f.Add(passwordMessage("sec\x00ret\x00"))
	f.Add(append(passwordMessage("secret\x00"), passwordMessage("another\x00")...))
	f.Add([]byte("p\x00\x00\x00\x03"))
	f.Add([]byte("p\x7f\xff\xff\xff"))
	f.Add([]byte("Q\x00\x00\x00\x05\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		conn := sent(in)
		password, err := readPasswordString(conn)
		if conn.most > maxPasswordMessage {
			t.Errorf("%d bytes were taken at once", conn.most)
		}
		if err != nil {
			var e *sessionError
			if !errors.As(err, &e) || password != nil {
				t.Errorf("%q, %v is no session error", password, err)
			}
			return
		}
		rest, _ := io.ReadAll(conn)
		if want := append(passwordMessage(string(password)+"\x00"), rest...); !bytes.Equal(in, want) {
			t.Errorf("took %q for the password %q and left %q", in, password, rest)
		}
	})
}

func TestAddressOf(t *testing.T) {
	tests := map[string]struct {
		remote net.Addr
		want   string
	}{
		"IPv4":         {&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5}, "10.0.0.1"},
		"IPv4 in IPv6": {&net.TCPAddr{IP: net.ParseIP("::ffff:10.0.0.1"), Port: 5}, "10.0.0.1"},
		"IPv6":         {&net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 5}, "2001:db8::1"},
		"no address":   {&net.UnixAddr{Name: "/tmp/s"}, "invalid IP"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := addressOf(tt.remote).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
