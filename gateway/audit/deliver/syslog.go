package deliver

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/gateway/audit"
)

const (
	// priority is of authpriv (10) and notice (5): RFC 5424, 6.2.1.
	priority = "<85>"
	// program is what the messages are from.
	program = "sallyport"
	// stamp is the time of RFC 5424, 6.2.3, which has six decimals at most.
	stamp = "2006-01-02T15:04:05.000000Z07:00"
)

// syslog sends each checkpoint as one message, over a connection of its own: a connection that is kept shows only at the next message
// but one that nobody listens any more.
type syslog struct {
	network, address string
	tls              *tls.Config // nil: none
	host             string
}

// NewSyslog makes a Sender to syslog. The address is the path of a local socket (/dev/log), tcp://host:port or tls://host:port; over the
// network messages are those of RFC 5424, framed by octet counting (RFC 6587, 3.4.1). config is for TLS; nil has the system's authorities.
func NewSyslog(cfg Config, address string, config *tls.Config) (*Sender, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	s := &syslog{host: host}
	if len(address) > 0 && address[0] == '/' {
		s.network, s.address = "unixgram", address
		return newSender(cfg, s), nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Port() == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("%q %w: write /dev/log, tcp://host:port or tls://host:port", address, errAddress)
	}
	s.network, s.address = "tcp", u.Host
	switch u.Scheme {
	case "tcp":
	case "tls":
		if s.tls = config.Clone(); s.tls == nil {
			s.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		s.tls.ServerName = u.Hostname()
	default:
		return nil, fmt.Errorf("%q %w: write /dev/log, tcp://host:port or tls://host:port", address, errAddress)
	}
	return newSender(cfg, s), nil
}

// message is a checkpoint in one line. sallyport audit verify --against reads it behind whatever a log puts before it.
func message(c audit.Checkpoint) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(struct {
		Time   string `json:"time"`
		Type   string `json:"type"`
		Events int64  `json:"size"`
		Note   string `json:"note"`
	}{c.Time.UTC().Format(stamp), "checkpoint", c.Events, c.Note})
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// frame is the message as the receiver expects it.
func (s *syslog) frame(c audit.Checkpoint) ([]byte, error) {
	text, err := message(c)
	if err != nil {
		return nil, err
	}
	process := strconv.Itoa(os.Getpid())
	if s.network == "unixgram" { // what local daemons understand: RFC 3164 without the host's name
		return append([]byte(priority+c.Time.Format(time.Stamp)+" "+program+"["+process+"]: "), text...), nil
	}
	m := append([]byte(priority+"1 "+c.Time.UTC().Format(stamp)+" "+s.host+" "+program+" "+process+" checkpoint - "), text...)
	return append(strconv.AppendInt(nil, int64(len(m)), 10), append([]byte{' '}, m...)...), nil
}

func (s *syslog) send(ctx context.Context, c audit.Checkpoint) error {
	frame, err := s.frame(c)
	if err != nil {
		return err
	}
	var conn net.Conn
	if s.tls != nil {
		conn, err = (&tls.Dialer{Config: s.tls}).DialContext(ctx, s.network, s.address)
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, s.network, s.address)
	}
	if err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write(frame); err != nil {
		_ = conn.Close()
		return err
	}
	return conn.Close()
}
