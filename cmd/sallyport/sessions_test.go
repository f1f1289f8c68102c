package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeControl answers as a gateway's control API does, and keeps what it was asked.
type fakeControl struct {
	status int
	answer string
	asked  string // "METHOD path authorization content-type body"
}

func (f *fakeControl) start(t *testing.T) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.asked = strings.Join([]string{r.Method, r.URL.String(), r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body)}, " ")
		if f.status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(f.status)
		_, _ = io.WriteString(w, f.answer)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// runSessions runs the command, with the token "secret" unless the arguments say otherwise.
func runSessions(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, problems bytes.Buffer
	status = run(append([]string{"sessions"}, args...), strings.NewReader(""), &out, &problems)
	return status, out.String(), problems.String()
}

const done = `{"id":"1","result":"done","ended":[{"id":"s1","user":"ana","gone":true},{"id":"s2","user":"ana\u001b[2J","gone":false}]}`

func TestSessionsCommand(t *testing.T) {
	const (
		list = `{"sessions":[{"id":"s1","user":"ana","database":"app","client_address":"::1","application_name":"x\u001b[31m","backend_role":"v","backend_pid":1,"started":"2026-01-02T03:04:05Z","state":"idle","statements":7,"observe":false,"role":"readonly"}]}`
		held = `{"refusals":[{"user":"eve","reason":"INC-1","by":"boss","since":"2026-01-02T03:04:05Z"},{"issuer":"https://i","subject":"7","reason":"r","by":"b","since":"2026-01-02T03:04:05Z","expires":"2026-02-02T03:04:05Z"}]}`
	)
	tests := map[string]struct {
		args          []string
		status        int
		answer        string
		exit          int
		asked         string // the beginning
		stdout, error string // stdout in full, the error in part
	}{
		"list": {
			[]string{"list", "--user", "ana", "--database", "app"},
			200, list, 0, "GET /sessions?database=app&user=ana Bearer secret  ",
			"ID  USER  DATABASE  ROLE      FROM  SINCE                 STATE  STATEMENTS  APPLICATION\ns1  ana   app       readonly  ::1   2026-01-02T03:04:05Z  idle   7           x\ufffd[31m\n", "",
		},
		"list as it is": {[]string{"list", "--json"}, 200, list, 0, "GET /sessions Bearer", list, ""},
		"refusals": {
			[]string{"refusals"},
			200, held, 0, "GET /refusals Bearer secret",
			"WHO             SINCE                 UNTIL                 BY    REASON\neve             2026-01-02T03:04:05Z  lifted                boss  INC-1\n7 of https://i  2026-01-02T03:04:05Z  2026-02-02T03:04:05Z  b     r\n", "",
		},
		"end": {
			[]string{"end", "s1", "--reason", "INC-1"},
			200, done, 0, `POST /sessions/s1/end Bearer secret application/json {"reason":"INC-1"}`,
			"session s1 of ana ended\nsession s2 of ana\ufffd[2J is being ended: its database session is not closed yet\n", "",
		},
		"an id that is a path": {[]string{"end", "../refusals", "--reason", "x"}, 404, "no such session\n", 1, "POST /sessions/..%2Frefusals/end ", "", "the gateway answers 404: no such session\n"},
		"lift":                 {[]string{"lift", "ana", "--reason", "found"}, 200, `{"ended":[]}`, 0, `POST /refusals/lift Bearer secret application/json {"reason":"found","user":"ana"}`, "ana is let in again\n", ""},
		"lift a subject":       {[]string{"lift", "--issuer", "https://i", "--subject", "7", "--reason", "found"}, 200, `{}`, 0, `POST /refusals/lift Bearer secret application/json {"issuer":"https://i","reason":"found","subject":"7"}`, "7 of https://i is let in again\n", ""},
		"not known":            {[]string{"list"}, 401, "a valid bearer token or client certificate is required\n", 1, "GET", "", "answers 401: a valid bearer token or client certificate is required (is the token expired, or for another audience?)"},
		"forbidden":            {[]string{"end", "s1", "--reason", "x"}, 403, "you are known, but may not do this\n", 1, "POST", "", "answers 403: you are known"},
		"not recorded":         {[]string{"end", "s1", "--reason", "x"}, 503, "not done: it cannot be recorded in the audit log\n", 1, "POST", "", "answers 503: not done"},
		"an older gateway":     {[]string{"end", "s1", "--reason", "x"}, 404, "404 page not found\n", 1, "POST", "", "there is no control API at this address"},
		"redirected":           {[]string{"list"}, 302, "", 1, "GET /sessions", "", "answers 302"},
		"something else":       {[]string{"list"}, 200, "<html>", 1, "GET", "", "does not speak the gateway's control API"},
		"a page that steers":   {[]string{"list"}, 500, "\x1b[2Jgone\nmore", 1, "GET", "", "answers 500: \ufffd[2Jgone\n"},
	}
	t.Setenv("SALLYPORT_OPERATOR_TOKEN", "secret\n")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := &fakeControl{status: test.status, answer: test.answer}
			exit, stdout, stderr := runSessions(t, append(test.args, "--url", f.start(t)+"/")...)
			if exit != test.exit || stdout != test.stdout || !strings.Contains(stderr, test.error) || (test.error == "") != (stderr == "") {
				t.Errorf("exit %d\n%s%s\nwant %d\n%s%s", exit, stdout, stderr, test.exit, test.stdout, test.error)
			}
			if !strings.HasPrefix(f.asked, test.asked) {
				t.Errorf("asked %s\nwant %s", f.asked, test.asked)
			}
			if strings.Contains(stdout+stderr, "secret") {
				t.Error("the token is printed")
			}
		})
	}
}

