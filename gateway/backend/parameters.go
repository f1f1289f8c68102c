package backend

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// maxParameters is several times what any release reports (PostgreSQL 18: 15), so that extensions have room.
	maxParameters = 128
	// maxParameterBytes bounds them together: every session keeps them as long as it lives.
	maxParameterBytes = 64 << 10
	// maxNotices are kept for the client, who may want to know that its password expires; more are read and dropped.
	maxNotices = 16
	// maxGreeting is the most messages between AuthenticationOk and ReadyForQuery. With the timeout it ends a backend that never does.
	maxGreeting = 1024
	// A secret key is four bytes in protocol 3.0 and 4 to 256 in 3.2. Poolers send what they have, so both are taken.
	minKey, maxKey = 4, 256
)

// greeting is what a backend says between AuthenticationOk and ReadyForQuery.
type greeting struct {
	parameters []Parameter
	notices    [][]byte
	pid        uint32
	key        []byte
	bytes      int
}

// readGreeting reads up to and including ReadyForQuery.
func readGreeting(r io.Reader) (*greeting, error) {
	var g greeting
	for range maxGreeting {
		got, err := readMessage(r)
		if err != nil {
			return nil, err
		}
		if got.kind == 'Z' {
			return &g, checkReady(got.body)
		}
		if err := g.take(got); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("the backend is not ready after %d messages", maxGreeting)
}

func (g *greeting) take(got message) error {
	switch got.kind {
	case 'S':
		return g.takeParameter(got.body)
	case 'K':
		return g.takeKey(got.body)
	case 'N':
		if len(g.notices) < maxNotices {
			g.notices = append(g.notices, got.body)
		}
		return nil
	case 'E':
		return backendError(StageParameters, got.body)
	}
	// Among them NegotiateProtocolVersion, which 3.0 without options leaves nothing to say, and a second authentication request.
	return fmt.Errorf("the backend sent message %q at startup", got.kind)
}

// takeParameter wants a ParameterStatus to be exactly two strings. pgproto3 ignores what follows them.
func (g *greeting) takeParameter(body []byte) error {
	name, rest, ok := bytes.Cut(body, []byte{0})
	value, rest, terminated := bytes.Cut(rest, []byte{0})
	if !ok || !terminated || len(rest) != 0 || len(name) == 0 {
		return errors.New("read ParameterStatus: malformed")
	}
	g.bytes += len(body)
	if len(g.parameters) == maxParameters || g.bytes > maxParameterBytes {
		return errors.New("read ParameterStatus: too many parameters")
	}
	g.parameters = append(g.parameters, Parameter{string(name), string(value)})
	return nil
}

func (g *greeting) takeKey(body []byte) error {
	switch size := len(body) - 4; {
	case g.key != nil:
		return errors.New("read BackendKeyData: sent twice")
	case size < minKey || size > maxKey:
		return fmt.Errorf("read BackendKeyData: a key of %d bytes is not between %d and %d", size, minKey, maxKey)
	}
	g.pid = binary.BigEndian.Uint32(body)
	g.key = body[4:]
	return nil
}

func checkReady(body []byte) error {
	if len(body) != 1 || body[0] != 'I' {
		return errors.New("read ReadyForQuery: a new session is not idle")
	}
	return nil
}

// check refuses a session in which the gateway would read statements differently from the backend, or which may do anything.
// A parameter that PostgreSQL always reports and this backend does not is refused like a wrong one.
func (g *greeting) check(cfg *Config, user string) error {
	rules := []struct {
		name     string
		required bool
		accepts  func(value string) bool
	}{
		{"server_encoding", true, cfg.acceptsEncoding},
		{"client_encoding", true, func(value string) bool { return value == utf8Encoding }},
		{"standard_conforming_strings", true, func(value string) bool { return value == "on" }},
		{"is_superuser", true, func(value string) bool { return value == "off" || cfg.AllowSuperuser }},
		// A pooler may know nothing of it; one that names another role has logged us in as somebody else.
		{"session_authorization", false, func(value string) bool { return value == user }},
	}
	for _, rule := range rules {
		found := false
		for _, p := range g.parameters {
			if p.Name != rule.name {
				continue
			}
			found = true
			if !rule.accepts(p.Value) {
				return fmt.Errorf("the backend's %s is %q", rule.name, printable(p.Value))
			}
		}
		if rule.required && !found {
			return fmt.Errorf("the backend does not report %s", rule.name)
		}
	}
	return nil
}
