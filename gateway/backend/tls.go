package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/gateway/wire"
)

// startTLS asks for TLS and verifies who answers
// (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL).
//
// The answer is one byte. Anything more came before the connection was protected, from whom we do not know: CVE-2021-23222 is
// taking it for the beginning of the session. For the same reason an ErrorResponse is not read: CVE-2024-10977.
func startTLS(ctx context.Context, conn net.Conn, config *tls.Config) (*tls.Conn, error) {
	request, err := (&pgproto3.SSLRequest{}).Encode(nil)
	if err != nil {
		return nil, fmt.Errorf("encode SSLRequest: %w", err)
	}
	if err := write(conn, "SSLRequest", request); err != nil {
		return nil, err
	}
	// Room for two shows a second byte that came together with the first; a later one is no TLS record and fails the handshake.
	var answer [2]byte
	n, err := conn.Read(answer[:])
	switch {
	case n > 1:
		return nil, errors.New("the backend sent data before the TLS handshake")
	case n == 0 && err != nil:
		return nil, fmt.Errorf("read answer to SSLRequest: %w", err)
	case n == 0:
		return nil, errors.New("read answer to SSLRequest: empty read")
	}
	switch answer[0] {
	case 'S':
	case 'N':
		return nil, errors.New("the backend does not offer TLS")
	case 'E':
		return nil, errors.New("the backend answered SSLRequest with an error, which is not read before TLS")
	default:
		return nil, fmt.Errorf("the backend answered SSLRequest with %q", answer[0])
	}
	return handshake(ctx, conn, config)
}

// directTLS begins with the handshake. Who does not agree to speak PostgreSQL's protocol is no PostgreSQL: another service whose certificate
// is as good must not be told a startup message (ALPACA).
func directTLS(ctx context.Context, conn net.Conn, config *tls.Config) (*tls.Conn, error) {
	secured, err := handshake(ctx, conn, config)
	if err == nil && secured.ConnectionState().NegotiatedProtocol != alpn {
		err = errors.New("TLS handshake: the backend does not say that it speaks PostgreSQL's protocol (ALPN), which direct TLS needs")
	}
	return secured, err
}

// handshake is given a configuration by Config.tlsConfig, never another.
func handshake(ctx context.Context, conn net.Conn, config *tls.Config) (*tls.Conn, error) {
	secured := tls.Client(wire.NewSocket(conn), config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	if len(secured.ConnectionState().VerifiedChains) == 0 {
		return nil, errors.New("TLS handshake: the backend's certificate was not verified")
	}
	return secured, nil
}
