package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"testing"
	"testing/iotest"
)

// The bytes of a header, written down by hand from the specification: the library must not be its own witness.
const (
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	commandLocal   = 0x20
	commandProxy   = 0x21
	familyTCP4     = 0x11
	familyTCP6     = 0x21
)

func proxyHeader(command, family byte, body []byte) []byte {
	b := append([]byte(proxySignature), command, family)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(body))), body...) // #nosec -- a test's length
}

// addresses are those of a header's body. It says that clients came to 192.0.2.7:5432, or to the same of IPv6.
func addresses(source string) []byte {
	client := netip.MustParseAddrPort(source)
	destination := []byte{192, 0, 2, 7}
	if client.Addr().Is6() {
		destination = netip.MustParseAddr("2001:db8::7").AsSlice()
	}
	b := append(client.Addr().AsSlice(), destination...)
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, client.Port()), 5432)
}

// fromClient is the header of a client's connection.
func fromClient(source string) []byte {
	family := byte(familyTCP4)
	if netip.MustParseAddrPort(source).Addr().Is6() {
		family = familyTCP6
	}
	return proxyHeader(commandProxy, family, addresses(source))
}

// joined is several pieces in one write.
func joined(pieces ...[]byte) []byte { return bytes.Join(pieces, nil) }

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

func TestReadProxyHeader(t *testing.T) {
	whole := fromClient("203.0.113.9:4711")
	largest := proxyHeader(commandProxy, familyTCP4, make([]byte, maxProxyBodyBytes))
	tests := map[string]struct {
		in   []byte
		want Reason
		size int // of the header
	}{
		"IPv4":                       {whole, 0, 28},
		"IPv6":                       {fromClient("[2001:db8::9]:4711"), 0, 52},
		"without a body":             {proxyHeader(commandLocal, 0, nil), 0, 16},
		"as long as may be":          {largest, 0, 16 + maxProxyBodyBytes},
		"a byte longer":              {proxyHeader(commandProxy, familyTCP4, make([]byte, maxProxyBodyBytes+1)), ReasonProxyHeader, 0},
		"65535 bytes announced":      {joined([]byte(proxySignature), []byte{commandProxy, familyTCP4, 0xff, 0xff}), ReasonProxyHeader, 0},
		"nothing":                    {nil, ReasonClientGone, 0},
		"one byte":                   {whole[:1], ReasonProxyHeader, 0},
		"a signature and no more":    {whole[:12], ReasonProxyHeader, 0},
		"no length":                  {whole[:14], ReasonProxyHeader, 0},
		"half a length":              {whole[:15], ReasonProxyHeader, 0},
		"no body":                    {whole[:16], ReasonProxyHeader, 0},
		"a byte short":               {whole[:27], ReasonProxyHeader, 0},
		"version 1":                  {[]byte("PROXY TCP4 203.0.113.9 192.0.2.7 4711 5432\r\n"), ReasonProxyHeader, 0},
		"version 1 of nobody":        {[]byte("PROXY UNKNOWN\r\n"), ReasonProxyHeader, 0},
		"SSLRequest":                 {startPacket(codeSSL, nil), ReasonProxyHeader, 0},
		"StartupMessage":             {startPacket(protocol30, hello("user", "ana")), ReasonProxyHeader, 0},
		"a TLS record":               {[]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), ReasonProxyHeader, 0},
		"last byte of the signature": {joined(whole[:11], []byte{'\r'}, whole[12:]), ReasonProxyHeader, 0},
		"a line before the header":   {joined([]byte("\r\n"), whole), ReasonProxyHeader, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for how, reader := range map[string]func(io.Reader) io.Reader{
				"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "with its end": iotest.DataErrReader,
			} {
				in := tt.in
				if tt.want == 0 {
					in = joined(in, []byte("more"))
				}
				r := reader(bytes.NewReader(in))
				header, err := readProxyHeader(r)
				checkReason(t, err, tt.want)
				if err != nil && (asSessionError(err).code() != "" || header != nil) {
					t.Errorf("%s: %q is told, %q returned", how, asSessionError(err).code(), header)
				}
				if err == nil && (len(header) != tt.size || !bytes.Equal(header, tt.in)) {
					t.Errorf("%s: got %q", how, header)
				}
				if rest, _ := io.ReadAll(r); tt.want == 0 && string(rest) != "more" {
					t.Errorf("%s: %q is left, want what follows the header", how, rest)
				}
			}
		})
	}
}

