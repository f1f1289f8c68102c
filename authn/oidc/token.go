package oidc

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"

	josejson "github.com/go-jose/go-jose/v4/json"
)

const (
	// maxTokenBytes: ID tokens with many groups come to some kilobytes; the session bounds PasswordMessage alike.
	maxTokenBytes = 16 << 10
	// maxHeaderSegment is a JOSE header of 2 KiB in base64url: alg, kid, typ and a thumbprint take 200 bytes.
	maxHeaderSegment = (2<<10*8 + 5) / 6
	// maxKeyIDBytes: key ids are hashes or UUIDs; what is longer is nobody's.
	maxKeyIDBytes = 256
)

// header is what of a JOSE header matters. jku, x5u, x5c and jwk are ignored: a token does not say where its key comes from.
type header struct {
	algorithm string
	keyID     string // "": none
}

// splitToken checks size and shape before anything is decoded: a compact JWS is three non-empty base64url segments between exactly
// two dots. Parsers have spent memory in proportion to the dots, and taken JSON, white space or an encrypted token in its place.
func splitToken(token string) (headerSegment, payloadSegment string, reason Reason) {
	if len(token) > maxTokenBytes {
		return "", "", ReasonShape
	}
	dots := 0
	for i := range len(token) {
		switch c := token[i]; {
		case c == '.':
			dots++
		case !isBase64URL(c):
			return "", "", ReasonShape
		}
	}
	if dots != 2 {
		return "", "", ReasonShape
	}
	headerSegment, rest, _ := strings.Cut(token, ".")
	payloadSegment, signature, _ := strings.Cut(rest, ".")
	if headerSegment == "" || payloadSegment == "" || signature == "" || len(headerSegment) > maxHeaderSegment {
		return "", "", ReasonShape
	}
	return headerSegment, payloadSegment, ""
}

func isBase64URL(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// decodeObject decodes a segment to a JSON object. The decoder is go-jose's: names are case-sensitive and appear once. With
// encoding/json, which go-oidc uses, a custom claim "SUB" or a second "sub" would replace the first.
func decodeObject(segment string) (map[string]josejson.RawMessage, bool) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	if err != nil {
		return nil, false
	}
	return parseObject(text)
}

func parseObject(text []byte) (map[string]josejson.RawMessage, bool) {
	if !utf8.Valid(text) {
		return nil, false
	}
	var object map[string]josejson.RawMessage
	if err := josejson.Unmarshal(text, &object); err != nil || object == nil {
		return nil, false
	}
	return object, true
}

// parseHeader reads the header and refuses what it must not ask for.
func (cfg *Config) parseHeader(segment string) (header, Reason) {
	object, ok := decodeObject(segment)
	if !ok {
		return header{}, ReasonHeader
	}
	// crit demands what we may not know (RFC 7515 section 4.1.11), b64 changes what is signed (RFC 7797), enc and zip belong to JWE.
	for _, name := range []string{"crit", "b64", "enc", "zip"} {
		if _, present := object[name]; present {
			return header{}, ReasonHeader
		}
	}
	var h header
	if h.algorithm, ok = text(object["alg"]); !ok || !slices.Contains(cfg.Algorithms, h.algorithm) {
		return header{}, ReasonAlgorithm
	}
	if raw, present := object["kid"]; present {
		if h.keyID, ok = text(raw); !ok || h.keyID == "" || len(h.keyID) > maxKeyIDBytes {
			return header{}, ReasonHeader
		}
	}
	if raw, present := object["typ"]; present {
		if typ, ok := text(raw); !ok || !cfg.acceptsType(typ) {
			return header{}, ReasonType
		}
	} else if !cfg.acceptsType("JWT") {
		return header{}, ReasonType
	}
	return h, ""
}

// acceptsType compares media types as RFC 7515 section 4.1.9 has it.
func (cfg *Config) acceptsType(typ string) bool {
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	return slices.ContainsFunc(cfg.TokenTypes, func(accepted string) bool { return strings.ToLower(accepted) == typ })
}

// text decodes a JSON string, and nothing else: null, which decoders skip, would pass for "".
func text(raw josejson.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	err := josejson.Unmarshal(raw, &s)
	return s, err == nil
}
