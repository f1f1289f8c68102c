package e2e

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/e2e/stack"
)

// TestProtocolVersions: what is asked, what the client hears of it, how long its key is. Every one of them gets a session that works.
func TestProtocolVersions(t *testing.T) {
	for name, test := range map[string]struct {
		version    uint32
		options    []string
		negotiated uint32 // 0: nothing is said of it
		unknown    []string
		key        int
	}{
		"3.0":                {3 << 16, nil, 0, nil, 4},
		"3.1":                {3<<16 | 1, nil, 3 << 16, nil, 4},
		"3.2":                {protocol32, nil, 0, nil, 32},
		"3.3":                {3<<16 | 3, nil, protocol32, nil, 32},
		"grease":             {protocolGrease, []string{"_pq_.test_protocol_negotiation", ""}, protocol32, []string{"_pq_.test_protocol_negotiation"}, 32},
		"3.0 with an option": {3 << 16, []string{"_pq_.command_compression", "on"}, 3 << 16, []string{"_pq_.command_compression"}, 4},
		"3.2 with two": {
			protocol32, []string{"_pq_.b", "1", "_pq_.a", "2"}, protocol32, []string{"_pq_.b", "_pq_.a"}, 32,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := asked(t, shared.gateway)
			r.write(t, analyst(test.version, test.options...))
			if test.negotiated != 0 {
				m := next[*pgproto3.NegotiateProtocolVersion](t, r)
				if m.NewestMinorProtocol != test.negotiated || !slices.Equal(m.UnrecognizedOptions, test.unknown) {
					t.Errorf("negotiated %#x, unknown %q; want %#x, %q", m.NewestMinorProtocol, m.UnrecognizedOptions, test.negotiated, test.unknown)
				}
			}
			r.token(t)
			if got := len(r.in(t).SecretKey); got != test.key {
				t.Errorf("a key of %d bytes, want %d", got, test.key)
			}
			r.one(t)
		})
	}
	for name, version := range map[string]uint32{"2.0": 2 << 16, "4.0": 4 << 16} {
		t.Run(name, func(t *testing.T) {
			r := asked(t, shared.gateway)
			r.write(t, analyst(version))
			r.refused(t, "0A000")
		})
	}
}

func TestDirectTLS(t *testing.T) {
	t.Run("session", func(t *testing.T) {
		r := directly(t, shared.gateway)
		r.write(t, analyst(protocol32))
		r.token(t)
		r.in(t)
		r.one(t)
	})
	t.Run("asked for TLS within", func(t *testing.T) {
		r := directly(t, shared.gateway)
		r.write(t, []byte{0, 0, 0, 8, 4, 210, 22, 47})
		r.refused(t, "08P01")
	})
	for name, protocols := range map[string][]string{"no protocol named": nil, "another protocol": {"http/1.1"}} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t)
			client := tls.Client(conn, trust(t, protocols...))
			_ = client.HandshakeContext(t.Context()) // may fail already
			_, _ = client.Write(analyst(3 << 16))
			if answer, _ := io.ReadAll(client); len(answer) != 0 {
				t.Errorf("answered with %q", answer)
			}
		})
	}
	// As above, but what is on the wire: no error in the clear that a client of another protocol would take for an answer.
	t.Run("nothing in the clear", func(t *testing.T) {
		conn := dial(t)
		if _, err := conn.Write([]byte{0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0}); err != nil { // a ClientHello of one byte
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(conn)
		if len(answer) != 0 && answer[0] != 0x15 { // a TLS alert
			t.Errorf("answered with %q", answer)
		}
	})
}

// TestBindingDowngrade: a client that can bind, and was made to believe that the gateway cannot, is between two liars.
func TestBindingDowngrade(t *testing.T) {
	for name, test := range map[string]struct {
		mechanism, first, sqlstate string
	}{
		"y though -PLUS is offered":    {"SCRAM-SHA-256", "y,,n=,r=rOprNGfwEbeRWgbNEkqO", "28000"},
		"-PLUS without binding":        {"SCRAM-SHA-256-PLUS", "n,,n=,r=rOprNGfwEbeRWgbNEkqO", "08P01"},
		"binding without -PLUS":        {"SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=rOprNGfwEbeRWgbNEkqO", "08P01"},
		"bound to what is not offered": {"SCRAM-SHA-256-PLUS", "p=tls-unique,,n=,r=rOprNGfwEbeRWgbNEkqO", "08P01"},
		"another mechanism":            {"SCRAM-SHA-1", "n,,n=,r=rOprNGfwEbeRWgbNEkqO", "08P01"},
	} {
		t.Run(name, func(t *testing.T) {
			r := asked(t, shared.gateway)
			r.write(t, startup("user", stack.Service, "database", stack.App))
			offered := next[*pgproto3.AuthenticationSASL](t, r).AuthMechanisms
			if want := []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}; !slices.Equal(offered, want) {
				t.Fatalf("offered %q, want %q", offered, want)
			}
			r.send(t, &pgproto3.SASLInitialResponse{AuthMechanism: test.mechanism, Data: []byte(test.first)})
			r.refused(t, test.sqlstate)
		})
	}
}

// cancelRequest is a CancelRequest with a key of any length.
func cancelRequest(key pgproto3.BackendKeyData) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(12+len(key.SecretKey)))
	b = binary.BigEndian.AppendUint32(b, 80877102)
	b = binary.BigEndian.AppendUint32(b, key.ProcessID)
	return append(b, key.SecretKey...)
}

// TestCancelLongKey: the key of protocol 3.2, all of it and nothing but it, by each way to encrypt.
func TestCancelLongKey(t *testing.T) {
	r := directly(t, shared.gateway)
	r.write(t, analyst(protocol32, "application_name", "long-key"))
	r.token(t)
	key := r.in(t)
	cut := key
	cut.SecretKey = key.SecretKey[:4]
	changed := key
	changed.SecretKey = slices.Clone(key.SecretKey)
	changed.SecretKey[len(changed.SecretKey)-1] ^= 1
	for name, test := range map[string]struct {
		key  pgproto3.BackendKeyData
		open func(*testing.T, *stack.Gateway) raw
		want string
	}{
		"cut":     {cut, asked, "RowDescription DataRow CommandComplete Z=I"},
		"changed": {changed, asked, "RowDescription DataRow CommandComplete Z=I"},
		"asked":   {key, asked, "57014 Z=I"},
		"direct":  {key, directly, "57014 Z=I"},
	} {
		t.Run(name, func(t *testing.T) {
			statement := "SELECT count(*) FROM orders a, orders b WHERE a.id + b.id < 0"
			if test.want == "57014 Z=I" {
				statement = "SELECT count(*) FROM orders a, orders b, orders c"
			}
			r.send(t, &pgproto3.Query{String: statement})
			runs(t, statement)
			canceller := test.open(t, shared.gateway)
			canceller.write(t, cancelRequest(test.key))
			if answer, _ := io.ReadAll(canceller.conn); len(answer) != 0 {
				t.Errorf("a cancel request is answered with %q", answer)
			}
			if got := answers(t, r.Frontend); got != test.want && got != "RowDescription "+test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
