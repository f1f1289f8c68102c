package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/certs"
)

// operator makes a request of the control API as somebody with a certificate.
func (p *process) operator(t *testing.T, name, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return p.requests(r, p.vouched(t, name))
}

// vouched makes a certificate, whose authority is admin.tls.client_ca from then on.
func (p *process) vouched(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	authority, err := certs.New("Operators")
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := authority.Issue(certs.Request{CommonName: name, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, "ca.crt", string(authority.CertPEM()))
	if err := p.adminCertificate.Reload(); err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

// requests makes a request over a connection on which a certificate was shown.
func (p *process) requests(r *http.Request, shown *x509.Certificate) *httptest.ResponseRecorder {
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{shown}}
	w := httptest.NewRecorder()
	(*p.admin.Load()).ServeHTTP(w, r)
	return w
}

// operated is a configuration with operators.
var operated = strings.Replace(configuration, "token_file: admin.token}",
	"token_file: admin.token, refusals_file: refusals, tls: {certificate: server.crt, key: server.key, client_ca: ca.crt}, operators: [{kind: cn, name: boss}]}", 1)

// TestOperatorOfAnotherAuthority: a connection outlives the authority of the certificate that was shown on it. Who shows it is nobody then.
func TestOperatorOfAnotherAuthority(t *testing.T) {
	deploy(t)
	write(t, "sallyport.yaml", operated)
	p, _ := newProcess(t)
	defer func() { _ = p.close() }()
	asks := func(shown *x509.Certificate) int {
		return p.requests(httptest.NewRequest("GET", "/refusals", nil), shown).Code
	}
	before := p.vouched(t, "boss")
	if got := asks(before); got != http.StatusOK {
		t.Fatalf("status %d", got)
	}
	after := p.vouched(t, "boss")
	if got := []int{asks(before), asks(after)}; !slices.Equal(got, []int{http.StatusUnauthorized, http.StatusOK}) {
		t.Errorf("status %d", got)
	}
}

// TestOperatorsAreRecorded: what is done, before and after, and what is not, because it cannot be.
func TestOperatorsAreRecorded(t *testing.T) {
	deploy(t)
	write(t, "sallyport.yaml", operated)
	p, _ := newProcess(t)
	for path, body := range map[string]string{"/refusals": `{"user": "eve", "reason": "INC-1"}`, "/sessions/x/end": `{"reason": "INC-1"}`} {
		want := map[string]int{"/refusals": 200, "/sessions/x/end": 404}[path]
		if w := p.operator(t, "boss", "POST", path, body); w.Code != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := p.operator(t, "boss", "GET", "/refusals", ""); !strings.Contains(w.Body.String(), `"user":"eve","reason":"INC-1","by":"boss"`) {
		t.Errorf("refusals: %s", w.Body)
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	got := events(t)
	slices.Sort(got)
	if diff := cmp.Diff([]string{"operator_action end", "operator_action end", "operator_action refuse", "operator_action refuse"}, got); diff != "" {
		t.Error(diff)
	}
	content, err := os.ReadFile("audit.log")
	if err != nil {
		t.Fatal(err)
	}
	const want = `"action":"refuse","operator":"boss","operator_method":"cert","operator_issuer":"CN=Operators","operator_subject":"boss","client_address":"192.0.2.1","user":"eve","stated_reason":"INC-1","result":"done"}`
	if !strings.Contains(string(content), want) {
		t.Errorf("there is no %s in\n%s", want, content)
	}
	if w := p.operator(t, "boss", "POST", "/refusals/lift", `{"user": "eve", "reason": "found"}`); w.Code != http.StatusServiceUnavailable {
		t.Errorf("with a log that is closed: %d %s", w.Code, w.Body)
	}

	again, _ := newProcess(t)
	defer again.close()
	if list := again.refusals.All(); len(list) != 1 || list[0].User != "eve" {
		t.Errorf("after a restart: %+v", list)
	}
}

// TestRefusalsNeedARestart: the list is one for the process's life.
func TestRefusalsNeedARestart(t *testing.T) {
	deploy(t)
	write(t, "sallyport.yaml", operated)
	p, log := newProcess(t)
	defer p.close()
	write(t, "sallyport.yaml", strings.Replace(operated, "refusals_file: refusals", "refusals_file: others", 1))
	p.reload()
	if !strings.Contains(log.String(), `"key":"admin.refusals_file"`) {
		t.Errorf("the log does not say so: %s", log)
	}
	if w := p.operator(t, "boss", "POST", "/refusals", `{"user": "eve", "reason": "INC-1"}`); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if text, err := os.ReadFile("refusals"); err != nil || !strings.Contains(string(text), "eve") {
		t.Errorf("%s %v", text, err)
	}
}
