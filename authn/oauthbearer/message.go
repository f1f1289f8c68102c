package oauthbearer

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

const (
	separator = 0x01 // kvsep, RFC 7628 section 3.1
	authKey   = "auth"
	scheme    = "Bearer "
)

var (
	// ErrProtocol says that the client broke the protocol. The client hears 08P01. The text never quotes a message.
	ErrProtocol = errors.New("malformed OAUTHBEARER message")
	// ErrUnsupported is an ErrProtocol for what the standard allows and PostgreSQL does not do: an authorization identity. The
	// client may hear 0A000.
	ErrUnsupported = fmt.Errorf("%w: unsupported feature", ErrProtocol)
)

// errToken says that an authorization value is not Bearer and a token. It is a bad token, not a broken protocol: PostgreSQL does not
// tell the client so much either.
var errToken = errors.New("malformed bearer token")

// parseInitial reads the client's initial response, gs2-header kvsep *(key "=" value kvsep) kvsep, and returns the value of auth,
// which is empty for discovery. Compare oauth_exchange and parse_kvpairs_for_auth in auth-oauth.c.
func parseInitial(in []byte) (authorization string, err error) {
	switch {
	case len(in) == 0:
		return "", malformed("empty message")
	case len(in) > MaxMessageBytes:
		return "", malformed("message too long")
	case bytes.IndexByte(in, 0) >= 0:
		return "", malformed("message has a NUL")
	}
	rest, err := cutHeader(string(in))
	if err != nil {
		return "", err
	}
	return parsePairs(rest)
}

// cutHeader takes off the gs2 header and the separator behind it. OAUTHBEARER has no channel binding; y is tolerated for clients that
// will know one.
func cutHeader(text string) (string, error) {
	flag, rest, ok := strings.Cut(text, ",")
	switch {
	case strings.HasPrefix(flag, "p"):
		return "", malformed("client requires channel binding, which there is none of")
	case !ok || (flag != "n" && flag != "y"):
		return "", malformed("unknown channel binding flag")
	case strings.HasPrefix(rest, "a"):
		return "", fmt.Errorf("%w: authorization identity", ErrUnsupported)
	case !strings.HasPrefix(rest, ","):
		return "", malformed("unexpected attribute in the header")
	}
	rest = rest[1:]
	if rest == "" || rest[0] != separator {
		return "", malformed("separator missing behind the header")
	}
	return rest[1:], nil
}

// parsePairs reads the pairs and the empty one that ends them. Keys that nobody knows are ignored, as section 3.1 has it, host and
// port are not needed.
func parsePairs(text string) (authorization string, err error) {
	found := false
	for {
		pair, rest, ok := strings.Cut(text, string(rune(separator)))
		if !ok {
			return "", malformed("message is not terminated")
		}
		if pair == "" {
			text = rest
			break
		}
		key, value, err := parsePair(pair)
		if err != nil {
			return "", err
		}
		if key == authKey {
			if found {
				return "", malformed("several auth values")
			}
			authorization, found = value, true
		}
		text = rest
	}
	switch {
	case !found:
		return "", malformed("no auth value")
	case text != "":
		return "", malformed("data behind the final separator")
	}
	return authorization, nil
}

// parsePair reads key "=" value: letters, and what RFC 7628 section 3.1 lets into a value. Compare validate_kvpair.
func parsePair(pair string) (key, value string, err error) {
	key, value, ok := strings.Cut(pair, "=")
	switch {
	case !ok:
		return "", "", malformed("key without a value")
	case key == "" || strings.ContainsFunc(key, func(r rune) bool { return !isLetter(r) }):
		return "", "", malformed("invalid key")
	case strings.ContainsFunc(value, func(r rune) bool { return !isValue(r) }):
		return "", "", malformed("invalid value")
	}
	return key, value, nil
}

// cutToken takes the token out of "Bearer" 1*SP b64token (RFC 6750 section 2.1); the scheme may be in any case (RFC 7628 section 4).
// Compare validate_token_format.
func cutToken(authorization string) (string, error) {
	if len(authorization) < len(scheme) || !strings.EqualFold(authorization[:len(scheme)], scheme) {
		return "", errToken
	}
	token := strings.TrimLeft(authorization[len(scheme):], " ")
	body := strings.TrimRight(token, "=")
	if body == "" || strings.ContainsFunc(body, func(r rune) bool { return !isLetter(r) && !strings.ContainsRune("0123456789-._~+/", r) }) {
		return "", errToken
	}
	return token, nil
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// isValue: VCHAR, blank, tab and line breaks.
func isValue(r rune) bool { return r >= ' ' && r <= '~' || r == '\t' || r == '\r' || r == '\n' }

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrProtocol, what) }
