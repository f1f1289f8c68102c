package gateway

import (
	"bytes"

	"github.com/sallyport/sallyport/authn"
)

func scramLogin(mechanism, user, password string) func(c *tracedClient) {
	return func(c *tracedClient) {
		c.begin("user", user, "database", "app")
		c.scram(mechanism, conversation(c.t, password, nil))
	}
}

func scramLogins() map[string]login {
	return map[string]login{
		"scram": {about: "SCRAM-SHA-256.", rules: byPassword(), play: scramLogin("SCRAM-SHA-256", knownUser, knownPassword)},
		"scram-wrong-password": {
			about: "SCRAM-SHA-256 with a wrong password.", rules: byPassword(), play: scramLogin("SCRAM-SHA-256", knownUser, "pencils"),
		},
		"scram-unknown-user": {
			about: "SCRAM-SHA-256 of a user that does not exist: but for the name and its salt, the trace of a wrong password.", rules: byPassword(),
			play: scramLogin("SCRAM-SHA-256", "eve", knownPassword),
		},
		"scram-without-initial-data": {
			about: "A client may choose the mechanism first and send client-first-message when it is asked again (RFC 4422 section 3).", rules: byPassword(),
			play: func(c *tracedClient) {
				c.begin("user", knownUser, "database", "app")
				c.demand()
				c.saslInitial("SCRAM-SHA-256", nil)
				c.demand()
				client := conversation(c.t, knownPassword, nil)
				first, err := client.Step("")
				if err != nil {
					c.t.Fatal(err)
				}
				c.send('p', []byte(first))
				c.scramFinal(client)
			},
		},
		"scram-unknown-mechanism": {
			about: "A mechanism that was not offered.", rules: byPassword(),
			play: func(c *tracedClient) {
				c.begin("user", knownUser, "database", "app")
				c.demand()
				c.saslInitial("SCRAM-SHA-1", []byte("n,,n=,r="+clientNonce))
			},
		},
	}
}

func scramPlusLogins() map[string]login {
	bound := func(password string, endPoint func(*tracedClient) []byte) func(c *tracedClient) {
		return func(c *tracedClient) {
			c.begin("user", knownUser, "database", "app")
			c.scram("SCRAM-SHA-256-PLUS", conversation(c.t, password, endPoint(c)))
		}
	}
	served := func(c *tracedClient) []byte { return c.around.serving.EndPoint }
	another := func(*tracedClient) []byte { return bytes.Repeat([]byte{7}, 32) }
	return map[string]login{
		"scram-plus": {about: "SCRAM-SHA-256-PLUS, bound to the gateway's certificate.", rules: byPassword(), play: bound(knownPassword, served)},
		"scram-plus-wrong-password": {
			about: "SCRAM-SHA-256-PLUS with a wrong password.", rules: byPassword(), play: bound("pencils", served),
		},
		"scram-plus-wrong-binding": {
			about: "The right password, bound to another certificate: somebody ends the client's TLS before us.", rules: byPassword(),
			play: bound(knownPassword, another),
		},
		"scram-plus-downgrade": {
			about: "The client could bind the channel and believes that it was not offered (y): somebody took it off the list.", rules: byPassword(),
			play: func(c *tracedClient) {
				c.begin("user", knownUser, "database", "app")
				c.demand()
				c.saslInitial("SCRAM-SHA-256", []byte("y,,n=,r="+clientNonce))
			},
		},
	}
}

func md5Logins() map[string]login {
	rules := authn.Rules{{Method: authn.MethodMD5}}
	by := func(user, password string) func(c *tracedClient) {
		return func(c *tracedClient) {
			c.begin("user", user, "database", "app")
			c.password(md5Response(user, password, [4]byte(c.demand())))
		}
	}
	return map[string]login{
		"md5":                {about: "MD5.", rules: rules, play: by(knownUser, knownPassword)},
		"md5-wrong-password": {about: "MD5 with a wrong password.", rules: rules, play: by(knownUser, "pencils")},
		"md5-unknown-user": {
			about: "MD5 of a user that does not exist: but for the name, the trace of a wrong password.", rules: rules, play: by("eve", knownPassword),
		},
	}
}

func tokenLogins() map[string]login {
	rules := authn.Rules{{Method: authn.MethodOIDC, Issuer: "id"}}
	by := func(user string, token func(c *tracedClient) string) func(c *tracedClient) {
		return func(c *tracedClient) {
			c.begin("user", user, "database", "app")
			c.demand()
			c.password(token(c))
		}
	}
	return map[string]login{
		"token":              {about: "A token as the password.", rules: rules, play: by(knownUser, anasToken)},
		"token-another-user": {about: "A good token of somebody else.", rules: rules, play: by("bob", anasToken)},
		"token-forged":       {about: "A token with another signature.", rules: rules, play: by(knownUser, forgedToken)},
		"token-not-one":      {about: "A password where a token belongs.", rules: rules, play: by(knownUser, func(*tracedClient) string { return knownPassword })},
	}
}

