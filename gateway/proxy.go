package gateway

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"

	"github.com/pires/go-proxyproto"
)

// The PROXY protocol, version 2 (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt): a proxy puts a header in front of the
// first bytes of the client, which says whose they are.
const (
	// proxyHeadBytes come first: 12 of a signature, version and command, the family of the addresses, the length of what follows.
	proxyHeadBytes = 16
	// maxProxyBodyBytes bounds what follows: the addresses, 36 bytes for IPv6, and what proxies tell besides. The longest of that is a
	// client certificate of two kilobytes. More than this the library takes for an error too.
	maxProxyBodyBytes = 4096
)

var (
	errNoProxyHeader = errors.New("a trusted proxy does not begin with a PROXY header of version 2")
	errCutHeader     = errors.New("the PROXY header is cut short")
	errLongHeader    = errors.New("the PROXY header is longer than is read")
	errNotTCP        = errors.New("the PROXY header is not about a TCP connection")
	errNoClient      = errors.New("the PROXY header names an address that no client has")
)

// admitProxied reads the header that a connection from a trusted proxy must begin with. Whether there is one is decided by the address
// that the connection has, once: who could choose by what it sends would choose its address, and what a header says makes nobody a
// proxy. What others send is never looked at as a header.
func (s *session) admitProxied() error {
	proxy := addressOf(s.client)
	if !slices.ContainsFunc(s.config.Proxies, func(p netip.Prefix) bool { return p.Contains(proxy) }) {
		return nil
	}
	header, err := readProxyHeader(s.conn)
	if err != nil {
		return err
	}
	client, err := clientOf(header, proxy)
	if err == nil && client.IsValid() {
		s.client = net.TCPAddrFromAddrPort(client)
		s.server.recount(s)
	}
	return err
}

// readProxyHeader reads a header and not a byte more: what follows may have to be read through TLS, or must not be there yet. It ends
// with the first byte that is wrong, for a client that comes without a header waits for an answer and will not send the rest.
func readProxyHeader(r io.Reader) ([]byte, error) {
	header := make([]byte, proxyHeadBytes)
	for n := 0; n < proxyHeadBytes; {
		m, err := r.Read(header[n:])
		n += m
		if signed := min(n, len(proxyproto.SIGV2)); !bytes.Equal(header[:signed], proxyproto.SIGV2[:signed]) {
			return nil, fail(ReasonProxyHeader, errNoProxyHeader)
		}
		if err != nil && n < proxyHeadBytes {
			return nil, headerError(err, n)
		}
	}
	length := int(binary.BigEndian.Uint16(header[proxyHeadBytes-2:]))
	if length > maxProxyBodyBytes {
		return nil, fail(ReasonProxyHeader, errLongHeader)
	}
	header = append(header, make([]byte, length)...)
	if _, err := io.ReadFull(r, header[proxyHeadBytes:]); err != nil {
		return nil, headerError(err, proxyHeadBytes)
	}
	return header, nil
}

// headerError says why a header could not be read after some bytes of it. Who comes and goes without a word, as some proxies do to see
// whether somebody listens, does nothing wrong.
func headerError(err error, read int) error {
	if read > 0 && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		return fail(ReasonProxyHeader, errCutHeader)
	}
	return fail(ReasonClientGone, err)
}

// clientOf is the client that a proxy's header names; the zero AddrPort when the proxy has come on its own behalf (the command LOCAL),
// to see whether all is well. What stands behind the addresses is not looked at, nor is a checksum there: TCP has its own.
func clientOf(header []byte, proxy netip.Addr) (netip.AddrPort, error) {
	h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(header)))
	if err != nil {
		return netip.AddrPort{}, fail(ReasonProxyHeader, err)
	}
	if h.Command.IsLocal() {
		return netip.AddrPort{}, nil
	}
	source, _, ok := h.TCPAddrs()
	if !ok {
		return netip.AddrPort{}, fail(ReasonProxyHeader, errNotTCP)
	}
	address := source.AddrPort().Addr().Unmap() // or rules for IPv4 would not know it
	// A loopback address is the proxy's own machine. Where that is another one than ours, rules and throttle would take it for ours.
	ours := address.IsLoopback() && proxy.IsLoopback()
	if !address.IsGlobalUnicast() && !address.IsLinkLocalUnicast() && !ours {
		return netip.AddrPort{}, fail(ReasonProxyHeader, errNoClient)
	}
	return netip.AddrPortFrom(address, source.AddrPort().Port()), nil
}