// TestProxyHeaderIsNotAwaited: who begins with something else and waits for an answer is found out by its first bytes.
func TestProxyHeaderIsNotAwaited(t *testing.T) {
	for name, in := range map[string][]byte{"SSLRequest": startPacket(codeSSL, nil), "a byte": {0}, "version 1": []byte("PROXY "), "eleven bytes": []byte("\r\n\r\n\x00\r\nQUIR")} {
		t.Run(name, func(t *testing.T) {
			silence := iotest.ErrReader(errors.New("would wait"))
			_, err := readProxyHeader(io.MultiReader(bytes.NewReader(in), silence))
			checkReason(t, err, ReasonProxyHeader)
		})
	}
}

func TestClientOf(t *testing.T) {
	v4 := addresses("203.0.113.9:4711")
	unix := make([]byte, 216)
	tests := map[string]struct {
		header []byte
		want   string // "": refused
	}{
		"IPv4":                         {fromClient("203.0.113.9:4711"), "203.0.113.9:4711"},
		"IPv6":                         {fromClient("[2001:db8::9]:4711"), "[2001:db8::9]:4711"},
		"IPv4 in IPv6":                 {fromClient("[::ffff:203.0.113.9]:4711"), "203.0.113.9:4711"},
		"link-local":                   {fromClient("[fe80::9]:4711"), "[fe80::9]:4711"},
		"with more behind the address": {proxyHeader(commandProxy, familyTCP4, joined(v4, []byte{0x04, 0, 2, 0, 0, 0xee, 0, 1})), "203.0.113.9:4711"},
		"LOCAL":                        {proxyHeader(commandLocal, 0, nil), "itself"},
		"LOCAL with addresses":         {proxyHeader(commandLocal, familyTCP4, v4), "itself"},
		"LOCAL with half of them":      {proxyHeader(commandLocal, familyTCP4, v4[:3]), "itself"},
		"version 1 in version 2":       {proxyHeader(0x11, familyTCP4, v4), ""},
		"version 0":                    {proxyHeader(0x01, familyTCP4, v4), ""},
		"version 3":                    {proxyHeader(0x31, familyTCP4, v4), ""},
		"command 2":                    {proxyHeader(0x22, familyTCP4, v4), ""},
		"command 15":                   {proxyHeader(0x2f, familyTCP4, v4), ""},
		"no family":                    {proxyHeader(commandProxy, 0x00, v4), ""},
		"no family and no address":     {proxyHeader(commandProxy, 0x00, nil), ""},
		"IPv4 without a protocol":      {proxyHeader(commandProxy, 0x10, v4), ""},
		"protocol without a family":    {proxyHeader(commandProxy, 0x01, v4), ""},
		"UDP over IPv4":                {proxyHeader(commandProxy, 0x12, v4), ""},
		"UDP over IPv6":                {proxyHeader(commandProxy, 0x22, addresses("[2001:db8::9]:4711")), ""},
		"UNIX stream":                  {proxyHeader(commandProxy, 0x31, unix), ""},
		"UNIX datagram":                {proxyHeader(commandProxy, 0x32, unix), ""},
		"protocol 3":                   {proxyHeader(commandProxy, 0x13, v4), ""},
		"family 4":                     {proxyHeader(commandProxy, 0x41, v4), ""},
		"LOCAL of family 4":            {proxyHeader(commandLocal, 0x41, v4), ""},
		"IPv4 without addresses":       {proxyHeader(commandProxy, familyTCP4, nil), ""},
		"IPv4, a byte short":           {proxyHeader(commandProxy, familyTCP4, v4[:11]), ""},
		"IPv6 with IPv4's addresses":   {proxyHeader(commandProxy, familyTCP6, v4), ""},
		"IPv6, a byte short":           {proxyHeader(commandProxy, familyTCP6, addresses("[2001:db8::9]:4711")[:35]), ""},
		"0.0.0.0":                      {fromClient("0.0.0.0:4711"), ""},
		"::":                           {fromClient("[::]:4711"), ""},
		"0.0.0.0 in IPv6":              {fromClient("[::ffff:0.0.0.0]:4711"), ""},
		"broadcast":                    {fromClient("255.255.255.255:4711"), ""},
		"multicast":                    {fromClient("224.0.0.1:4711"), ""},
		"multicast by IPv6":            {fromClient("[ff02::1]:4711"), ""},
		"another machine's loopback":   {fromClient("127.0.0.1:4711"), ""},
		"… by IPv6":                    {fromClient("[::1]:4711"), ""},
		"… by IPv4 in IPv6":            {fromClient("[::ffff:127.0.0.1]:4711"), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			client, err := clientOf(tt.header, netip.MustParseAddr("192.0.2.7"))
			got := client.String()
			switch {
			case err != nil:
				got = ""
				checkReason(t, err, ReasonProxyHeader)
			case client == netip.AddrPort{}:
				got = "itself"
			}
			if got != tt.want {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
	t.Run("our own loopback", func(t *testing.T) {
		if client, err := clientOf(fromClient("127.0.0.1:4711"), localhost); err != nil || client.String() != "127.0.0.1:4711" {
			t.Errorf("got %v, %v", client, err)
		}
	})
}

func FuzzReadProxyHeader(f *testing.F) {
	for _, in := range [][]byte{
		fromClient("203.0.113.9:4711"), fromClient("[2001:db8::9]:4711"), fromClient("[::ffff:203.0.113.9]:4711"), proxyHeader(commandLocal, 0, nil),
		proxyHeader(commandLocal, familyTCP4, []byte{1, 2, 3}), proxyHeader(commandProxy, 0, nil), proxyHeader(commandProxy, 0x31, make([]byte, 216)),
		proxyHeader(commandProxy, familyTCP4, joined(addresses("203.0.113.9:4711"), []byte{0x03, 0, 4, 1, 2, 3, 4})), proxyHeader(0x31, 0x13, make([]byte, 12)),
		joined([]byte(proxySignature), []byte{commandProxy, familyTCP4, 0xff, 0xff}), []byte("PROXY UNKNOWN\r\n"), startPacket(codeSSL, nil), nil,
	} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		header, err := readProxyHeader(r)
		slowly, slowErr := readProxyHeader(iotest.OneByteReader(bytes.NewReader(in)))
		if !bytes.Equal(header, slowly) || (err == nil) != (slowErr == nil) || (err != nil && err.Error() != slowErr.Error()) {
			t.Fatalf("at once %q, %v; byte by byte %q, %v", header, err, slowly, slowErr)
		}
		if err != nil {
			if e := asSessionError(err); e.code() != "" || e.reason != ReasonProxyHeader && (len(in) != 0 || e.reason != ReasonClientGone) {
				t.Errorf("ended by %v: %v", e.reason, err)
			}
			return
		}
		if consumed := len(in) - r.Len(); consumed != len(header) || len(header) != 16+int(binary.BigEndian.Uint16(in[14:])) || !bytes.Equal(header, in[:consumed]) {
			t.Errorf("%d bytes were read for a header of %d", consumed, len(header))
		}
		client, err := clientOf(header, netip.MustParseAddr("192.0.2.7"))
		if err != nil {
			checkReason(t, err, ReasonProxyHeader)
			return
		}
		if want := witness(header); client != want {
			t.Errorf("the client is %v, want %v", client, want)
		}
	})
}

// witness reads the client in a header by itself; it is the zero AddrPort for a proxy's own connection, and for what may not be taken.
func witness(header []byte) netip.AddrPort {
	length := map[byte]int{familyTCP4: 4, familyTCP6: 16}[header[13]]
	if header[12] != commandProxy || length == 0 {
		return netip.AddrPort{}
	}
	address, _ := netip.AddrFromSlice(header[16 : 16+length])
	return netip.AddrPortFrom(address.Unmap(), binary.BigEndian.Uint16(header[16+2*length:]))
}
