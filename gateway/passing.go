package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authn/md5"
	"github.com/sallyport/sallyport/authn/scram"
	"github.com/sallyport/sallyport/gateway/backend"
)

// answerTime is how long a client may let a backend wait for its proof. A program has the password at hand; a million iterations of
// SCRAM take it about a second.
const answerTime = 5 * time.Second

// passing is a client's own credential on its way to the backend.
type passing struct {
	credential backend.Credential
	secret     []byte       // a password, to be cleared
	asked      time.Time    // when the client was asked for its proof; zero: it was not, or gave it before anybody asked a backend
	pretend    func() error // asks for the proof in the backend's place, and looks at its form alone; nil: there is nothing to ask
}

// passing asks the client for what needs no backend yet.
func (s *session) passing(ctx context.Context, a *admitted, method authn.Method) (*passing, error) {
	switch method {
	case authn.MethodPassSCRAM:
		return s.passSCRAM(ctx, a)
	case authn.MethodPassMD5:
		return s.passMD5(ctx, a), nil
	}
	return s.passPassword(a)
}

func (s *session) passPassword(a *admitted) (*passing, error) {
	if err := s.sendAuthentication(a, &pgproto3.AuthenticationCleartextPassword{}); err != nil {
		return nil, err
	}
	password, err := readPasswordString(a.conn)
	if err != nil {
		return nil, err
	}
	if len(password) == 0 {
		return nil, rejected(a, errors.New("empty password returned by client"))
	}
	return &passing{credential: backend.Password(password), secret: password}, nil
}

// passSCRAM takes the client's first message before a backend is asked: a client that cannot be relayed costs none.
func (s *session) passSCRAM(ctx context.Context, a *admitted) (*passing, error) {
	first, err := s.offerSCRAM(a)
	if err != nil {
		return nil, err
	}
	var relay scram.Relay
	if err := relay.First(first); err != nil {
		return nil, scramFailure(a, err)
	}
	p := &passing{}
	final := func(challenge []byte) ([]byte, error) {
		if err := relay.Challenge(challenge); err != nil {
			return nil, err
		}
		p.asked = time.Now()
		in, err := s.ask(ctx, a, &pgproto3.AuthenticationSASLContinue{Data: challenge}, readSASLResponse)
		if err != nil {
			return nil, err
		}
		if err := relay.Final(in); err != nil {
			return nil, scramFailure(a, err)
		}
		return in, nil
	}
	p.credential = backend.RelayedSCRAM{
		First: first, Nonce: relay.Nonce(), Final: final,
		Verify: func(answer []byte) error {
			return s.sendAuthentication(a, &pgproto3.AuthenticationSASLFinal{Data: answer})
		},
	}
	p.pretend = func() error {
		_, err := final(s.config.SCRAM.MockChallenge(a.startup.user, relay.Nonce()))
		return err
	}
	return p, nil
}

// offerSCRAM offers SCRAM-SHA-256 without channel binding and returns client-first-message.
func (s *session) offerSCRAM(a *admitted) ([]byte, error) {
	mechanisms := []string{scram.Mechanism}
	if err := s.sendAuthentication(a, &pgproto3.AuthenticationSASL{AuthMechanisms: mechanisms}); err != nil {
		return nil, err
	}
	_, first, err := readSASLInitial(a.conn, mechanisms, maxSASLMessage)
	if err != nil || first != nil {
		return first, err
	}
	if err := s.sendAuthentication(a, &pgproto3.AuthenticationSASLContinue{Data: []byte{}}); err != nil { // RFC 4422, 3
		return nil, err
	}
	return readSASLResponse(a.conn)
}

func (s *session) passMD5(ctx context.Context, a *admitted) *passing {
	p := &passing{}
	answer := func(salt backend.Salt) ([]byte, error) {
		p.asked = time.Now()
		response, err := s.ask(ctx, a, &pgproto3.AuthenticationMD5Password{Salt: salt}, readPasswordString)
		if err == nil && !md5.IsResponse(response) { // it may be the password
			clear(response)
			err = rejected(a, md5.ErrFailed)
		}
		return response, err
	}
	p.credential = backend.RelayedMD5{Answer: answer}
	p.pretend = func() error {
		var salt backend.Salt
		_, _ = rand.Read(salt[:]) // never fails (crypto/rand)
		_, err := answer(salt)
		return err
	}
	return p
}

// ask asks the client for its proof while a backend is waiting, or seems to.
func (s *session) ask(ctx context.Context, a *admitted, question pgproto3.BackendMessage, read func(net.Conn) ([]byte, error)) ([]byte, error) {
	var answer []byte
	err := s.phase(ctx, answerTime, func(context.Context) (err error) {
		if err = s.sendAuthentication(a, question); err == nil {
			answer, err = read(a.conn)
		}
		return err
	})
	return answer, err
}

func readSASLResponse(conn net.Conn) ([]byte, error) { return readPassword(conn, maxSASLMessage) }