// anasToken is a good one.
func anasToken(c *tracedClient) string {
	token := c.around.issuer.token(c.t, knownUser)
	c.trace.names = append(c.trace.names, token, "<ana's token>")
	return token
}

// forgedToken is one whose signature begins otherwise.
func forgedToken(c *tracedClient) string {
	token := []byte(c.around.issuer.token(c.t, knownUser))
	first := &token[bytes.LastIndexByte(token, '.')+1]
	if *first++; *first != 'B' {
		*first = 'A'
	}
	c.trace.names = append(c.trace.names, string(token), "<forged token>")
	return string(token)
}

func bearerLogins() map[string]login {
	rules := authn.Rules{{Method: authn.MethodOAUTHBEARER, Issuer: "id"}}
	message := func(authorization string) []byte { return []byte("n,,\x01auth=" + authorization + "\x01\x01") }
	by := func(user string, token func(c *tracedClient) string) func(c *tracedClient) {
		return func(c *tracedClient) {
			c.begin("user", user, "database", "app")
			c.demand()
			c.saslInitial("OAUTHBEARER", message("Bearer "+token(c)))
		}
	}
	refused := func(play func(c *tracedClient)) func(c *tracedClient) {
		return func(c *tracedClient) {
			play(c)
			c.demand()
			c.send('p', []byte{1})
		}
	}
	return map[string]login{
		"oauthbearer": {about: "OAUTHBEARER with a good token.", rules: rules, play: by(knownUser, anasToken)},
		"oauthbearer-forged": {
			about: "OAUTHBEARER with a bad token. The client hears what one without a token hears, and says that it has.", rules: rules,
			play: refused(by(knownUser, forgedToken)),
		},
		"oauthbearer-another-user": {
			about: "OAUTHBEARER with a good token of somebody else.", rules: rules, play: refused(by("bob", anasToken)),
		},
		"oauthbearer-discovery": {
			about: "OAUTHBEARER without a token: the client is told where to get one. This is no failed login.", rules: rules,
			play: refused(func(c *tracedClient) {
				c.begin("user", knownUser, "database", "app")
				c.demand()
				c.saslInitial("OAUTHBEARER", message(""))
			}),
		},
		"oauthbearer-without-initial-data": {
			about: "OAUTHBEARER chosen first, the token sent when the client is asked again.", rules: rules,
			play: func(c *tracedClient) {
				c.begin("user", knownUser, "database", "app")
				c.demand()
				c.saslInitial("OAUTHBEARER", nil)
				c.demand()
				c.send('p', message("Bearer "+anasToken(c)))
			},
		},
	}
}

func certificateLogins() map[string]login {
	alone := authn.Rules{{Method: authn.MethodCertificate}}
	both := authn.Rules{{Method: authn.MethodSCRAM, Certificate: true}}
	showing := func(name string, then func(c *tracedClient)) func(c *tracedClient) {
		return func(c *tracedClient) {
			c.ask(codeSSL)
			if name == "" {
				c.handshake(nil)
			} else {
				c.handshake(c.certificate(name))
			}
			c.startup(protocol30, "user", knownUser, "database", "app")
			if then != nil {
				then(c)
			}
		}
	}
	password := func(password string) func(c *tracedClient) {
		return func(c *tracedClient) { c.scram("SCRAM-SHA-256", conversation(c.t, password, nil)) }
	}
	return map[string]login{
		"cert":              {about: "A client certificate and nothing else.", rules: alone, play: showing(knownUser, nil)},
		"cert-missing":      {about: "A certificate is demanded and there is none.", rules: alone, play: showing("", nil)},
		"cert-another-user": {about: "A good certificate of somebody else.", rules: alone, play: showing("bob", nil)},
		"cert-and-scram": {
			about: "A certificate and a password, both right. Who logged in with which certificate is on record.", rules: both,
			play: showing(knownUser, password(knownPassword)),
		},
		"cert-and-scram-wrong-password": {about: "The right certificate and a wrong password.", rules: both, play: showing(knownUser, password("pencils"))},
		"cert-and-scram-no-cert":        {about: "A password was to be asked for, but the certificate is missing.", rules: both, play: showing("", nil)},
		"cert-and-scram-another-user":   {about: "A password was to be asked for, but the certificate is another's.", rules: both, play: showing("bob", nil)},
	}
}
