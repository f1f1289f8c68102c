package tail

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// scripted answers with the errors it was given, one after the other, then with none.
type scripted struct {
	mu    sync.Mutex
	errs  []error
	most  int // records; 0: any number
	kept  []string
	tries []time.Time
	hang  chan struct{} // not nil: send returns when it is closed, or ctx ends
}

func (s *scripted) close() {}

func (s *scripted) send(ctx context.Context, records []Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries = append(s.tries, time.Now())
	if s.hang != nil {
		select {
		case <-s.hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if s.most > 0 && (len(records) > s.most || strings.Contains(string(records[0].Line), "large")) {
		return errTooLarge
	}
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		if err != nil {
			return err
		}
	}
	for _, r := range records {
		s.kept = append(s.kept, string(r.Line))
	}
	return nil
}

// written makes a log of lines in a directory of its own, and a Tail of it.
func written(t *testing.T, to receiver, text string) (*Tail, string) {
	t.Helper()
	path := t.TempDir() + "/audit.log"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return newTail(Config{Name: "x", Log: path}, to), path
}

// TestRetries: a receiver that fails is tried again, later each time, never given up, and when it asks to be left alone it is.
func TestRetries(t *testing.T) {
	down := errors.New("down")
	to := &scripted{errs: []error{down, down, down, down, down, down, down, down, answered(503, "503", 5*time.Minute), answered(503, "503", time.Hour), nil, down}}
	tl, path := written(t, to, "{\"a\":1}\n")
	tl.Open(openDirectory(t))
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _ = tl.Run(ctx) })
		time.Sleep(time.Hour)
		if s := tl.Status(); s.Taken != 1 || s.Problem() != nil || s.Failures[ClassNetwork] != 8 || s.Failures[ClassBusy] != 2 {
			t.Errorf("%+v", s)
		}
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = file.WriteString("{\"b\":2}\n")
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		stop()
		group.Wait()
	})
	tl.Finish(t.Context())
	if diff := cmp.Diff([]string{`{"a":1}`, `{"b":2}`}, to.kept); diff != "" {
		t.Error(diff)
	}
	for i, want := range []time.Duration{
		time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute,
		5 * time.Minute, maxRetryAfter, 0, time.Second,
	} {
		waited := to.tries[i+1].Sub(to.tries[i])
		switch low, high := want/2, want*3/2; {
		case i == 8 || i == 9:
			if waited != want {
				t.Errorf("after attempt %d it waited %s, want %s", i+1, waited, want)
			}
		case i != 10 && (waited < low || waited > high):
			t.Errorf("after attempt %d it waited %s, want %s to %s", i+1, waited, low, high)
		}
	}
}

// TestRefuses: a receiver that will not take a record is asked again and again, and gets none behind it. That is said for as long as it lasts.
func TestRefuses(t *testing.T) {
	refusal := answered(http.StatusForbidden, "403 Forbidden", 0)
	to := &scripted{errs: []error{refusal, refusal, refusal, nil}}
	tl, _ := written(t, to, "1\n2\n")
	tl.Open(openDirectory(t))
	for n := range uint64(3) {
		tl.step(t.Context())
		const want = "refused: the receiver answers 403 Forbidden (2 events and"
		s := tl.Status()
		if s.Class != ClassRefused || s.Failures[ClassRefused] != n+1 || s.Behind != 2 || s.Lost != 0 || s.Problem() == nil || !strings.HasPrefix(s.Problem().Error(), want) {
			t.Errorf("%+v: %v", s, s.Problem())
		}
	}
	tl.Finish(t.Context())
	if s := tl.Status(); s.Problem() != nil || s.Taken != 2 || len(to.kept) != 2 {
		t.Errorf("%+v: %v", s, s.Problem())
	}
}

// TestTooLarge: a batch is sent in parts, and a line that is too large alone holds up none of those behind it.
func TestTooLarge(t *testing.T) {
	to := &scripted{most: 2, errs: []error{nil, errors.New("down")}}
	tl, _ := written(t, to, "1\n2\n3\nlarge\n5\n6\n7\n")
	tl.Open(openDirectory(t))
	for range 2 { // it fails once
		tl.step(t.Context())
	}
	tl.Finish(t.Context())
	if diff := cmp.Diff([]string{"1", "2", "3", "5", "6", "7"}, once(to.kept)); diff != "" {
		t.Error(diff)
	}
	if s := tl.Status(); s.Lost != 1 || s.Taken != 7 || s.Delivered != 7 {
		t.Errorf("%+v", s)
	}
}

