package deliver

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/audit/proof"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var sample = audit.Checkpoint{
	Time: time.Date(2026, 3, 2, 9, 14, 7, 120431000, time.UTC), Events: 7, Note: "log\n7\n" + proof.Hash{}.String() + "\n\n— log abcd\n",
}

// scripted answers with the errors it was given, one after the other, then with none.
type scripted struct {
	errs []error
	wait time.Duration
	sent []string // when, and how many events
	from time.Time
}

func (s *scripted) send(ctx context.Context, c audit.Checkpoint) error {
	if s.wait > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.wait):
		}
	}
	s.sent = append(s.sent, time.Since(s.from).String()+" "+strconv.FormatInt(c.Events, 10))
	if len(s.errs) == 0 {
		return nil
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	return err
}

// TestSender: a receiver that fails is tried again, later each time, and always with the newest checkpoint.
func TestSender(t *testing.T) {
	down := errors.New("down")
	synctest.Test(t, func(t *testing.T) {
		to := &scripted{errs: []error{nil, down, down, down}, from: time.Now()}
		var observed []error
		s := newSender(Config{Name: "x", Observe: func(_ string, err error) { observed = append(observed, err) }}, to)
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _ = s.Run(ctx) })
		for n := range int64(5) { // one each second; from the second on nobody takes them
			s.Send(audit.Checkpoint{Events: n})
			synctest.Wait()
			if (s.Err() != nil) != (n > 0) {
				t.Errorf("after %d: %v", n, s.Err())
			}
			time.Sleep(time.Second + time.Millisecond)
		}
		time.Sleep(time.Minute)
		if err := s.Err(); err != nil {
			t.Error(err)
		}
		s.Send(audit.Checkpoint{Events: 9})
		synctest.Wait()
		stop()
		group.Wait()
		want := []string{"0s 0", "1.001s 1", "2.001s 1", "4.001s 3", "8.001s 4", "1m5.005s 9"}
		if diff := cmp.Diff(want, to.sent); diff != "" {
			t.Error(diff)
		}
		if len(observed) != len(want) {
			t.Errorf("observed %v", observed)
		}
	})
}

// TestSenderGivesUp: a receiver that takes for ever is not waited for, and the last checkpoint can be sent after Run has ended.
func TestSenderGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &scripted{wait: time.Hour, from: time.Now()}
		s := newSender(Config{Name: "x"}, to)
		s.Send(sample)
		if s.Flush(t.Context()) || !errors.Is(s.Err(), context.DeadlineExceeded) || time.Since(to.from) != sendTimeout {
			t.Errorf("after %s: %v", time.Since(to.from), s.Err())
		}
		to.wait = 0
		if !s.Flush(t.Context()) || s.Err() != nil || len(to.sent) != 1 || !s.Flush(t.Context()) {
			t.Errorf("%v, %v", to.sent, s.Err())
		}
	})
}

func flush(t *testing.T, s *Sender, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	s.Send(sample)
	if !s.Flush(t.Context()) {
		t.Fatal(s.Err())
	}
}

// wantCopy wants what a receiver has kept to be a checkpoint for audit verify.
func wantCopy(t *testing.T, kept string) {
	t.Helper()
	copies, err := proof.ReadCopies(strings.NewReader(kept), nil)
	if err != nil || len(copies) != 1 || copies[0].Size != 7 {
		t.Errorf("%q: %v, %v", kept, copies, err)
	}
}

func TestLocalSyslog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	daemon, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer daemon.Close()
	s, err := NewSyslog(Config{Name: "syslog"}, path, nil)
	flush(t, s, err)
	buf := make([]byte, 4096)
	n, _, err := daemon.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(buf[:n]); !strings.HasPrefix(got, "<85>Mar  2 09:14:07 sallyport["+strconv.Itoa(os.Getpid())+"]: {") {
		t.Errorf("got %q", got)
	}
	wantCopy(t, string(buf[:n]))
}

