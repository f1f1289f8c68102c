package gateway

import (
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn/scram"
	"github.com/sallyport/sallyport/gateway/backend"
)

// startPostgres runs a PostgreSQL that knows the one role that the fake Vault issues, and returns how to reach it.
func startPostgres(t testing.TB) backend.Config {
	t.Helper()
	verifier, err := scram.NewVerifier(leasePassword, 0)
	if err != nil {
		t.Fatal(err)
	}
	passwords, err := scram.NewServer(scram.Config{
		Lookup: func(user string) (scram.Verifier, bool) { return verifier, user == leaseUser }, MockSecret: make([]byte, 16),
	})
	if err != nil {
		t.Fatal(err)
	}
	return newFakePostgres(t, func(p *fakeLogin) {
		if !p.proves(passwords) {
			p.refuse("28P01")
			return
		}
		p.say(
			&pgproto3.AuthenticationOk{}, status("application_name", "of the gateway"), status("client_encoding", "UTF8"),
			status("is_superuser", "off"), status("server_encoding", "UTF8"), status("server_version", "18.1"),
			status("session_authorization", leaseUser), status("standard_conforming_strings", "on"),
			&pgproto3.BackendKeyData{ProcessID: 4242, SecretKey: []byte{1, 2, 3, 4}}, &pgproto3.ReadyForQuery{TxStatus: 'I'},
		)
	}).config
}

// proves goes through SCRAM with verifiers that are there already: nothing is derived while the gateway waits.
func (p *fakeLogin) proves(passwords *scram.Server) bool {
	exchange := passwords.Begin(p.startup.Parameters["user"], nil)
	p.say(&pgproto3.AuthenticationSASL{AuthMechanisms: exchange.Mechanisms()})
	_ = p.SetAuthType(pgproto3.AuthTypeSASL)
	m, err := p.Receive()
	initial, ok := m.(*pgproto3.SASLInitialResponse)
	if err != nil || !ok || exchange.Select(initial.AuthMechanism) != nil {
		return false
	}
	out, _, err := exchange.Step(initial.Data)
	if err != nil {
		return false
	}
	p.say(&pgproto3.AuthenticationSASLContinue{Data: out})
	_ = p.SetAuthType(pgproto3.AuthTypeSASLContinue)
	m, err = p.Receive()
	response, ok := m.(*pgproto3.SASLResponse)
	if err != nil || !ok {
		return false
	}
	if out, _, err = exchange.Step(response.Data); err != nil || !exchange.Valid() {
		return false
	}
	p.say(&pgproto3.AuthenticationSASLFinal{Data: out})
	return true
}