// TestCursorCannotBeKept: the receiver gets everything, somebody is told, and it ends by itself.
func TestCursorCannotBeKept(t *testing.T) {
	to := &scripted{}
	tl, _ := written(t, to, "1\n")
	d := openDirectory(t)
	path := d.path
	tl.Open(d)
	d.path = path + "/gone"
	tl.step(t.Context())
	if s := tl.Status(); s.Class != ClassCursor || s.Failures[ClassCursor] != 1 || s.Taken != 1 || s.Problem() == nil {
		t.Errorf("%+v", s)
	}
	d.path = path
	tl.Finish(t.Context())
	if s := tl.Status(); s.Problem() != nil {
		t.Errorf("%+v", s)
	}
	if got, err := d.load("x"); err != nil || got.tree.Size() != 1 {
		t.Errorf("kept %+v, %v", got, err)
	}
}

// TestHangs: a receiver that takes the connection and never answers delays nobody but itself. It is behind, and says so.
func TestHangs(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // connections are taken by the kernel, and by nobody else
	_, config := newAuthority(t)
	tr := newTrail(t)
	tl, err := NewSyslog(Config{Name: "syslog", Log: tr.path}, "tls://"+listener.Addr().String(), config)
	if err != nil {
		t.Fatal(err)
	}
	alone := elapsed(tr)
	tr.append(1)
	r := run(tl, openDirectory(t))
	conn, err := listener.Accept() // it is sending now
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	beside := elapsed(tr)
	if beside > 10*alone+time.Second { // a second is what waiting for it even once would take thirty of
		t.Errorf("%d events took %s, and %s beside a receiver that hangs", burst, alone, beside)
	}
	tl.Head(int64(tr.n))
	if s := tl.Status(); s.Taken != 0 || s.Behind != int64(tr.n) || s.BehindTime == 0 {
		t.Errorf("%+v", s)
	}
	r.crash()
}

const burst = 2000

func elapsed(tr *trail) time.Duration {
	begin := time.Now()
	tr.append(burst)
	return time.Since(begin)
}

// TestBehind: a receiver that is a minute behind has a problem although nothing fails.
func TestBehind(t *testing.T) {
	old := `{"time":"` + time.Now().Add(-2*tolerated).UTC().Format("2006-01-02T15:04:05.000000Z") + `"}`
	to := &scripted{hang: make(chan struct{})}
	tl, _ := written(t, to, old+"\n")
	r := run(tl, openDirectory(t))
	eventually(t, "it is behind", func() bool { s := tl.Status(); return s.Problem() != nil })
	if s := tl.Status(); s.Err != nil || s.Behind != 1 || !strings.Contains(s.Problem().Error(), "1 events and 2m") {
		t.Errorf("%+v: %v", s, s.Problem())
	}
	close(to.hang)
	eventually(t, "it is not", func() bool { s := tl.Status(); return s.Problem() == nil && s.Behind == 0 && s.BehindTime == 0 })
	r.finish(t)
}

func TestAddresses(t *testing.T) {
	_, config := newAuthority(t)
	for _, address := range []string{"", "log", "tcp://host:1", "tls://host", "tls://host:1/path", "tls://me@host:1", "://"} {
		if _, err := NewSyslog(Config{}, address, config); !errors.Is(err, errAddress) {
			t.Errorf("syslog %q: %v", address, err)
		}
	}
	for _, address := range []string{"", "host/path", "ftp://host/", "https://me:it@host/", "https:///path"} {
		if _, err := NewWebhook(Config{}, HTTP{URL: address}); !errors.Is(err, errAddress) {
			t.Errorf("webhook %q: %v", address, err)
		}
		if _, err := NewOTLP(Config{}, HTTP{URL: address}, ""); !errors.Is(err, errAddress) {
			t.Errorf("otlp %q: %v", address, err)
		}
	}
	for _, address := range []string{"", "host:4222", "http://host:1", "tls://me:it@host:1", "nats://host/path"} {
		if _, err := NewNATS(Config{}, NATS{URL: address}); !errors.Is(err, errAddress) {
			t.Errorf("nats %q: %v", address, err)
		}
	}
}

