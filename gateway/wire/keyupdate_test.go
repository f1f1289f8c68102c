package wire

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"testing"
)

// recordWriter writes the records of a TLS 1.3 client (RFC 8446, 5.2 and 7), which crypto/tls does not let send a KeyUpdate.
type recordWriter struct {
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	number uint64
}

// newRecordWriter takes the client's secret from what a handshake has logged.
func newRecordWriter(t *testing.T, keyLog string) *recordWriter {
	t.Helper()
	for line := range strings.Lines(keyLog) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != "CLIENT_TRAFFIC_SECRET_0" {
			continue
		}
		secret, err := hex.DecodeString(fields[2])
		if err != nil {
			t.Fatal(err)
		}
		w := &recordWriter{}
		w.use(t, secret)
		return w
	}
	t.Fatal("the handshake logged no secret of the client's")
	return nil
}

func (w *recordWriter) use(t *testing.T, secret []byte) {
	t.Helper()
	block, err := aes.NewCipher(w.expand(t, secret, "key", 16))
	if err == nil {
		w.aead, err = cipher.NewGCM(block)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.secret, w.iv, w.number = secret, w.expand(t, secret, "iv", 12), 0
}

// expand is HKDF-Expand-Label without a context.
func (w *recordWriter) expand(t *testing.T, secret []byte, label string, length int) []byte {
	t.Helper()
	info := binary.BigEndian.AppendUint16(nil, uint16(length))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(append(append(info, "tls13 "...), label...), 0)
	key, err := hkdf.Expand(func() hash.Hash { return sha256.New() }, secret, string(info), length)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The content types of records.
const (
	handshakeRecord   = 22
	applicationRecord = 23
)

func (w *recordWriter) record(kind byte, content []byte) []byte {
	nonce := bytes.Clone(w.iv)
	for i := range 8 {
		nonce[4+i] ^= byte(w.number >> (56 - 8*i))
	}
	w.number++
	inner := append(bytes.Clone(content), kind)
	header := []byte{applicationRecord, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(header[3:], uint16(len(inner)+w.aead.Overhead()))
	return w.aead.Seal(header, nonce, inner, header)
}

// keyUpdate goes on to the next keys, and asks the other side to do so too (RFC 8446, 4.6.3).
func (w *recordWriter) keyUpdate(t *testing.T) []byte {
	t.Helper()
	record := w.record(handshakeRecord, []byte{24, 0, 0, 1, 1})
	w.use(t, w.expand(t, w.secret, "traffic upd", sha256.Size))
	return record
}

// TestSocketKeyUpdate has a client that changes its keys again and again and wants ours changed: TLS then writes while it reads, amid what
// others write, and nothing may be lost or out of order.
func TestSocketKeyUpdate(t *testing.T) {
	var keyLog bytes.Buffer
	s := securePair(t, &keyLog)
	if suite := s.far.ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Fatalf("the test writes records of %s only, this is %s", tls.CipherSuiteName(tls.TLS_AES_128_GCM_SHA256), tls.CipherSuiteName(suite))
	}
	w := newRecordWriter(t, keyLog.String())
	backendFar, backendNear := tcpPair(t)
	asked, answered := make(chan error, 1), make(chan error, 1)
	go func() { asked <- relay(backendNear, s.near) }()
	go func() { answered <- relay(s.near, backendNear) }()
	go func() { _, _ = io.Copy(backendFar, backendFar); _ = backendFar.CloseWrite() }() // a backend that says what it hears

	const messages = 300
	message := func(i int) []byte {
		return AppendMessage(nil, DataRow, fmt.Appendf(nil, "%0*d", 20+i*37%5000, i))
	}
	go func() {
		for i := range messages {
			records := w.record(applicationRecord, message(i))
			if i%30 == 0 { // not more than the test's own end takes before it has read any data
				records = append(records, w.keyUpdate(t)...)
			}
			for half := len(records) / 2; len(records) > 0; records, half = records[half:], len(records)-half {
				if _, err := s.wire.Write(records[:half]); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	for i := range messages {
		want := message(i)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(s.far, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("message %d does not come back: %v", i, err)
		}
	}
	_ = s.wire.CloseWrite()
	if err := <-asked; !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the client's direction ended by %v", err)
	}
	_ = backendNear.Close()
	<-answered
}
