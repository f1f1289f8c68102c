package gateway

import (
	"crypto/tls"
	"testing"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/gateway/wire"
)

func byPassword() authn.Rules { return authn.Rules{{Method: authn.MethodSCRAM}} }

// firstPackets are the ways to begin.
func firstPackets() map[string]login {
	return map[string]login{
		"plaintext": {
			about: "A client without TLS hears that it needs it, and is asked nothing.", rules: byPassword(),
			play: func(c *tracedClient) { c.startup(protocol30, "user", knownUser, "database", "app") },
		},
		"sslrequest": {
			about: "SSLRequest, TLS, StartupMessage, as nearly all clients do. The database is the user's name if none is given.", rules: byPassword(),
			play: func(c *tracedClient) {
				c.begin("user", knownUser)
				c.scram("SCRAM-SHA-256", conversation(c.t, knownPassword, nil))
			},
		},
		"gssencrequest": {
			about: "libpq asks for GSS encryption first, takes the N, and asks for TLS.", rules: byPassword(),
			play: func(c *tracedClient) {
				c.ask(codeGSS)
				c.begin("user", knownUser, "database", "app")
				c.scram("SCRAM-SHA-256", conversation(c.t, knownPassword, nil))
			},
		},
		"direct-tls": {
			about: "TLS from the first byte (sslnegotiation=direct), with the ALPN that it demands.", rules: byPassword(),
			play: func(c *tracedClient) {
				c.handshake(nil, "postgresql")
				c.startup(protocol30, "user", knownUser, "database", "app")
				c.scram("SCRAM-SHA-256", conversation(c.t, knownPassword, nil))
			},
		},
		"direct-tls-without-alpn": {
			about: "TLS from the first byte without ALPN may be another protocol's client that was led here. It hears nothing.", rules: byPassword(),
			play: func(c *tracedClient) {
				c.handshake(nil)
				_, _ = c.conn.Write(startPacket(protocol30, hello("user", knownUser))) // perhaps too late
			},
		},
	}
}

// versions are protocol versions, and options of the protocol.
func versions() map[string]login {
	asking := func(version uint32, words ...string) func(c *tracedClient) {
		return func(c *tracedClient) {
			c.ask(codeSSL)
			c.handshake(nil)
			c.startup(version, append([]string{"user", knownUser, "database", "app"}, words...)...)
			if version != protocol30 && version != protocol32 {
				if kind, _, _ := c.receive(); kind != wire.NegotiateProtocolVersion {
					c.t.Errorf("%d.%d is not negotiated", version>>16, version&0xffff)
				}
			}
			c.scram("SCRAM-SHA-256", conversation(c.t, knownPassword, nil))
		}
	}
	return map[string]login{
		"protocol-3.0": {about: "Protocol 3.0: nothing is negotiated, the cancel key has 4 bytes.", rules: byPassword(), play: asking(protocol30)},
		"protocol-3.2": {about: "Protocol 3.2: nothing is negotiated, the cancel key has 32 bytes.", rules: byPassword(), play: asking(protocol32)},
		"protocol-3.1": {about: "There is no 3.1. The client gets 3.0.", rules: byPassword(), play: asking(3<<16 | 1)},
		"protocol-grease": {
			about: "libpq of PostgreSQL 19 asks for 3.9999 and an option that nobody has. It goes on only if both are turned down, once.", rules: byPassword(),
			play: asking(3<<16|9999, "_pq_.test_protocol_negotiation", ""),
		},
		"protocol-grease-cert": {
			about: "The same for a client that is asked for nothing, because it has shown a certificate.", rules: authn.Rules{{Method: authn.MethodCertificate}},
			play: func(c *tracedClient) {
				c.ask(codeSSL)
				c.handshake(c.certificate(knownUser))
				c.startup(3<<16|9999, "user", knownUser, "database", "app", "_pq_.test_protocol_negotiation", "")
			},
		},
		"protocol-2": {
			about: "Protocol 2.0 is no longer spoken.", rules: byPassword(),
			play: func(c *tracedClient) {
				c.ask(codeSSL)
				c.handshake(nil)
				c.startup(2<<16, "user", knownUser)
			},
		},
	}
}

// refusedLogins are logins that fail for other reasons than a wrong proof.
func refusedLogins() map[string]login {
	return map[string]login{
		"reject": {
			about: "A rule rejects. Even who knows the password sees what a wrong one gets: or this were the place to try passwords.",
			rules: authn.Rules{{Method: authn.MethodReject, Users: []string{knownUser}}, {Method: authn.MethodSCRAM}},
			play:  scramLogin("SCRAM-SHA-256", knownUser, knownPassword),
		},
		"no-rule": {
			about: "No rule matches: the same again.", rules: authn.Rules{{Method: authn.MethodSCRAM, Databases: []string{"other"}}},
			play: scramLogin("SCRAM-SHA-256", knownUser, knownPassword),
		},
		"throttled": {
			about: "So many logins from here have failed that this one is refused unasked.", rules: byPassword(),
			prepare: func(t *testing.T, s *surroundings) {
				s.config.Throttle = strict(t)
				for range 2 {
					s.config.Throttle.Failed(localhost, "eve")
				}
				s.config.Throttle.Wait(localhost, "eve") // takes the one place in the queue
			},
			play: func(c *tracedClient) { c.begin("user", knownUser, "database", "app") },
		},
		"policy-denies": {
			about: "Who the client is has been proved; policy does not let it in. The reasons are in DETAIL, the id of the decision in HINT.", rules: byPassword(),
			play: func(c *tracedClient) {
				c.begin("user", knownUser, "database", "closed")
				c.scram("SCRAM-SHA-256", conversation(c.t, knownPassword, nil))
			},
		},
		"leaves": {
			about: "psql without a password goes away when it is asked for one, and comes again with one. That is no failed login.", rules: byPassword(),
			play: func(c *tracedClient) {
				c.begin("user", knownUser, "database", "app")
				c.demand()
				c.trace.note("F", "closes")
				if secure, ok := c.conn.(*tls.Conn); !ok || secure.CloseWrite() != nil {
					c.t.Error("cannot leave")
				}
			},
		},
		"query-instead-of-password": {
			about: "Only 'p' is legal while a client proves who it is.", rules: byPassword(),
			play: func(c *tracedClient) {
				c.begin("user", knownUser, "database", "app")
				c.demand()
				c.send(wire.Query, []byte("SELECT 1\x00"))
			},
		},
	}
}