// bodies keeps what is sent.
type bodies struct{ kept, ids []string }

func (b *bodies) close() {}

func (b *bodies) send(_ context.Context, records []Record) error {
	for i := range records {
		b.kept, b.ids = append(b.kept, string(records[i].body())), append(b.ids, records[i].ID())
	}
	return nil
}

// TestOCSF: lines that OCSF has an event for are sent as such, under their ids, and all are taken.
func TestOCSF(t *testing.T) {
	const login = `{"time":"2026-03-02T09:14:07.120431Z","type":"login_refused","session":"5b","claimed_user":"eve","database":"app","client_address":"192.0.2.7:1","reason":"authentication","sqlstate":"28P01"}`
	for name, test := range map[string]struct {
		text string
		want int
	}{
		"one of three": {"first\n" + login + "\nlast\n", 1},
		"none":         {"first\nlast\n", 0},
	} {
		var to bodies
		tl, _ := written(t, &to, test.text)
		tl.cfg.OCSF = true
		d, err := OpenDirectory(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		tl.Open(d)
		tl.Finish(t.Context())
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if len(to.kept) != test.want || tl.Status().Taken != int64(strings.Count(test.text, "\n")) {
			t.Errorf("%s: %d events were sent, %d lines taken", name, len(to.kept), tl.Status().Taken)
		}
		if test.want == 0 {
			continue
		}
		if !strings.Contains(to.kept[0], `"class_uid":3002`) || to.ids[0] != (&Record{Leaf: 1, Hash: proof.LeafHash([]byte(login))}).ID() {
			t.Errorf("%s: %q under %q", name, to.kept, to.ids)
		}
	}
}

// TestOCSFBodies: every receiver sends the event and not the line.
func TestOCSFBodies(t *testing.T) {
	r := Record{Line: []byte(`{"time":"2026-03-02T09:14:07.120431Z","type":"connect","session":"5b"}`), event: []byte(`{"class_uid":3002}`)}
	if got := string((&syslog{}).frame(nil, &r)); !strings.HasSuffix(got, `] {"class_uid":3002}`) || !strings.Contains(got, " connect [") {
		t.Errorf("syslog: %s", got)
	}
	if got := logRecord(&r, time.Now()); got.GetBody().GetStringValue() != `{"class_uid":3002}` || got.GetEventName() != "sallyport.connect" {
		t.Errorf("OTLP: %v", got)
	}
	var leaf []string
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		content, _ := io.ReadAll(request.Body)
		body, leaf = string(content), request.Header["Sallyport-Leaf"]
	}))
	defer server.Close()
	p, err := newPoster(HTTP{URL: server.URL}, "application/x-ndjson")
	if err != nil {
		t.Fatal(err)
	}
	hook := &webhook{p, "host"}
	defer hook.close()
	if err := hook.send(t.Context(), []Record{r}); err != nil || body != "{\"class_uid\":3002}\n" || leaf != nil {
		t.Errorf("webhook: %q, leaf %q, %v", body, leaf, err)
	}
}

// TestNotFound: a Tail that does not find what the log says it has is behind, and says so.
func TestNotFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl, _ := written(t, &bodies{}, "first\n")
		d, err := OpenDirectory(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		tl.Open(d)
		for head, late := range []bool{1: false, 2: true} {
			tl.Head(int64(head))
			for _, more := tl.step(t.Context()); more; _, more = tl.step(t.Context()) {
			}
			time.Sleep(2 * tolerated)
			_, _ = tl.step(t.Context())
			s := tl.Status()
			if problem := s.Problem(); (problem != nil) != late {
				t.Errorf("the log has %d events, one is found: %v", head, problem)
			}
		}
		tl.Head(1)
		_, _ = tl.step(t.Context())
		if s := tl.Status(); s.Problem() != nil {
			t.Errorf("when all are found: %v", s.Problem())
		}
		tl.Finish(t.Context())
	})
}
