package scram

import (
	"encoding/base64"
	"strings"

	xdgscram "github.com/xdg-go/scram"
)

// endPointFlag asks for the one type of channel binding that PostgreSQL has (RFC 5929 section 4).
const endPointFlag = "p=" + string(xdgscram.ChannelBindingTLSServerEndpoint)

// channel is what an exchange knows of the connection below it.
type channel struct {
	data     []byte // tls-server-end-point of the certificate this connection was served; empty: SCRAM-SHA-256-PLUS is not offered
	selected bool   // the client chose SCRAM-SHA-256-PLUS
}

func (ch channel) offered() bool { return len(ch.data) > 0 }

// checkFlag holds the gs2-cbind-flag to what was offered and chosen (RFC 5802 section 6; read_client_first_message in auth-scram.c).
func (ch channel) checkFlag(flag string) error {
	requires := strings.HasPrefix(flag, "p=")
	switch {
	case !requires && flag != "n" && flag != "y":
		return malformed("unknown channel binding flag")
	case ch.selected && !requires:
		return malformed("client selected SCRAM-SHA-256-PLUS without channel binding")
	case ch.selected && flag != endPointFlag:
		return malformed("unsupported channel binding type")
	case !ch.selected && requires:
		return malformed("client requires channel binding, which it did not select")
	case flag == "y" && ch.offered():
		return ErrNegotiation
	}
	return nil
}

// input is the value that c= must have: the gs2 header, and the channel's data if the client is bound to it.
func (ch channel) input(gs2Header string) string {
	input := []byte(gs2Header)
	if ch.selected {
		input = append(input, ch.data...)
	}
	return base64.StdEncoding.EncodeToString(input)
}

// library is the channel in the library's words. Its own constructor hashes the peer's certificate, which on a server is the
// client's; so it gets the hash that the session made.
func (ch channel) library() xdgscram.ChannelBinding {
	if !ch.offered() {
		return xdgscram.ChannelBinding{}
	}
	return xdgscram.ChannelBinding{Type: xdgscram.ChannelBindingTLSServerEndpoint, Data: ch.data}
}
