package gateway

import (
	"encoding/binary"

	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/wire"
)

// authenticationOk is the code of AuthenticationOk.
var authenticationOk = []byte{0, 0, 0, 0}

// greet tells the client that it is in: the backend's settings as the backend gave them, and a cancel key of our own.
func (s *session) greet(a *admitted, o *opened, key cancelKey) error {
	b := wire.AppendMessage(s.appendNegotiation(nil, a), wire.Authentication, authenticationOk)
	for _, p := range o.session.Parameters {
		b = appendParameterStatus(b, clientView(a.startup, p))
	}
	process := binary.BigEndian.AppendUint32(nil, key.pid)
	b = wire.AppendMessage(b, wire.BackendKeyData, process, key.secret)
	b = wire.AppendMessage(b, wire.ReadyForQuery, []byte{wire.Idle})
	if _, err := a.conn.Write(b); err != nil {
		return fail(ReasonClientGone, err)
	}
	return nil
}

// clientView gives a setting the value the client expects: the application's name is the client's own again.
func clientView(s *startup, p backend.Parameter) backend.Parameter {
	if p.Name == "application_name" {
		p.Value = clip(s.parameter("application_name"))
	}
	return p
}

func appendParameterStatus(dst []byte, p backend.Parameter) []byte {
	return wire.AppendMessage(dst, wire.ParameterStatus, []byte(p.Name), []byte{0}, []byte(p.Value), []byte{0})
}
