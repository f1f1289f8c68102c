package tail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsServer is a server with JetStream, and a stream that keeps the subject audit.
type natsServer struct {
	daemon
	connect func() (*nats.Conn, error)
}

func newNATSServer(t *testing.T) (*natsServer, NATS) {
	t.Helper()
	certificates, config := newAuthority(t)
	dir, port := t.TempDir(), freePort(t)
	conf := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf(`host: 127.0.0.1
port: %[1]s
jetstream { store_dir: %[2]q }
tls { cert_file: "%[3]s/server.crt", key_file: "%[3]s/server.key", ca_file: "%[3]s/ca.crt", verify: true }
`, port, dir, certificates)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &natsServer{daemon: daemon{command: []string{"/usr/sbin/nats-server", "-c", conf}, address: "127.0.0.1:" + port, log: filepath.Join(dir, "log")}}
	s.connect = func() (*nats.Conn, error) { return nats.Connect("tls://"+s.address, nats.Secure(config.Clone())) }
	t.Cleanup(func() {
		s.kill(t)
		if said, _ := os.ReadFile(s.log); t.Failed() {
			t.Logf("nats-server: %s", said)
		}
	})
	return s, NATS{URL: "tls://" + s.address, Subject: "audit", TLS: config}
}

func (s *natsServer) start(t *testing.T) {
	t.Helper()
	s.daemon.start(t)
	s.do(t, func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "AUDIT", Subjects: []string{"audit"}})
		return err
	})
}

func (s *natsServer) do(t *testing.T, f func(context.Context, jetstream.JetStream) error) {
	t.Helper()
	conn, err := s.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := f(ctx, js); err != nil {
		t.Fatal(err)
	}
}

// lines wants every message to have an id of its own.
func (s *natsServer) lines(t *testing.T) (lines []string) {
	t.Helper()
	ids := make(map[string]bool)
	s.do(t, func(ctx context.Context, js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, "AUDIT")
		if err != nil {
			return err
		}
		for n := stream.CachedInfo().State.Msgs; uint64(len(lines)) < n; {
			consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{OptStartSeq: uint64(len(lines) + 1), DeliverPolicy: jetstream.DeliverByStartSequencePolicy})
			if err != nil {
				return err
			}
			batch, err := consumer.Fetch(int(n)-len(lines), jetstream.FetchMaxWait(5*time.Second))
			if err != nil {
				return err
			}
			for m := range batch.Messages() {
				id := m.Headers().Get("Nats-Msg-Id")
				if id == "" || ids[id] {
					return errors.New("a message with the id " + id)
				}
				ids[id] = true
				lines = append(lines, string(m.Data()))
			}
		}
		return nil
	})
	return lines
}

func TestNATS(t *testing.T) {
	s, to := newNATSServer(t)
	through(t, s, func(log string) (*Tail, error) { return NewNATS(Config{Name: "nats", Log: log, Logger: quiet(t)}, to) })
}

// TestNATSRefuses: a subject that no stream has, a line that is larger than the server takes.
func TestNATSRefuses(t *testing.T) {
	s, to := newNATSServer(t)
	s.start(t)
	to.Subject = "other"
	tl, err := NewNATS(Config{Name: "nats"}, to)
	if err != nil {
		t.Fatal(err)
	}
	defer tl.to.close()
	if err := tl.to.send(t.Context(), []Record{{Line: []byte("{}")}}); classOf(err) != ClassRefused {
		t.Errorf("no stream: %v (%s)", err, classOf(err))
	}
	if err := tl.to.send(t.Context(), []Record{{Line: []byte(strings.Repeat("x", 1<<20))}}); !errors.Is(err, errTooLarge) {
		t.Errorf("too large: %v", err)
	}
}