func TestNetworkSyslog(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	for scheme, wrap := range map[string]func(net.Listener) net.Listener{
		"tcp": func(l net.Listener) net.Listener { return l },
		"tls": func(l net.Listener) net.Listener { return tls.NewListener(l, web.TLS) },
	} {
		t.Run(scheme, func(t *testing.T) {
			plain, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			listener := wrap(plain)
			defer listener.Close()
			got := make(chan string, 1)
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					got <- err.Error()
					return
				}
				defer conn.Close()
				r := bufio.NewReader(conn)
				length, _ := r.ReadString(' ')
				n, _ := strconv.Atoi(strings.TrimSpace(length))
				frame := make([]byte, n)
				if _, err := io.ReadFull(r, frame); err != nil {
					frame = []byte(err.Error())
				}
				got <- string(frame)
			}()
			s, err := NewSyslog(Config{Name: "syslog"}, scheme+"://"+listener.Addr().String(), &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
			flush(t, s, err)
			host, _ := os.Hostname()
			frame := <-got
			if want := "<85>1 2026-03-02T09:14:07.120431Z " + host + " sallyport " + strconv.Itoa(os.Getpid()) + " checkpoint - {"; !strings.HasPrefix(frame, want) {
				t.Errorf("got %q, want %q", frame, want)
			}
			wantCopy(t, frame)
		})
	}
}

func TestPost(t *testing.T) {
	var body, token string
	status := http.StatusNoContent
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		body, token = string(content), r.Header.Get("Authorization")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}))
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := NewPost(Config{Name: "http"}, web.URL, path, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
	flush(t, s, err)
	s.to.(*post).client.CloseIdleConnections()
	if body != sample.Note || token != "Bearer secret" {
		t.Errorf("got %q with %q", body, token)
	}
	wantCopy(t, body)
	for code, want := range map[int]string{http.StatusForbidden: "403", http.StatusFound: "redirects are not followed"} {
		status = code
		s.Send(sample)
		if s.Flush(t.Context()) || !strings.Contains(s.Err().Error(), want) || strings.Contains(s.Err().Error(), "secret") {
			t.Errorf("%d: %v", code, s.Err())
		}
		s.to.(*post).client.CloseIdleConnections()
	}
	if s, err = NewPost(Config{Name: "http"}, web.URL, "", nil); err != nil {
		t.Fatal(err)
	}
	s.Send(sample)
	if s.Flush(t.Context()) {
		t.Error("an authority that nobody knows: no error")
	}
}

// TestPut: each checkpoint is an object, and nobody sees what is signed in the URL.
func TestPut(t *testing.T) {
	objects := make(map[string]string)
	status := http.StatusOK
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		if status == http.StatusOK {
			objects[r.Method+" "+r.URL.String()] = string(content)
		}
		w.WriteHeader(status)
	}))
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	path := filepath.Join(t.TempDir(), "url")
	hold := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hold(web.URL + "/bucket/{size}?X-Signature=hidden\n")
	s, err := NewPut(Config{Name: "put"}, path, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
	flush(t, s, err)
	client := s.to.(*put).client
	client.CloseIdleConnections()
	if diff := cmp.Diff(map[string]string{"PUT /bucket/7?X-Signature=hidden": sample.Note}, objects); diff != "" {
		t.Error(diff)
	}
	wantCopy(t, objects["PUT /bucket/7?X-Signature=hidden"])
	status = http.StatusForbidden
	for name, text := range map[string]string{
		"refused": web.URL + "/?X=hidden", "not reached": "https://127.0.0.1:1/?X=hidden", "in the clear": "http://127.0.0.1/?X=hidden", "none": "hidden", "broken": "https://h/%zz?hidden",
	} {
		hold(text)
		s.Send(sample)
		if s.Flush(t.Context()) || strings.Contains(s.Err().Error(), "hidden") {
			t.Errorf("%s: %v", name, s.Err())
		}
		client.CloseIdleConnections()
	}
	if len(objects) != 1 {
		t.Errorf("%v", objects)
	}
}

func TestAddresses(t *testing.T) {
	for _, address := range []string{"", "log", "udp://host:1", "tcp://host", "tcp://host:1/path", "tls://me@host:1", "://"} {
		if _, err := NewSyslog(Config{}, address, nil); !errors.Is(err, errAddress) {
			t.Errorf("syslog %q: %v", address, err)
		}
	}
	for _, address := range []string{"", "host/path", "ftp://host/", "https://me:it@host/", "https:///path"} {
		if _, err := NewPost(Config{}, address, "", nil); !errors.Is(err, errAddress) {
			t.Errorf("post %q: %v", address, err)
		}
	}
}
