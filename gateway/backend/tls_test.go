package backend

import (
	"io"
	"strings"
	"testing"
)

// TestOpenDirectTLS: the first byte is of the handshake, and who does not answer with PostgreSQL's protocol hears nothing of it.
func TestOpenDirectTLS(t *testing.T) {
	for name, test := range map[string]struct {
		protocols []string
		want      string // in the error; "": none
	}{
		"PostgreSQL 17":    {[]string{"postgresql"}, ""},
		"no protocol":      {nil, "does not say that it speaks PostgreSQL's protocol"},
		"another protocol": {[]string{"http/1.1"}, "TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan int64, 1)
			cfg := serve(t, newIdentity(t, fakeHost), func(f *fake) {
				if test.want != "" {
					f.handshake(test.protocols...)
					n, _ := io.Copy(io.Discard, f.conn)
					told <- n
					return
				}
				if f.handshake(test.protocols...) && f.readStartup() != nil && f.scram([]string{scramSHA256Plus}, 4096, same) {
					f.say('R', request(0, ""))
					f.greet(goodParameters())
					f.stall()
				}
			})
			cfg.DirectTLS = true
			_, err := open(t, cfg)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if err != nil {
				if n := <-told; n > 0 {
					t.Errorf("%d bytes were sent to it", n)
				}
			}
		})
	}
}

// TestOpenDirectTLSRefused: an old PostgreSQL closes, and nothing is tried again without TLS.
func TestOpenDirectTLSRefused(t *testing.T) {
	first := make(chan byte, 1)
	cfg := serve(t, newIdentity(t, fakeHost), func(f *fake) {
		var b [1]byte
		_, _ = io.ReadFull(f.raw, b[:])
		first <- b[0]
	})
	cfg.DirectTLS = true
	if _, err := open(t, cfg); err == nil || !strings.Contains(err.Error(), "connection lost") {
		t.Errorf("got %v", err)
	}
	if b := <-first; b != 0x16 {
		t.Errorf("it begins with %#x, not with a ClientHello", b)
	}
}

// TestOpenAsksForTheServer: a name is in the ClientHello, so that what stands before several backends can tell them apart; an address is not.
func TestOpenAsksForTheServer(t *testing.T) {
	for name, test := range map[string]struct {
		host, serverName string
		want             string
	}{
		"host":                 {fakeHost, "", fakeHost},
		"server name":          {"10.0.0.1", fakeHost, fakeHost},
		"address":              {"127.0.0.1", "", ""},
		"address, server name": {fakeHost, "127.0.0.1", ""},
	} {
		for _, direct := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				asked := make(chan string, 1)
				cfg := serve(t, newIdentity(t, fakeHost), func(f *fake) {
					if !direct && !f.readSSLRequest() {
						return
					}
					if !direct {
						f.write([]byte{'S'})
					}
					f.handshake("postgresql")
					asked <- f.sni
				})
				cfg.TLS = cfg.TLS.Clone()
				cfg.Host, cfg.TLS.ServerName, cfg.DirectTLS = test.host, test.serverName, direct
				_, err := open(t, cfg)
				if err == nil || strings.Contains(err.Error(), "TLS handshake") {
					t.Fatalf("got %v", err)
				}
				if got := <-asked; got != test.want {
					t.Errorf("asked for %q, want %q", got, test.want)
				}
			})
		}
	}
}
