package tail

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/audit/proof"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// trail is an audit log that a test writes and rotates.
type trail struct {
	t     *testing.T
	dir   string
	path  string
	log   *audit.Log
	keys  *proof.Verifiers
	key   *proof.Key
	n     int
	files []string // the old ones, the oldest first
}

func newTrail(t *testing.T) *trail {
	t.Helper()
	private, public, err := proof.GenerateKey("log")
	if err != nil {
		t.Fatal(err)
	}
	tr := &trail{t: t, dir: t.TempDir()}
	tr.path = filepath.Join(tr.dir, "audit.log")
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(private), 0o600); err != nil {
		t.Fatal(err)
	}
	if tr.key, err = proof.ReadKey(key); err != nil {
		t.Fatal(err)
	}
	if tr.keys, err = proof.NewVerifiers(public); err != nil {
		t.Fatal(err)
	}
	tr.open()
	t.Cleanup(tr.close)
	return tr
}

func (tr *trail) open() {
	tr.t.Helper()
	var err error
	if tr.log, err = audit.Open(audit.Config{Path: tr.path, Key: tr.key}); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *trail) close() {
	tr.t.Helper()
	if err := tr.log.Close(); err != nil {
		tr.t.Error(err)
	}
}

// event is an audit event with a number.
type event int

func (e event) AppendJSON(dst []byte) []byte {
	dst = append(time.Now().UTC().AppendFormat(append(dst, `{"time":"`...), "2006-01-02T15:04:05.000000Z"), `","type":"outcome","session":"s\"]","id":"s.`...)
	dst = append(strconv.AppendInt(dst, int64(e), 10), `","status":"completed","rows":`...)
	return append(strconv.AppendInt(dst, int64(e), 10), `,"list":["é",true,1.5]}`...)
}

func (tr *trail) append(n int) {
	tr.t.Helper()
	for range n {
		tr.n++
		if err := tr.log.Append(event(tr.n)); err != nil {
			tr.t.Fatal(err)
		}
	}
}

func (tr *trail) must(err error) {
	tr.t.Helper()
	if err != nil {
		tr.t.Fatal(err)
	}
}

// rotate gives the file another name, as logrotate does, and moves those on that have a number; pack packs them all.
func (tr *trail) rotate(pack bool) {
	tr.t.Helper()
	for i, name := range tr.files {
		moved := tr.path + "." + strconv.Itoa(len(tr.files)+1-i)
		if strings.HasSuffix(name, packed) {
			moved += packed
		}
		tr.must(os.Rename(name, moved))
		tr.files[i] = moved
	}
	tr.files = append(tr.files, tr.path+".1")
	tr.must(os.Rename(tr.path, tr.path+".1"))
	tr.must(tr.log.Reopen())
	for i, name := range tr.files {
		if pack && !strings.HasSuffix(name, packed) {
			tr.pack(name)
			tr.files[i] += packed
		}
	}
}

func (tr *trail) pack(name string) {
	tr.t.Helper()
	content, err := os.ReadFile(name)
	tr.must(err)
	file, err := os.Create(name + packed)
	tr.must(err)
	w := gzip.NewWriter(file)
	_, err = w.Write(content)
	tr.must(errors.Join(err, w.Close(), file.Close(), os.Remove(name)))
}

// content is what a file holds, unpacked.
func (tr *trail) content(name string) []byte {
	tr.t.Helper()
	content, err := os.ReadFile(name)
	tr.must(err)
	if !strings.HasSuffix(name, packed) {
		return content
	}
	r, err := gzip.NewReader(bytes.NewReader(content))
	tr.must(err)
	content, err = io.ReadAll(r)
	tr.must(err)
	return content
}

// whole is the log from its beginning.
func (tr *trail) whole() string {
	tr.t.Helper()
	var all []byte
	for _, name := range append(tr.files[:len(tr.files):len(tr.files)], tr.path) {
		if _, err := os.Stat(name); err != nil && name == tr.path { // it was moved, and the log not told yet
			continue
		}
		all = append(all, tr.content(name)...)
	}
	return string(all)
}

// verify wants a copy of the log to be proved as the log is, and its checkpoints to be good for the log.
func (tr *trail) verify(copied string) {
	tr.t.Helper()
	v := proof.NewVerifier(tr.keys)
	tr.must(v.File("copy", strings.NewReader(copied)))
	if r := v.End(); len(r.Findings) > 0 || r.Size != int64(tr.n) || r.Unsealed > 0 {
		tr.t.Errorf("a copy: %+v", r)
	}
	tr.against(copied)
}

// against verifies the log against the checkpoints in a copy, in whatever form.
func (tr *trail) against(copied string) {
	tr.t.Helper()
	kept, err := proof.ReadCopies(strings.NewReader(copied), tr.keys)
	tr.must(err)
	v := proof.NewVerifier(tr.keys)
	last := int64(0)
	for _, c := range kept {
		v.Against(c)
		last = max(last, c.Size)
	}
	tr.must(v.File("log", strings.NewReader(tr.whole())))
	if r := v.End(); len(r.Findings) > 0 || r.Unchecked > 0 || last != int64(tr.n) {
		tr.t.Errorf("against the checkpoints of a copy, which speak of %d events: %+v", last, r)
	}
}

// newAuthority makes an authority, and a server's certificate for 127.0.0.1 with a client's in one directory: server.crt, client.crt, ca.crt.
func newAuthority(t *testing.T) (dir string, client *tls.Config) {
	t.Helper()
	authority, err := certs.New("tail")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	server := certs.Request{CommonName: "127.0.0.1", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true}
	err = errors.Join(authority.WriteFiles(dir, "server", server), authority.WriteFiles(dir, "client", certs.Request{CommonName: "gateway", Client: true}))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.CertPEM())
	return dir, &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}

// serverTLS is what a server with the certificates of newAuthority demands.
func serverTLS(t *testing.T, dir string) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(authority)
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
}

// freePort is one that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return port
}

// eventually waits for a condition that another process or goroutine brings about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// daemon is a receiver that is a process.
type daemon struct {
	command []string
	address string
	process *exec.Cmd
	log     string
}

// start starts it, and returns when it listens.
func (d *daemon) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	d.process = exec.Command(d.command[0], d.command[1:]...)
	d.process.Stdout, d.process.Stderr = log, log
	d.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := errors.Join(d.process.Start(), log.Close()); err != nil {
		t.Fatal(err)
	}
	eventually(t, d.command[0]+" listens", func() bool {
		conn, err := net.Dial("tcp", d.address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

func (d *daemon) kill(t *testing.T) {
	t.Helper()
	if d.process == nil {
		return
	}
	if err := d.process.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = d.process.Wait() // says that it was killed
	d.process = nil
}

// quiet is a logger whose lines are shown when a test fails.
func quiet(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }
