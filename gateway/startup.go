package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/sallyport/sallyport/gateway/backend"
)

// The codes that stand where a StartupMessage has its protocol version (libpq/pqcomm.h).
const (
	codeCancel     = 80877102
	codeSSL        = 80877103
	codeGSS        = 80877104
	protocolMajor  = 3
	protocol30     = 3 << 16
	protocol32     = 3<<16 | 2
	newestProtocol = protocol32
)

// maxStartupPacket is PostgreSQL's MAX_STARTUP_PACKET_LENGTH (libpq/pqcomm.h), without the length itself.
const maxStartupPacket = 10000

// maxName is the longest name of a user or database, NAMEDATALEN - 1. PostgreSQL cuts longer ones; then two parties may mean two names.
const maxName = 63

// startup is a StartupMessage as the client sent it, its layout checked and nothing in it believed.
type startup struct {
	protocol   uint32   // as negotiated
	asked      uint32   // as sent
	unknown    []string // _pq_ options nobody here knows
	user       string
	database   string
	parameters []backend.Parameter // all others, in order
}

// packet is what comes before a session has a protocol: a code and what follows it.
type packet struct {
	code uint32
	body []byte
}

// errPacketLength is a first packet no client sends. PostgreSQL closes without a word.
var errPacketLength = errors.New("startup packet has an impossible length")

// readPacket reads one packet and not a byte more: what follows may have to be read through TLS.
func readPacket(r io.Reader) (packet, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return packet{}, err
	}
	length := binary.BigEndian.Uint32(head[:])
	if length < 8 || length > maxStartupPacket+4 {
		return packet{}, errPacketLength
	}
	p := packet{code: binary.BigEndian.Uint32(head[4:]), body: make([]byte, length-8)}
	_, err := io.ReadFull(r, p.body)
	return p, err
}

// unique are the parameters that log, policy and backend must agree on; PostgreSQL would take the last of several.
var unique = map[string]bool{"user": true, "database": true, "options": true, "replication": true}

// parseStartup takes a StartupMessage apart (ProcessStartupPacket, postmaster or tcop/backend_startup.c).
func parseStartup(p packet) (*startup, error) {
	if p.code>>16 != protocolMajor {
		return nil, failf(ReasonUnsupported, "unsupported frontend protocol %d.%d: server supports 3.0 to 3.2", p.code>>16, p.code&0xffff)
	}
	s := &startup{asked: p.code, protocol: negotiate(p.code)}
	seen := map[string]bool{}
	rest := p.body
	for {
		var name, value string
		var err error
		if name, rest, err = cutString(rest); err != nil {
			return nil, err
		}
		if name == "" {
			break
		}
		if value, rest, err = cutString(rest); err != nil {
			return nil, err
		}
		if unique[name] && seen[name] {
			return nil, failf(ReasonProtocol, "invalid startup packet: %q is given twice", name)
		}
		seen[name] = true
		s.take(name, value)
	}
	if len(rest) != 0 {
		return nil, failf(ReasonProtocol, "invalid startup packet layout: expected terminator as last byte")
	}
	return s, s.checkNames()
}

// negotiate picks the protocol version: there is no 3.1, and nothing above 3.2.
func negotiate(asked uint32) uint32 {
	if asked >= newestProtocol {
		return newestProtocol
	}
	return protocol30
}

func cutString(b []byte) (s string, rest []byte, err error) {
	before, after, found := bytes.Cut(b, []byte{0})
	if !found {
		return "", nil, failf(ReasonProtocol, "invalid startup packet layout: expected terminator as last byte")
	}
	return string(before), after, nil
}

func (s *startup) take(name, value string) {
	switch {
	case name == "user":
		s.user = value
	case name == "database":
		s.database = value
	case strings.HasPrefix(name, "_pq_."):
		s.unknown = append(s.unknown, name)
	default:
		s.parameters = append(s.parameters, backend.Parameter{Name: name, Value: value})
	}
}

// checkNames checks the two names that all else rests on.
func (s *startup) checkNames() error {
	if s.user == "" {
		return &sessionError{reason: ReasonProtocol, sqlstate: "28000", message: "no PostgreSQL user name specified in startup packet"}
	}
	if s.database == "" {
		s.database = s.user
	}
	for _, name := range []string{s.user, s.database} {
		if len(name) > maxName || !utf8.ValidString(name) {
			return failf(ReasonProtocol, "user and database names have at most %d bytes of UTF-8", maxName)
		}
	}
	return nil
}

// parameter returns the value of a parameter, "" if it was not sent.
func (s *startup) parameter(name string) string {
	for _, p := range s.parameters {
		if strings.EqualFold(p.Name, name) {
			return p.Value
		}
	}
	return ""
}

// negotiation is the NegotiateProtocolVersion that the client must be sent, nil when it asked for nothing unknown.
func (s *startup) negotiation() []byte {
	if s.asked == s.protocol && len(s.unknown) == 0 {
		return nil
	}
	body := binary.BigEndian.AppendUint32(nil, s.protocol)
	body = binary.BigEndian.AppendUint32(body, uint32(len(s.unknown))) // #nosec -- bounded by maxStartupPacket
	for _, name := range s.unknown {
		body = append(append(body, name...), 0)
	}
	return body
}

func (s *startup) version() string { return fmt.Sprintf("%d.%d", s.protocol>>16, s.protocol&0xffff) }
