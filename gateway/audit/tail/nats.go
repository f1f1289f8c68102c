package tail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// headerRoom is what a message has besides its line: subject and headers.
	headerRoom = 1 << 10
	// natsTimeout is how long connecting may take.
	natsTimeout = 5 * time.Second
)

// NATS says where and how lines are published.
type NATS struct {
	URL             string // nats://host:port or tls://host:port
	Subject         string // of every message; a stream must have it
	CredentialsFile string // of the account, as nsc makes it; "": none
	TLS             *tls.Config
}

// natsPublisher publishes each line as a message, and has taken those that JetStream has stored.
type natsPublisher struct {
	NATS
	conn   *nats.Conn // nil: none
	stream jetstream.JetStream
}

// NewNATS makes a Tail that publishes every line to JetStream. Nats-Msg-Id is the line's id, by which the server drops what it has
// already, within the stream's duplicate window.
func NewNATS(cfg Config, to NATS) (*Tail, error) {
	u, err := url.Parse(to.URL)
	if err != nil || u.Hostname() == "" || u.Scheme != "nats" && u.Scheme != "tls" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("the URL %w: write tls://host:port", errAddress) // what it says may be a secret
	}
	return newTail(cfg, &natsPublisher{NATS: to}), nil
}

func (n *natsPublisher) close() {
	if n.conn != nil {
		n.conn.Close()
	}
	n.conn, n.stream = nil, nil
}

// connect connects if there is no connection. One that failed is not repaired: what was under way on it has to be sent again anyway.
func (n *natsPublisher) connect() (err error) {
	if n.conn != nil && n.conn.IsConnected() {
		return nil
	}
	n.close()
	options := []nats.Option{nats.Name(program), nats.NoReconnect(), nats.Timeout(natsTimeout)}
	if n.TLS != nil {
		options = append(options, nats.Secure(n.TLS.Clone()))
	}
	if n.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(n.CredentialsFile))
	}
	if n.conn, err = nats.Connect(n.URL, options...); err != nil {
		n.conn = nil
		return err
	}
	n.stream, err = jetstream.New(n.conn, jetstream.WithPublishAsyncMaxPending(2*batchRecords))
	return err
}

func (n *natsPublisher) send(ctx context.Context, records []Record) error {
	if err := n.connect(); err != nil {
		return natsError(err)
	}
	for i := range records {
		if int64(len(records[i].body())+headerRoom) > n.conn.MaxPayload() {
			return errTooLarge
		}
	}
	if err := n.publish(ctx, records); err != nil {
		n.close() // what is still under way on it must not come behind what is sent next
		return natsError(err)
	}
	return nil
}

// publish publishes all records in order and waits until the last is stored.
func (n *natsPublisher) publish(ctx context.Context, records []Record) error {
	stored := make([]jetstream.PubAckFuture, len(records))
	for i := range records {
		m := nats.NewMsg(n.Subject)
		m.Data = records[i].body()
		m.Header.Set(jetstream.MsgIDHeader, records[i].ID())
		var err error
		if stored[i], err = n.stream.PublishMsgAsync(m, jetstream.WithRetryAttempts(0)); err != nil {
			return err
		}
	}
	for _, s := range stored {
		select {
		case <-s.Ok():
		case err := <-s.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// natsError says what kind of failure it is.
func natsError(err error) error {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api), errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, jetstream.ErrNoStreamResponse),
		errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrPermissionViolation):
		return &failure{ClassRefused, err}
	case errors.Is(err, nats.ErrSecureConnRequired), errors.Is(err, nats.ErrSecureConnWanted):
		return &failure{ClassTLS, err}
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrAsyncPublishTimeout):
		return &failure{ClassTimeout, err}
	}
	return err
}
