package backend

import "github.com/xdg-go/scram"

// Prepared is a password whose SCRAM keys are derived already, for the salt and the iterations that the backend stores: a login with it
// derives none, which is a fifth of what a session costs the gateway until it is ready.
type Prepared struct {
	Password // for backends that ask for something else; it hides what is printed, too
	// Client has derived the keys of this password. It is for one session.
	Client *scram.Client
}

func (p Prepared) prove(conn secureConn, method Method, user string) error {
	if method != MethodSCRAM && method != MethodSCRAMPlus {
		return p.Password.prove(conn, method, user)
	}
	return proveSCRAM(conn, method, p.Client)
}
