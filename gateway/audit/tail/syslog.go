package tail

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

const (
	// priority is of authpriv (10) and notice (5): RFC 5424, 6.2.1.
	priority = "<85>"
	// program is what the messages are from.
	program = "sallyport"
	// element names the structured data. The number is the one for those who have none (RFC 5612).
	element = "sallyport@32473"
	// stamp is the time of RFC 5424, 6.2.3, which has six decimals at most.
	stamp = "2006-01-02T15:04:05.000000Z07:00"
	// maxMessageID is the longest MSGID.
	maxMessageID = 32
	// syslogWrite is how much is written at once.
	syslogWrite = 64 << 10
)

// syslog sends each batch over a connection of its own, and takes the orderly end of the connection for the answer that syslog has not:
// the receiver says that it has read all there was (RFC 5425, 4.4).
type syslog struct {
	address string
	dialer  tls.Dialer
	host    string
	process string
}

// NewSyslog makes a Tail to a syslog server: messages of RFC 5424 over TLS, framed by octet counting (RFC 5425). The address is
// tls://host:port; config is for TLS, and not changed.
func NewSyslog(cfg Config, address string, config *tls.Config) (*Tail, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "tls" || u.Hostname() == "" || u.Port() == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("%q %w: write tls://host:port", address, errAddress)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	config = config.Clone()
	config.ServerName = u.Hostname()
	return newTail(cfg, &syslog{u.Host, tls.Dialer{Config: config}, host, strconv.Itoa(os.Getpid())}), nil
}

var errAddress = errors.New("is no address of a receiver")

func (s *syslog) close() {}

func (s *syslog) send(ctx context.Context, records []Record) error {
	conn, err := s.dialer.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err = s.deliver(conn.(*tls.Conn), records)
	if ctx.Err() != nil && err != nil {
		err = ctx.Err()
	}
	_ = conn.Close() // all that it could say was said
	return err
}

// deliver writes all records, says that this is all, and waits for the receiver to say the same.
func (s *syslog) deliver(conn *tls.Conn, records []Record) error {
	var buf []byte
	for i := range records {
		buf = s.frame(buf, &records[i])
		if len(buf) < syslogWrite && i < len(records)-1 {
			continue
		}
		if _, err := conn.Write(buf); err != nil {
			return err
		}
		buf = buf[:0]
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	var answer [1]byte
	switch n, err := conn.Read(answer[:]); {
	case errors.Is(err, io.EOF):
		return nil
	case n > 0:
		return errors.New("the receiver says something where it must not")
	default:
		return fmt.Errorf("the receiver does not end the connection in order: %w", err)
	}
}

// frame appends the message of a record, with its length before it.
func (s *syslog) frame(dst []byte, r *Record) []byte {
	var head struct{ Type, Session, ID string }
	_ = json.Unmarshal(r.Line, &head) // a torn line has none
	at := proof.TimeOf(r.Line)
	if at.IsZero() {
		at = time.Now()
	}
	message := priority + "1 " + at.UTC().Format(stamp) + " " + s.host + " " + program + " " + s.process + " " + messageID(head.Type) +
		" [" + element + ` leaf="` + strconv.FormatInt(r.Leaf, 10) + `" id="` + r.ID() + `"`
	if head.Session != "" {
		message += ` session="` + parameter(head.Session) + `"`
	}
	message += "] "
	dst = strconv.AppendInt(dst, int64(len(message)+len(r.body())), 10)
	dst = append(append(dst, ' '), message...)
	return append(dst, r.body()...)
}

// messageID makes a MSGID of an event's type.
func messageID(kind string) string {
	if kind == "" || len(kind) > maxMessageID || strings.ContainsFunc(kind, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "-"
	}
	return kind
}

// parameter escapes the value of a PARAM-VALUE: RFC 5424, 6.3.3.
func parameter(value string) string { return parameterEscapes.Replace(value) }

var parameterEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`)