func TestSessionsRefuseForATime(t *testing.T) {
	t.Setenv("SALLYPORT_OPERATOR_TOKEN", "secret")
	f := &fakeControl{status: 200, answer: done}
	exit, stdout, stderr := runSessions(t, "refuse", "--for", "8h", "ana", "--reason", "INC-1", "--url", f.start(t))
	if exit != 0 || !strings.HasPrefix(stdout, "ana is refused\nsession s1 of ana ended\n") {
		t.Errorf("%d %s%s", exit, stdout, stderr)
	}
	_, text, _ := strings.Cut(f.asked, "application/json ")
	var body struct {
		User, Reason string
		Expires      time.Time
	}
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(body.Expires); body.User != "ana" || body.Reason != "INC-1" || left < 7*time.Hour || left > 8*time.Hour {
		t.Errorf("asked %s", f.asked)
	}
}

// TestSessionsUsage: what is wrong is said before anything is sent.
func TestSessionsUsage(t *testing.T) {
	tests := map[string]struct {
		args []string
		exit int
		want string
	}{
		"nothing":                 {nil, 2, "usage: sallyport sessions"},
		"unknown command":         {[]string{"kill"}, 2, `there is no command "kill"`},
		"no id":                   {[]string{"end", "--reason", "x"}, 2, "the session's id is missing"},
		"no reason":               {[]string{"end", "s1"}, 2, "--reason is missing"},
		"an empty reason":         {[]string{"refuse", "ana", "--reason", " "}, 2, "--reason is missing"},
		"nobody":                  {[]string{"refuse", "--reason", "x"}, 2, "the user's name is missing"},
		"user and subject":        {[]string{"refuse", "ana", "--issuer", "i", "--subject", "s", "--reason", "x"}, 2, "give a user, or --issuer and --subject"},
		"two users":               {[]string{"lift", "ana", "s3cret", "--reason", "x"}, 2, "more than one argument"},
		"list takes none":         {[]string{"list", "s3cret"}, 2, "takes no arguments"},
		"a time in the past":      {[]string{"refuse", "ana", "--for", "-1h", "--reason", "x"}, 2, "--for must be positive"},
		"a token as a flag":       {[]string{"list", "--token", "s3cret"}, 2, "flag provided but not defined"},
		"nobody asks":             {[]string{"list"}, 1, "nothing says who you are"},
		"no such token file":      {[]string{"list", "--token-file", "nowhere"}, 1, "read --token-file: open nowhere"},
		"a key alone":             {[]string{"list", "--key", "k"}, 1, "--certificate and --key go together"},
		"no such certificate":     {[]string{"list", "--certificate", "c", "--key", "k"}, 1, "read client certificate"},
		"no URL":                  {[]string{"list", "--url", "gateway:9187"}, 1, "--url is not an address"},
		"a user in the URL":       {[]string{"list", "--url", "https://u:s3cret@gateway:9187"}, 1, "--url is not an address"},
		"in the clear":            {[]string{"list", "--url", "http://gateway.example.com:9187"}, 1, "the token would cross the network in the clear"},
		"looks like this machine": {[]string{"list", "--url", "http://localhost.example.com:9187"}, 1, "the token would cross the network in the clear"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			exit, stdout, stderr := runSessions(t, test.args...)
			if exit != test.exit || !strings.Contains(stderr, test.want) || stdout != "" {
				t.Errorf("exit %d\n%s%s\nwant %d %s", exit, stdout, stderr, test.exit, test.want)
			}
			if name != "nothing" && strings.Contains(stderr, "s3cret") {
				t.Errorf("what may be a token is repeated: %s", stderr)
			}
		})
	}
}

func TestSessionsTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	for content, want := range map[string]string{"from-file\n": "", "": "does not hold one token", "two words": "does not hold one token"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		f := &fakeControl{status: 200, answer: `{"sessions":[]}`}
		exit, _, stderr := runSessions(t, "list", "--token-file", path, "--url", f.start(t))
		if (exit == 0) != (want == "") || !strings.Contains(stderr, want) {
			t.Errorf("%q: %d %s", content, exit, stderr)
		}
		if sent := strings.Contains(f.asked, "Bearer from-file "); sent != (want == "") {
			t.Errorf("%q: asked %s", content, f.asked)
		}
	}
}

func TestSessionsNoListener(t *testing.T) {
	t.Setenv("SALLYPORT_OPERATOR_TOKEN", "secret")
	server := httptest.NewServer(nil)
	server.Close()
	t.Setenv("SALLYPORT_ADMIN_URL", server.URL)
	if exit, _, stderr := runSessions(t, "list"); exit != 1 || !strings.Contains(stderr, "reach the admin listener (--url)") || strings.Contains(stderr, "secret") {
		t.Errorf("%d %s", exit, stderr)
	}
}
